"""A laboratory: the robot node in a process of its own, and a node here that talks to it."""

import contextlib
import itertools
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

PROFILE = Path(__file__).parents[3] / "config" / "fastdds.xml"
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# Beside vjepa_ros' tests it is chosen; and each robot here has a namespace of its own.
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(PROFILE)

from control_msgs.action import GripperCommand  # noqa: E402
from geometry_msgs.msg import PoseStamped  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.context import Context  # noqa: E402
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.serialization import deserialize_message  # noqa: E402
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from vjepa_msgs.msg import SceneTruth  # noqa: E402
from vjepa_msgs.srv import ResetScene, StepSim  # noqa: E402

from vjepa_sim.geometry import quaternion_to_matrix  # noqa: E402

NAMESPACES = (f"/robot_{os.getpid()}_{number}" for number in itertools.count())
PATIENCE = 60.0  # seconds: discovery on a busy machine
QUIET = 0.3  # seconds after which nothing more is on its way
SMALL = {"image_width": 64, "image_height": 48}

# In lock-step a second of messages comes in a tenth: the usual depth of 5 would lose some.
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
DEEP_BEST_EFFORT = QoSProfile(depth=5000, reliability=ReliabilityPolicy.BEST_EFFORT)

POSE = "franka_robot_state_broadcaster/current_pose"
FINGERS = "franka_gripper/joint_states"
TOPICS = {
    POSE: PoseStamped,
    FINGERS: JointState,
    "joint_states": JointState,
    "camera/image_raw": Image,
    "camera/camera_info": CameraInfo,
    "camera/image_raw/compressed": CompressedImage,
    "sim/truth": SceneTruth,
}


