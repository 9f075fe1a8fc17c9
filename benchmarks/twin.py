"""What robot fr3 costs at 1 kHz, and what it costs in Python to listen to it.

    python benchmarks/twin.py
    python benchmarks/twin.py --gate-only --beside ../another_checkout

In shares of a core, each over some seconds of real time: the twin's process while nobody, then
somebody listens, with and without its camera; and a second process that hears each of its fast
topics, as messages and as bytes; and the arm gate, which hears the whole state, and moves the arm,
at the same time as an empty node that hears the same and sends as much: what ROS itself costs, in
rclpy and, of both, in DDS's own threads. `--beside` runs the gate of another checkout in the same
minutes, too, twice: the one whose targets the arm follows has more to do. Needs an idle machine:
what the twin has no time for does not come (how much came is told), and whoever wakes a hundred
times a second beside busy neighbours pays for their use of the caches.
"""

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from franka_msgs.msg import FrankaRobotState
from geometry_msgs.msg import PoseStamped, WrenchStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import Image
from sim_node import cpu_seconds, robot  # sets the environment of DDS
from vjepa_msgs.msg import EndEffectorDelta

from vjepa_gate.robots import Topic
from vjepa_gate.ros.spinning import spinning_node
from vjepa_gate.ros.thinned import Thinned, apart
from vjepa_gate.ros.timers import steady_timer
from vjepa_gate.serialized import write_stamped

STATES = "franka_robot_state_broadcaster"
STATE = f"{STATES}/robot_state"
# What comes fast of a robot, and is heard.
FAST = {
    "franka_crisp": (FrankaRobotState, STATE),
    "sim": (PoseStamped, f"{STATES}/current_pose"),
}
TARGETS = {"arm_gate": "target_pose", "other": "other_target", "empty": "empty_target"}
LISTENERS = (
    ("nobody listens", None, "", False),
    ("robot_state, as bytes", FrankaRobotState, STATE, True),
    ("robot_state", FrankaRobotState, STATE, False),
    ("current_pose", PoseStamped, f"{STATES}/current_pose", False),
    ("external wrench", WrenchStamped, f"{STATES}/external_wrench_in_base_frame", False),
    ("pictures", Image, "camera/camera/color/image_raw", False),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--gate-only", action="store_true", help="nothing but the arm gate")
    parser.add_argument("--beside", type=Path, help="a checkout whose arm gate is measured, too")
    parser.add_argument("--empty-node", choices=FAST, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.empty_node:
        empty_node(*FAST[options.empty_node])
    with robot(size=256, robot="fr3", mode="real") as pid:
        if not options.gate_only:
            hear(pid, options.seconds)
        print("at the twin's 1 kHz:")
        gates("franka_crisp", options.seconds, options.beside)
    with robot(size=256, mode="real"):
        print("at robot sim's 100 Hz:")
        gates("sim", options.seconds, options.beside)


def hear(pid: int, seconds: float) -> None:
    print("heard                      messages/s    twin  listener: share of a core, ms a message")
    for name, kind, topic, raw in LISTENERS:
        with spinning_node("listener") as node:
            print(f"{name:26}" + measure(pid, seconds, subscribe(node, kind, topic, raw)))


def gates(robot_file: str, seconds: float, beside: Path | None) -> None:
    """Measure arm gates and an empty node, all at once; of two, first the one moves the arm."""
    checkouts = [Path(__file__).parents[1], *([beside.resolve()] if beside else [])]
    for order in (checkouts, checkouts[::-1]) if beside else (checkouts,):
        commands = {
            f"the arm gate of {path.name}{which}": arm_gate(path, robot_file, name)
            for path, name, which in zip(order, TARGETS, (", moving", ", beside it"), strict=False)
        }
        commands["an empty node"] = [sys.executable, __file__, "--empty-node", robot_file]
        measure_all(commands, robot_file, seconds)


def measure_all(commands: dict[str, list[str | Path]], robot_file: str, seconds: float) -> None:
    with ExitStack() as stack, spinning_node("planner") as node:
        started = {name: stack.enter_context(running(what)) for name, what in commands.items()}
        act_every(node, 0.4)
        arrived = count_of(node, *FAST[robot_file])
        time.sleep(6)  # found each other
        before = {name: shares(pid) for name, pid in started.items()}
        arrived()
        time.sleep(seconds)
        print(f"  of the state {arrived() / seconds:.0f} messages a second came")
        for name, pid in started.items():
            dds, rest = (
                100 * (now - then) / seconds
                for now, then in zip(shares(pid), before[name], strict=True)
            )
            print(f"  {name:40} {dds + rest:5.1f} % of a core, DDS's threads {dds:.1f} % of it")


def shares(pid: int) -> tuple[float, float]:
    """CPU seconds of DDS's threads, and of the others."""
    dds = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("dds."):
            dds += cpu_seconds(f"{pid}/task/{task.name}")
    return dds, cpu_seconds(pid) - dds


def count_of(node: Node, kind: type, name: str) -> Callable[[], int]:
    """Start to hear; returns how many messages have come since it was asked last."""
    queue = QoSProfile(depth=5000, reliability=ReliabilityPolicy.BEST_EFFORT)  # DDS keeps no more
    heard = apart(node, "counts").create_subscription(kind, name, lambda _: None, queue, raw=True)
    found = 0

    def look() -> None:
        nonlocal found
        while heard.handle.take_message(kind, True) is not None:
            found += 1

    def count() -> int:
        nonlocal found
        counted, found = found, 0
        return counted

    steady_timer(node, 0.5, look)
    return count


def empty_node(kind: type, name: str) -> None:
    """Hear what the arm gate hears, and send as much, for ever."""
    with spinning_node("empty") as node:
        fast = Thinned(node)
        fast.subscribe(kind, Topic(name=name, reliability="best_effort"), lambda _: None)
        subscribe(node, *LISTENERS[-1][1:3], raw=True)
        targets = node.create_publisher(PoseStamped, TARGETS["empty"], 1)
        target = write_stamped(0.0, "base", (0.0,) * 7)

        def turn() -> None:
            fast.look()
            targets.publish(target)

        steady_timer(node, 0.01, turn)
        signal.pause()


def subscribe(node: Node, kind: type | None, topic: str, raw: bool) -> Callable[[], int]:
    """Start to listen; returns how many messages have come."""
    count = 0

    def note(_: object) -> None:
        nonlocal count
        count += 1

    if kind is not None:
        node.create_subscription(kind, topic, note, qos_profile_sensor_data, raw=raw)
    return lambda: count


def arm_gate(checkout: Path, robot_file: str, name: str) -> list[str | Path]:
    options = (f"robot:={robot_file}", "max_state_age:=2.0", "max_camera_age:=5.0")
    remaps = (f"__node:={name}", f"target_pose:={TARGETS[name]}")
    given = [("-r", remap) for remap in remaps] + [("-p", option) for option in options]
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); "
        "from vjepa_gate.arm_gate import main; sys.exit(main())"
    )
    arguments = ["--autostart", "--ros-args", *(part for pair in given for part in pair)]
    return [sys.executable, "-c", program, checkout / "gate", *arguments]


