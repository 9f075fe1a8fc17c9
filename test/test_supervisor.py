"""Processes under a supervisor that dies, and what they say."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vjepa_ros.options import Options
from vjepa_ros.stack import processes
from vjepa_ros.supervisor import command_line

PROGRAM = """
import time
from types import SimpleNamespace
from vjepa_ros.supervisor import Supervisor

# As stack.Process, which is slow to import.
words = dict(module="", executable="sleep", words=lambda: ["1000"], namespace="", notice="")
sleep = SimpleNamespace(name="sleeper", **words)
with Supervisor([sleep, sleep]) as supervisor:
    print(*(child.popen.pid for child in supervisor._children), flush=True)
    time.sleep(1000)
"""


def alive(pid):
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_children_die_with_their_parent_however_it_dies(number):
    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, errors="replace"
    )
    children = [int(word) for word in parent.stdout.readline().split()]
    assert len(children) == 2
    end = time.monotonic() + 10
    while any("sleep" not in Path(f"/proc/{child}/comm").read_text() for child in children):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert all(alive(child) for child in children)
    parent.send_signal(number)
    parent.wait(10)
    end = time.monotonic() + 10
    while any(alive(child) for child in children):
        assert time.monotonic() < end
        time.sleep(0.02)
    parent.stdout.close()


def test_where_in_the_graph_processes_are(small_weights):
    """As `ros2 run` would be told; the simulation gives the clock, and takes none."""
    options = {"weights": small_weights(), "sim": True, "composed": True}
    placed = processes(
        Options(
            **options,
            namespace="lab/left",
            use_sim_time=True,
            bond=True,
            log_level="debug",
            autostart=False,
            respawn=False,
        )
    )
    assert [process.name for process in placed] == ["sim", "arm_gate", "models"]
    for process in placed:
        words = " ".join(command_line(process))
        assert "--ros-args -r __ns:=/lab/left" in words
        assert "--log-level debug" in words
        for name in ("use_sim_time", "bond"):
            assert (f"{name}:=true" in words) == (process.name != "sim")
        assert "--autostart" not in words
        assert not process.respawn
    assert "--no-autostart" in placed[-1].arguments
    for process in processes(Options(**options)):
        words = " ".join(command_line(process))
        assert not any(word in words for word in ("__ns", "--log-level", "use_sim_time", "bond"))
        assert process.respawn == (process.name != "sim")


def test_the_gate_may_run_elsewhere(small_weights):
    stack = processes(Options(weights=small_weights(), composed=True, gate=False))
    assert [process.name for process in stack] == ["models"]


def test_rviz_looks_into_the_namespace(small_weights):
    options = Options(weights=small_weights(), rviz=True, namespace="/left/")
    rviz = next(process for process in processes(options) if process.name == "rviz")
    assert "/plan/markers:=/left/plan/markers" in rviz.arguments
    assert "/camera/image_raw:=/left/camera/image_raw" in rviz.arguments