class RobotProcess:
    """The node under test, as `vjepa_sim_robot` starts it, in a namespace of its own."""

    def __init__(self, log: Path, **parameters: object) -> None:
        self.log = log
        self.namespace = next(NAMESPACES)
        self.hand = "gripper_action"  # name of the action
        if parameters.get("robot") == "fr3":
            self.hand = f"franka_gripper/{self.hand}"
        options = [
            option for name, value in parameters.items() for option in ("-p", f"{name}:={value}")
        ]
        options += ["-r", f"__ns:={self.namespace}"]
        options += ["-r", "/tf:=tf", "-r", "/tf_static:=tf_static"]  # several share a domain
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vjepa_sim.node", "--ros-args", *options],
                stderr=stderr,
                stdout=subprocess.DEVNULL,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self.log.read_text()

    def end(self, with_signal: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        return self.process.wait(PATIENCE)


class Inbox:
    """What has arrived on one topic, in order."""

    def __init__(self) -> None:
        self._messages: list = []
        self._changed = threading.Condition()

    def put(self, message: object) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def clear(self) -> None:
        with self._changed:
            self._messages.clear()

    def wait(self, count: int = 1) -> list:
        """All messages, when there are that many; AssertionError if they do not come."""
        with self._changed:
            complete = self._changed.wait_for(lambda: len(self._messages) >= count, PATIENCE)
            assert complete, f"{len(self._messages)} messages came, {count} were expected"
            return list(self._messages)

    def all(self) -> list:
        """What has come, when nothing more is on its way."""
        count = -1
        while count < len(self._messages):
            count = len(self._messages)
            time.sleep(QUIET)
        with self._changed:
            return list(self._messages)


class Lab:
    """Talks to one robot."""

    def __init__(self, node: Node, hand: str) -> None:
        self.node = node
        self._inboxes: dict[str, Inbox] = {}
        self._target = node.create_publisher(PoseStamped, "target_pose", 1)
        self._hand = ActionClient(node, GripperCommand, hand)
        self._clients: dict[str, object] = {}  # of services and actions, and publishers
        self._sequence = 0

    def connect(self) -> None:
        """Wait until robot and laboratory have found each other."""
        self.until(lambda: self._target.get_subscription_count() == 1)
        assert self._hand.wait_for_server(PATIENCE)

    def until(self, condition) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.01)

    def inbox(self, topic: str, kind: type | None = None) -> Inbox:
        if topic not in self._inboxes:
            inbox = self._inboxes[topic] = Inbox()
            kind = kind or TOPICS[topic]
            self.node.create_subscription(kind, topic, inbox.put, DEEP_BEST_EFFORT)
            self.until(lambda: self.node.count_publishers(topic) == 1)
            time.sleep(QUIET)  # the robot finds the subscription
        self._inboxes[topic].clear()
        return self._inboxes[topic]

    def wait(self, future):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(PATIENCE), "no answer"
        return future.result()

    def send(self, request, *arguments):
        """The future of an action client's request, which the spinning thread sends.

        Sent by another thread, rclpy 7.1.6 takes an answer that comes before the request is
        noted for one to nobody, and waits for ever.
        """
        return self.wait(self.node.executor.create_task(request, *arguments))

    def ask(self, request, *arguments):
        """The answer to an action client's request."""
        return self.wait(self.send(request, *arguments))

    def hear(self, topic: str, kind: type | None = None, seconds: float = 0.05) -> "Heard":
        """The messages that are stamped in so many seconds from now on, in lock-step."""
        kind = kind or TOPICS[topic]
        inbox = self._raw_inbox(topic, kind)
        begin = nanoseconds(self.step(0.002).stamp)
        end = nanoseconds(self.step(seconds).stamp)

        def heard() -> list[bytes]:
            return [message for message in inbox.all() if begin < stamp_of(message, kind) <= end]

        self.until(heard)
        return Heard(kind, heard())

    def silent(self, topic: str, kind: type, seconds: float = 0.2) -> bool:
        """Whether nothing is stamped in so many seconds from now on, in lock-step."""
        inbox = self._raw_inbox(topic, kind)
        begin = nanoseconds(self.step(0.002).stamp)
        self.step(seconds)
        return all(stamp_of(message, kind) <= begin for message in inbox.all())

    def _raw_inbox(self, topic: str, kind: type) -> Inbox:
        """Of bytes: a thousand states a second are more than a test can convert."""
        name = f"{topic} as bytes"
        if name not in self._inboxes:
            inbox = self._inboxes[name] = Inbox()
            self.node.create_subscription(kind, topic, inbox.put, DEEP_BEST_EFFORT, raw=True)
            self.until(lambda: self.node.count_publishers(topic) == 1)
            time.sleep(QUIET)  # the robot finds the subscription
        self._inboxes[name].clear()
        return self._inboxes[name]

    def tool_in_tf(self, tool: str) -> np.ndarray:
        """The tool in `base` (4, 4), from the newest of /tf and /tf_static."""
        static: list[TFMessage] = []
        self.node.create_subscription(TFMessage, "tf_static", static.append, LATCHED)
        moving = self.hear("tf", TFMessage, 0.3)
        self.until(lambda: static)
        placed = {}
        for transform in [*static[0].transforms, *moving[-1].transforms]:
            at, turn = transform.transform.translation, transform.transform.rotation
            pose = np.eye(4)
            pose[:3, :3] = quaternion_to_matrix(np.array((turn.x, turn.y, turn.z, turn.w)))
            pose[:3, 3] = at.x, at.y, at.z
            placed[transform.child_frame_id] = transform.header.frame_id, pose
        frame, pose = tool, np.eye(4)
        while frame != "base":
            frame, link = placed[frame]
            pose = link @ pose
        return pose

    def call(self, kind: type, name: str, /, **fields: object):
        if name not in self._clients:
            self._clients[name] = self.node.create_client(kind, name)
        client = self._clients[name]
        assert client.wait_for_service(PATIENCE), f"no service {name}"
        return self.wait(client.call_async(kind.Request(**fields)))

    def publisher(self, kind: type, topic: str):
        """When the robot has found it."""
        if topic not in self._clients:
            self._clients[topic] = self.node.create_publisher(kind, topic, 1)
        publisher = self._clients[topic]
        self.until(lambda: publisher.get_subscription_count() == 1)
        return publisher

    def reset(self, seed: int = 0, **fields: object) -> ResetScene.Response:
        return self.call(ResetScene, "sim/reset", seed=seed, **fields)

    def step(self, seconds: float, **fields: object) -> StepSim.Response:
        return self.call(StepSim, "sim/step", seconds=seconds, **fields)

    def recover(self) -> Trigger.Response:
        return self.call(Trigger, "error_recovery")

    def set(self, **parameters: object):
        """Set parameters at run time; `__` stands for a dot."""
        given = [
            Parameter(name.replace("__", "."), value=value).to_parameter_msg()
            for name, value in parameters.items()
        ]
        name = "vjepa_sim_robot/set_parameters"
        return self.call(SetParameters, name, parameters=given).results

    def send_target(self, position, quaternion=(1.0, 0.0, 0.0, 0.0), frame="base"):
        """Returns the stamp, for StepSim.after_target."""
        target = PoseStamped()
        self._sequence += 1
        target.header.frame_id, target.header.stamp.sec = frame, self._sequence
        pose = target.pose
        pose.position.x, pose.position.y, pose.position.z = map(float, position)
        turn = pose.orientation
        turn.x, turn.y, turn.z, turn.w = map(float, quaternion)
        self._target.publish(target)
        return target.header.stamp

    def move(self, position, seconds: float, **target: object) -> np.ndarray:
        """Send a target and let time pass, in lock-step; the tool's positions on the way."""
        poses = self.inbox(POSE)
        stamp = self.send_target(position, **target)
        assert self.step(seconds, after_target=stamp).success
        return np.array([xyz(pose) for pose in poses.all()])

    def grip(self, position: float, max_effort: float = 0.0, on_feedback=None):
        """The goal handle, as soon as the hand has accepted or rejected."""
        goal = GripperCommand.Goal()
        goal.command.position, goal.command.max_effort = position, max_effort
        return self.ask(self._hand.send_goal_async, goal, on_feedback)

    def send_goal(self, kind: type, name: str, /, **fields: object):
        """The goal handle of any action, as soon as it is accepted."""
        if name not in self._clients:
            self._clients[name] = ActionClient(self.node, kind, name)
        client = self._clients[name]
        assert client.wait_for_server(PATIENCE), f"no action {name}"
        return self.ask(client.send_goal_async, kind.Goal(**fields))

    def destroy(self) -> None:
        for client in [self._hand, *self._clients.values()]:
            if isinstance(client, ActionClient):
                client.destroy()