@contextmanager
def running(command: list[str | Path]) -> Iterator[int]:
    """A process; its id."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stderr=quiet, stdout=quiet)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def act_every(node: Node, seconds: float) -> None:
    """Ask for an action back and forth, and listen to all that comes of it."""
    deltas, sequence = node.create_publisher(EndEffectorDelta, "ee_delta", 10), 0
    unserved = apart(node, "hears")
    for topic in TARGETS.values():
        unserved.create_subscription(PoseStamped, topic, lambda _: None, 1)

    def act() -> None:
        nonlocal sequence
        sequence += 1
        stamp = node.get_clock().now().to_msg()
        dx = 0.02 if sequence % 2 else -0.02
        delta = EndEffectorDelta(image_stamp=stamp, sequence=sequence, duration=0.3, dx=dx)
        delta.header.stamp, delta.header.frame_id = stamp, "base"
        deltas.publish(delta)

    node.create_timer(seconds, act)


def measure(pid: int, seconds: float, heard: Callable[[], int]) -> str:
    time.sleep(3)  # found each other
    before = cpu_seconds(pid), time.process_time(), heard()
    time.sleep(seconds)
    twin, listener = cpu_seconds(pid) - before[0], time.process_time() - before[1]
    count = heard() - before[2]
    each = f"{1e3 * listener / count:.2f}" if count else "-"
    shares = f"{100 * twin / seconds:4.0f} %  {100 * listener / seconds:8.0f} %"
    return f" {count / seconds:10.0f}  {shares}  {each:>6}"


if __name__ == "__main__":
    main()
