"""`vjepa-ros run` with its processes: the simulated Franka, the gate and the nodes."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from vjepa_ros.images import encode_png
from vjepa_ros.stack import Process
from vjepa_ros.supervisor import Supervisor, command_line

PATIENCE = 90  # seconds
BUSY = ("--max-state-age", "5", "--max-camera-age", "20", "--max-image-age", "20")  # a machine
PROGRAM = """
import argparse, sys
from vjepa_ros.commands import run
from vjepa_gate.errors import UserError
parser = argparse.ArgumentParser()
run.add_arguments(parser)
try:
    sys.exit(run.run(parser.parse_args()))
except UserError as error:
    sys.exit(f"UserError: {error}")
"""


class Running:
    """The command in a process of its own, its lines as they come."""

    def __init__(self, *options):
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *BUSY, *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout))
        self._reader.start()

    def wait_for(self, pattern, count=1):
        end = time.monotonic() + PATIENCE
        while sum(bool(re.search(pattern, line)) for line in list(self.lines)) < count:
            assert time.monotonic() < end, f"no {pattern}:\n{''.join(self.lines)}"
            assert self.process.poll() is None, f"ended:\n{''.join(self.lines)}"
            time.sleep(0.05)

    def end(self, number=None):
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code, "".join(self.lines)


@pytest.fixture
def run():
    started = []

    def start(*options):
        started.append(Running(*options))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.end(signal.SIGINT)


@pytest.fixture(scope="module")
def weights(small_weights):
    return str(small_weights(planner="plain"))


@pytest.fixture
def goal(tmp_path):
    path = tmp_path / "goal.png"
    rng = np.random.default_rng(0)
    path.write_bytes(encode_png(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    return str(path)


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_goal_from_start_to_end_in_separate_processes(run, weights, goal):
    running = run(
        *("--sim", "--task", "reach", "--weights", weights, "--goal", goal),
        *("--samples", "16", "--iterations", "2", "--max-steps", "3", "--seed", "5"),
        *("--energy", "0.000001"),  # never
    )
    running.wait_for(r"step [1-3]  sub-goal 1/1  energy \d")
    code, said = running.end()
    assert code == 1  # a random model does not get there
    assert "max_steps, 3, are used up. 3 steps, 0 of 1 goals reached" in said
    assert re.search(r"\[planner\] .*seed 5", said)
    assert re.search(r"^\[encoder\]", said, re.MULTILINE)
    assert re.search(r"moved 0\.(0[1-9]|[1-9]\d) m", said), said  # the arm really did
    assert re.search(r"step 3 .* m  \d+\.\d\d s a plan", said), said


def test_a_killed_node_comes_back_and_a_signal_ends_all(run, weights):
    running = run("--sim", "--composed", "--weights", weights)
    running.wait_for(r"\[models\] .*waiting for a goal")
    children = children_of(running.process.pid)
    assert len(children) == 3
    os.kill(children[-1], signal.SIGKILL)
    running.wait_for("models was ended by signal 9: starting it again")
    running.wait_for(r"\[models\] .*waiting for a goal", count=2)
    children = children_of(running.process.pid)
    code, said = running.end(signal.SIGINT)
    assert code == 0, said
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_a_task_survives_its_predictor_and_ends_with_its_planner(run, weights, goal):
    running = run(
        *("--sim", "--task", "reach", "--weights", weights, "--goal", goal),
        *("--samples", "16", "--iterations", "2", "--max-steps", "1000"),
        *("--energy", "0.000001"),
    )
    running.wait_for(r"step [2-9]  sub-goal")
    _, _, _, predictor, planner = children_of(running.process.pid)
    os.kill(predictor, signal.SIGKILL)
    running.wait_for("predictor was ended by signal 9: starting it again")
    running.wait_for(r"\[predictor\] .*loaded", count=2)
    running.wait_for(r"step ([6-9]|[1-9]\d+)  sub-goal")  # some line may be torn by another
    os.kill(planner, signal.SIGKILL)
    code, said = running.end()
    assert code == 1  # as the command line says it: 2
    assert "UserError: goal not reached: the planner was stopped or killed" in said


def test_two_robots_of_one_domain_plan_each_for_itself(run, weights, goal):
    """One of the two runs is killed, of the other the terminal is gone: neither leaves a child."""
    sides = {}
    for name, seed in (("left", "5"), ("right", "6")):
        sides[name] = run(
            *("--sim", "--task", "reach", "--weights", weights, "--goal", goal, "--composed"),
            *("--samples", "16", "--iterations", "2", "--max-steps", "1000", "--seed", seed),
            *("--energy", "0.000001", "--namespace", name),
        )
    for name, running in sides.items():
        running.wait_for(r"step [3-9]  sub-goal")
        assert not any("publish" in line for line in running.lines), name  # no second master
    left, right = (children_of(running.process.pid) for running in sides.values())
    sides["left"].process.kill()
    code, said = sides["right"].end(signal.SIGHUP)
    assert (code, "canceled: the arm holds" in said) == (0, True), said
    sides["left"].end()
    end = time.monotonic() + PATIENCE
    while any(Path(f"/proc/{child}").exists() for child in left + right):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_signal_cancels_the_task(run, weights, goal):
    running = run(
        *("--sim", "--task", "reach", "--weights", weights, "--goal", goal, "--composed"),
        *("--samples", "16", "--max-steps", "1000", "--energy", "0.000001"),
    )
    running.wait_for(r"step [2-9]  sub-goal")
    code, said = running.end(signal.SIGINT)
    assert code == 0, said
    assert "canceled: the arm holds" in said


def test_a_goal_that_is_no_image_is_one_line_before_anything_starts(run, weights, tmp_path):
    path = tmp_path / "goal.png"
    path.write_text("no picture")
    code, said = run("--weights", weights, "--goal", str(path)).end()
    assert code == 1
    assert said.startswith(f"UserError: goal: {path} is not an image")
    assert len(said.splitlines()) == 1


def test_texts_stay_texts_on_the_command_line():
    process = Process(
        name="node",
        package="p",
        executable="e",
        module="m",
        arguments=("a",),
        parameters={"seed": 3, "weights": "007", "dry_run": True, "energy": 1.0},
    )
    assert command_line(process) == [
        *(sys.executable, "-m", "m", "a", "--ros-args", "-p", "seed:=3", "-p", 'weights:="007"'),
        *("-p", "dry_run:=true", "-p", "energy:=1.0"),
    ]


def test_what_cannot_live_ends_the_run():
    from vjepa_gate.errors import UserError

    hopeless = Process(name="node", package="", executable="false")
    with Supervisor([hopeless]) as supervisor, pytest.raises(UserError, match="node ended with 1"):
        check_for_ever(supervisor)


def test_what_processes_say_can_go_to_a_file(tmp_path):
    from vjepa_gate.errors import UserError

    talker = Process(
        name="talker", package="", executable="sh", arguments=("-c", "echo hello; exit 2")
    )
    path = tmp_path / "nodes.log"
    with (
        path.open("w") as log,
        Supervisor([talker], log) as supervisor,
        pytest.raises(UserError, match=f"talker ended with 2: see its last lines in {path}"),
    ):
        check_for_ever(supervisor)
    assert path.read_text() == "[talker] hello\n"


def check_for_ever(supervisor):
    while True:
        supervisor.check()
        time.sleep(0.02)