def nanoseconds(stamp) -> int:
    return 10**9 * stamp.sec + stamp.nanosec


def stamp_of(message: bytes, kind: type) -> int:
    """Nanoseconds; a header is what a message begins with, or its first transform."""
    seconds, rest = struct.unpack_from("<iI", message, 8 if kind.__name__ == "TFMessage" else 4)
    return 10**9 * seconds + rest


class Heard(Sequence):
    """Messages as bytes, converted when they are looked at."""

    def __init__(self, kind: type, messages: list[bytes]) -> None:
        self._kind, self._messages = kind, messages

    def __len__(self) -> int:
        return len(self._messages)

    def __getitem__(self, index: int):
        return deserialize_message(self._messages[index], self._kind)

    @property
    def stamps(self) -> np.ndarray:
        """Nanoseconds."""
        return np.array([stamp_of(message, self._kind) for message in self._messages])


def xyz(pose: PoseStamped) -> tuple[float, float, float]:
    return pose.pose.position.x, pose.pose.position.y, pose.pose.position.z


@contextlib.contextmanager
def lab_of(robot: RobotProcess) -> Iterator[Lab]:
    """A laboratory in the robot's namespace, when the two have found each other."""
    context = Context()
    context.init()
    node = Node("laboratory", context=context, namespace=robot.namespace)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin)
    thread.start()
    lab = Lab(node, robot.hand)
    try:
        lab.connect()
        yield lab
    finally:
        executor.shutdown(timeout_sec=2)
        thread.join()
        lab.destroy()
        node.destroy_node()
        context.try_shutdown()


@pytest.fixture(scope="module")
def start_robot(tmp_path_factory):
    """Starts robots; those that still run at the end must end with 0."""
    robots: list[RobotProcess] = []

    def start(**parameters: object) -> RobotProcess:
        log = tmp_path_factory.mktemp("robot") / "log"
        robots.append(RobotProcess(log, **{**SMALL, **parameters}))
        return robots[-1]

    yield start
    alive = [robot for robot in robots if robot.process.poll() is None]
    assert [robot.end() for robot in alive] == [0] * len(alive)


@pytest.fixture(scope="session")
def new_lab():
    """For a test that starts a robot of its own: `with new_lab(robot) as lab`."""
    return lab_of


@pytest.fixture(scope="module")
def lockstep(start_robot) -> RobotProcess:
    return start_robot(mode="lockstep")


@pytest.fixture(scope="module")
def module_lab(lockstep):
    with lab_of(lockstep) as lab:
        yield lab


@pytest.fixture
def lab(lockstep, module_lab):
    """A robot in lock-step, at the start of a scene."""
    assert lockstep.process.poll() is None, lockstep.said()
    assert module_lab.reset(seed=0, task="grasp", object="cube").success
    return module_lab
