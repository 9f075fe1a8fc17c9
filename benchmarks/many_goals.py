"""Whether many goals in a row leave anything behind in the nodes' processes.

    python benchmarks/many_goals.py --goals 200

The simulated robot, and a new task for every goal, of one action each. Printed are memory,
threads and mapped files of shared memory of each process after a tenth of the goals, when
everything has been used once, and after all. Ends with 1 if any of them grew.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import loopback  # noqa: F401 (before all that looks at the environment)
import numpy as np
from rclpy.action import ActionClient
from sensor_msgs.msg import CompressedImage
from vjepa_msgs.action import ReachGoal

from vjepa_gate.ros.spinning import ask, spinning_node
from vjepa_ros.images import encode_png
from vjepa_ros.options import Options
from vjepa_ros.stack import processes
from vjepa_ros.supervisor import Supervisor

PATIENCE = 120.0  # seconds for one goal
MEMORY, THREADS = 20.0, 8  # MB and threads that a process may gain


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--goals", type=int, default=200)
    goals = parser.parse_args().goals
    search = {"samples": 16, "iterations": 2, "horizon": 1}
    quick = {"step_period": 0.1, "settle": 0.0, "max_image_age": 20.0}
    options = Options(sim=True, composed=True, subgoals="none", **search, **quick)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    picture = CompressedImage(format="png", data=encode_png(pixels))
    request = ReachGoal.Goal(images=[picture], max_steps=1, energy_threshold=1e-6)
    with (
        tempfile.TemporaryFile("w") as log,
        Supervisor(processes(options), log) as supervisor,
        spinning_node("benchmark") as node,
    ):
        client = ActionClient(node, ReachGoal, "reach_goal")
        while not client.wait_for_server(1.0):
            supervisor.check()
        started, early = time.monotonic(), {}
        for number in range(1, goals + 1):
            handle = ask(node, client.send_goal_async, request, timeout=PATIENCE)
            result = ask(node, handle.get_result_async, timeout=PATIENCE).result
            if result.outcome != ReachGoal.Result.OUT_OF_STEPS:
                raise SystemExit(f"goal {number}: {result.message}")
            if number == max(1, goals // 10):
                early = {name: held(pid) for name, pid in supervisor.pids().items()}
        seconds = time.monotonic() - started
        late = {name: held(pid) for name, pid in supervisor.pids().items()}
        client.destroy()
    print(f"{goals} goals in {seconds:.0f} s")
    grew = False
    for name, (memory, threads, files) in late.items():
        before = early[name]
        print(
            f"{name:9} memory {before[0]:6.1f} -> {memory:6.1f} MB   threads {before[1]} -> "
            f"{threads}   shared memory {before[2]} -> {files} files"
        )
        grew |= memory - before[0] > MEMORY or threads - before[1] > THREADS or files > before[2]
    return int(grew)


def held(pid: int) -> tuple[float, int, int]:
    """Memory in MB, threads, and mapped files of shared memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    values = dict(line.split(":", 1) for line in lines)
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    shared = {line.split()[-1] for line in maps if "/dev/shm/" in line}
    return int(values["VmRSS"].split()[0]) / 1e3, int(values["Threads"]), len(shared)


if __name__ == "__main__":
    sys.exit(main())
