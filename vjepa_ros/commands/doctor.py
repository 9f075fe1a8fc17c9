"""`vjepa-ros doctor`: is everything here that the rest needs, and if not, what to do; with --robot:
is a robot that runs as its YAML says.
"""

import argparse
import importlib
import os
import platform
import shutil
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_gate.robots import load_robot
from vjepa_ros.commands.settings import read
from vjepa_ros.commands.settings.checks import Doctor
from vjepa_ros.findings import Check, Note, Problem, report
from vjepa_ros.supervisor import PROFILE, environment

PACKAGE = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "vjepa_ros")
WEIGHT_FOLDERS = (PACKAGE / "weights", CACHE)
WEIGHT_SUFFIXES = (".safetensors", ".pt", ".pth", ".tar")
LISTENING = 4.0  # seconds, discovery included
DISK_WANTED_GB = 15  # Meta's largest checkpoint is 12 GB


def run(arguments: argparse.Namespace) -> int:
    """Check all, and say what to do; 1 when something is missing."""
    told = read(Doctor, arguments)
    if told.robot:
        return _check_robot(told.robot)
    return report([check for check in CHECKS if told.dds or check.name != "DDS"])


def _check_robot(name: str) -> int:
    robot = load_robot(name)
    os.environ[PROFILE] = environment()[PROFILE]  # before rclpy is loaded
    try:
        from vjepa_gate.ros.spinning import spinning_node
        from vjepa_ros.robot_checks.graph import RobotChecks
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error
    with spinning_node("vjepa_ros_doctor") as node:
        checks = RobotChecks(node, robot)
        try:
            checks.listen(LISTENING)
            return report(checks.checks())
        finally:
            checks.destroy()


# --- the checks, each a line -------------------------------------------------------------


def python() -> str:
    """Check Python's version."""
    version = platform.python_version()
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        raise Problem(f"{version}, expected 3.11 or 3.12: run `make setup PYTHON=python3.12`")
    return f"{version} at {sys.executable}"


def ros() -> str:
    """Check rclpy and the interfaces."""
    rclpy = _import("rclpy", "run `make setup`, or source /opt/ros/jazzy/setup.bash")
    origin = f"apt, {os.environ['ROS_DISTRO']}" if os.environ.get("ROS_DISTRO") else "wheels"
    return f"rclpy from {origin}, at {Path(rclpy.__file__).parent}"


def interfaces() -> str:
    """An unbuilt vjepa_msgs/ beside us imports too, as an empty namespace: ask for a type."""
    for module in ("vjepa_msgs.msg", "control_msgs.action"):
        _import(
            module,
            "run `make setup`, or build the workspace with colcon and source install/setup.bash",
        )
    return "vjepa_msgs and control_msgs are built"


def dds() -> str:
    """Check the transport for large messages."""
    milliseconds = _round_trips(count=20)
    return (
        f"640×480 picture there and a stamp back on loopback: median "
        f"{statistics.median(milliseconds):.1f} ms, worst {max(milliseconds):.1f} ms"
    )


def torch() -> str:
    """Check torch and its devices."""
    torch = _import("torch", "run `make setup`")
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return f"{torch.__version__}, {torch.cuda.get_device_name(0)}, {memory:.0f} GiB"
    threads = torch.get_num_threads()
    return (
        f"{torch.__version__}, CPU with {threads} threads: "
        "enough for the tiny model, not for V-JEPA 2's"
    )


def simulator() -> str:
    """Check the simulation."""
    pybullet = _import("pybullet", "run `make setup`; it is needed for the simulation only")
    client = pybullet.connect(pybullet.DIRECT)
    pybullet.disconnect(client)
    return f"pybullet, API version {pybullet.getAPIVersion()}"


def cv_bridge() -> str:
    """Check cv_bridge, which only a sourced ROS has."""
    from vjepa_ros import images

    if images.uses_cv_bridge():
        return "ROS's own, it passes its self-test"
    return "none that works: numpy and OpenCV convert images instead"


def weights() -> str:
    """Check the shipped weights."""
    folders = [folder for folder in WEIGHT_FOLDERS if folder.is_dir()]
    found = [p for f in folders for p in sorted(f.iterdir()) if p.suffix in WEIGHT_SUFFIXES]
    if not found:
        raise Note(f"none in {' or '.join(map(str, WEIGHT_FOLDERS))}: see README.md, Weights")
    return ", ".join(f"{p.name} ({p.stat().st_size / 2**20:.0f} MiB)" for p in found)


def disk() -> str:
    """Check the free space."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    if free < 1:
        raise Problem(f"{free:.1f} GB free in {Path.cwd()}: make room, recordings need it")
    if free < DISK_WANTED_GB:
        raise Note(f"{free:.1f} GB free: the largest checkpoint takes {DISK_WANTED_GB} GB")
    return f"{free:.0f} GB free"


CHECKS = [
    Check("Python", python),
    Check("ROS", ros),
    Check("interfaces", interfaces),
    Check("DDS", dds),
    Check("torch", torch),
    Check("simulator", simulator),
    Check("cv_bridge", cv_bridge),
    Check("weights", weights),
    Check("disk", disk),
]


# --- helpers -----------------------------------------------------------------------------


def _import(module: str, remedy: str) -> Any:
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken native library raises whatever it likes
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise Problem(f"`import {module}` fails ({reason}): {remedy}") from error


def _round_trips(count: int, timeout: float = 5.0) -> list[float]:
    """Milliseconds from a picture sent to its stamp received, between two DDS participants."""
    _import("rclpy", "see ROS above")
    import numpy as np
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

    from vjepa_gate.ros.spinning import spinning_node
    from vjepa_ros.images import rgb_to_fields

    topic = f"vjepa_doctor_{os.getpid()}"
    with spinning_node("doctor_asks") as asks, spinning_node("doctor_answers") as answers:
        answered = threading.Event()
        reply = answers.create_publisher(Header, f"{topic}/answer", 10)

        def answer(image: Image) -> None:
            reply.publish(image.header)

        answers.create_subscription(Image, topic, answer, qos_profile_sensor_data)
        asks.create_subscription(Header, f"{topic}/answer", lambda _: answered.set(), 10)
        camera = asks.create_publisher(Image, topic, qos_profile_sensor_data)

        picture = Image(**rgb_to_fields(np.zeros((480, 640, 3), np.uint8)))
        deadline = time.monotonic() + timeout
        milliseconds: list[float] = []
        while len(milliseconds) < count:
            answered.clear()
            start = time.monotonic()
            camera.publish(picture)
            # The first pictures are sent before the participants have found each other.
            if answered.wait(0.2):
                milliseconds.append(1e3 * (time.monotonic() - start))
            elif time.monotonic() > deadline:
                raise Problem(
                    f"{len(milliseconds)} of {count} pictures came back in {timeout:.0f} s: "
                    "check ROS_DOMAIN_ID, ROS_AUTOMATIC_DISCOVERY_RANGE, the firewall on "
                    "loopback and the room in /dev/shm"
                )
    return milliseconds
