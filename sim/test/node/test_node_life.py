"""Start, pace, end: wrong parameters, signals, and what stays behind."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from rosgraph_msgs.msg import Clock

POSE = "franka_robot_state_broadcaster/current_pose"
IMAGE = "camera/image_raw"
PARAMETERS = "/vjepa_sim_robot"


def shared_memory(pid: int) -> set[str]:
    """Segments of Fast DDS that a process has mapped; its ports are shared by all processes."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall("/dev/shm/fastrtps_[0-9a-f]{16}.*", maps))


def memory(pid: int) -> int:
    """Resident kilobytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("mode", "turbo", ["mode", "turbo", "real, fast, lockstep"]),
        ("state_rate", 0.0, ["state_rate", "Min: 1.0, Max: 240.0"]),
        ("camera_rate", 1e6, ["camera_rate", "Min: 0.1, Max: 120.0"]),
        ("image_width", 4, ["image_width", "Min: 32, Max: 1920"]),
        ("image_width", 100.5, ["image_width", "INTEGER"]),
        ("seed", -1, ["seed", "Min: 0"]),
        ("randomise", "[colours, smells]", ["randomise", "smells", "textures"]),
        ("task", "juggle", ["juggle", "pick_place"]),
        ("task", "grasp cube bowl spoon", ["grasp cube bowl spoon"]),
        ("fault.camera_drop", 1.5, ["fault.camera_drop", "Min: 0.0, Max: 1.0"]),
    ],
)
def test_a_wrong_parameter_ends_the_start(start_robot, name, value, named):
    robot = start_robot(**{name: value})
    assert robot.process.wait(60) == 2
    said = robot.said()
    assert all(part in said for part in named), said
    assert "Traceback" not in said


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", ["real", "fast", "lockstep"])
def test_a_signal_ends_it_cleanly(start_robot, new_lab, mode, ending):
    robot = start_robot(mode=mode)
    with new_lab(robot) as lab:
        lab.inbox(IMAGE)
        lab.grip(0.0)  # in lock-step it never comes to an end
        used = shared_memory(robot.pid)
        assert used
        assert robot.end(ending) == 0, robot.said()
    assert robot.said().count("Traceback") == 0, robot.said()
    # Those of other tests' nodes in this process are still in use.
    assert not [name for name in used - shared_memory(os.getpid()) if Path(name).exists()]


def test_a_signal_during_the_start_ends_it_cleanly(start_robot):
    for delay in (0.3, 0.8, 1.6):
        robot = start_robot()
        time.sleep(delay)
        assert robot.end(signal.SIGTERM) in (0, -signal.SIGTERM)  # before the node listens


def test_ten_resets_leave_nothing_behind(lab, lockstep):
    lab.inbox(IMAGE)

    def resets(count: int) -> None:
        for seed in range(count):
            assert lab.reset(seed, task="pick_place", object="cup", place="bowl").success
            lab.step(0.2)

    def used() -> tuple[int, int]:
        process = Path(f"/proc/{lockstep.pid}")
        return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))

    resets(5)
    before, threads_and_files = memory(lockstep.pid), used()
    resets(10)
    assert memory(lockstep.pid) - before < 4_000  # kB
    assert used() == threads_and_files


def test_real_time_is_stamped_as_hardware_does(start_robot, new_lab):
    robot = start_robot(mode="real")
    with new_lab(robot) as lab:
        poses, pictures = lab.inbox(POSE), lab.inbox(IMAGE)
        states = poses.wait(50)
        assert pictures.wait(5)
        stamps = [m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec for m in states]
        assert stamps == sorted(set(stamps))
        assert abs(time.time() - stamps[-1]) < 60
        answer = lab.step(0.1)
        assert not answer.success
        assert "only lockstep" in answer.message
    assert robot.end() == 0


def test_fast_is_faster_than_the_wall(start_robot, new_lab):
    robot = start_robot(mode="fast", speed=20.0, camera_rate=1.0)
    with new_lab(robot) as lab:
        clock = []
        lab.node.create_subscription(
            Clock, "/clock", lambda m: clock.append((time.monotonic(), m.clock)), 10
        )
        lab.until(lambda: len(clock) > 300)
        (began, first), (ended, last) = clock[0], clock[-1]
        simulated = last.sec - first.sec + 1e-9 * (last.nanosec - first.nanosec)
        assert simulated > 2 * (ended - began)
