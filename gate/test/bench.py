"""A stand-in for the robot, its camera and a planner, known to the gate by their topics."""

import contextlib
import gc
import time

import numpy as np
import pytest
from control_msgs.action import GripperCommand
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, TwistStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionServer, GoalResponse
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, JointState
from std_srvs.srv import Trigger
from vjepa_msgs.msg import EndEffectorDelta

from vjepa_gate.arm_gate import ArmGate
from vjepa_gate.ros.spinning import ask, spinning, spinning_node

PATIENCE = 20  # seconds: discovery, and what starts anew, on a busy machine


class Watcher:
    """Keeps targets and diagnostics; asks services."""

    def __init__(self, node):
        self.node = node
        self.targets, self.diagnostics, self.clients = [], {}, {}
        deep = QoSProfile(depth=1000)
        node.create_subscription(PoseStamped, "target_pose", self.on_target, deep)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 100)

    def on_target(self, message):
        self.targets.append(message)

    def _on_diagnostics(self, message):
        self.diagnostics |= {status.name: status for status in message.status}

    def level(self, name):
        return self.diagnostics[name].level if name in self.diagnostics else None

    def told(self, name):
        """The newest message of a node."""
        return self.diagnostics[name].message if name in self.diagnostics else ""

    def wait_until_told(self, name, text):
        until(lambda: text in self.told(name), text, lambda: self.told(name))

    def call(self, kind, service, request):
        if service not in self.clients:
            client = self.clients[service] = self.node.create_client(kind, service)
            assert client.wait_for_service(PATIENCE), f"{service} never found"
            time.sleep(0.5)  # an answer before the server knows this client would be lost
        return ask(self.node, self.clients[service].call_async, request, timeout=PATIENCE)

    def transit(self, name, transition):
        wanted = Transition(id=getattr(Transition, f"TRANSITION_{transition.upper()}"))
        request = ChangeState.Request(transition=wanted)
        return self.call(ChangeState, f"/{name}/change_state", request).success

    def set(self, name, **values):
        """Why parameters of a node were refused, or nothing."""
        parameters = [Parameter(key, value=value) for key, value in values.items()]
        request = SetParameters.Request(parameters=[one.to_parameter_msg() for one in parameters])
        results = self.call(SetParameters, f"/{name}/set_parameters", request).results
        return "; ".join(result.reason for result in results if not result.successful)

    def stream(self, newest=0):
        """Stamps [T], positions [T, 3] and quaternions [T, 4] of the targets so far."""
        targets = self.targets[-newest:]
        positions = [(t.pose.position.x, t.pose.position.y, t.pose.position.z) for t in targets]
        turns = [(o.x, o.y, o.z, o.w) for o in (target.pose.orientation for target in targets)]
        stamps = [t.header.stamp.sec + 1e-9 * t.header.stamp.nanosec for t in targets]
        return np.array(stamps), np.array(positions), np.array(turns)

    def speed(self, count):
        """Of the newest targets, m/s."""
        stamps, positions, _ = self.stream(count)
        return np.linalg.norm(positions[-1] - positions[0]) / (stamps[-1] - stamps[0])

    def wait_until_moving(self):
        until(lambda: len(self.targets) > 10 and self.speed(10) > 0.02, "moving")

    def wait_until_still(self):
        until(lambda: len(self.targets) > 10 and self.speed(2) < 1e-6, "still")


class Bench(Watcher):
    """Poses and fingers at 50 Hz, images at 10 Hz; keeps the targets, goals and diagnostics.

    Each image is another, as a real camera's noise makes it; except with "frozen" in `alive`.
    """

    def __init__(self, node):
        super().__init__(node)
        self.alive = {"pose", "fingers", "camera"}
        self.position, self.width = [0.5, 0.0, 0.3], 0.08
        self.follows = True
        self.twists, self.shadows = [], []
        self.gripper_goals, self.gripper_accepts = [], True
        self.sequence = self.images_shown = 0
        self.gate = "arm_gate"
        self.deltas = node.create_publisher(EndEffectorDelta, "ee_delta", 10)
        qos = qos_profile_sensor_data
        self.poses = node.create_publisher(
            PoseStamped, "franka_robot_state_broadcaster/current_pose", qos
        )
        self.joints = node.create_publisher(JointState, "franka_gripper/joint_states", qos)
        self.images = node.create_publisher(Image, "camera/image_raw", qos)
        node.create_subscription(TwistStamped, "target_twist", self.twists.append, 100)
        node.create_subscription(PoseStamped, "/arm_gate/shadow_target", self.shadows.append, 100)
        node.create_timer(0.02, self._publish_state)
        node.create_timer(0.1, self._publish_image)
        self.server = ActionServer(
            node,
            GripperCommand,
            "gripper_action",
            self._close,
            goal_callback=lambda _: (
                GoalResponse.ACCEPT if self.gripper_accepts else GoalResponse.REJECT
            ),
        )

    # --- the robot ---

    def on_target(self, message):
        super().on_target(message)
        if self.follows:
            wanted = message.pose.position
            self.position = [wanted.x, wanted.y, wanted.z]

    def _publish_state(self):
        stamp = self.node.get_clock().now().to_msg()
        if "pose" in self.alive:
            pose = PoseStamped()
            pose.header.stamp, pose.header.frame_id = stamp, "base"
            pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = self.position
            pose.pose.orientation.x, pose.pose.orientation.w = 1.0, 0.0
            self.poses.publish(pose)
        if "fingers" in self.alive:
            names = ["panda_finger_joint1", "panda_finger_joint2"]
            joints = JointState(name=names, position=[self.width / 2] * 2)
            joints.header.stamp = stamp
            self.joints.publish(joints)

    def _publish_image(self):
        if "camera" in self.alive:
            self.images_shown += "frozen" not in self.alive
            pixels = self.images_shown.to_bytes(12, "little")
            image = Image(height=2, width=2, step=6, encoding="rgb8", data=pixels)
            image.header.stamp = self.node.get_clock().now().to_msg()
            self.images.publish(image)

    def _close(self, goal):
        self.gripper_goals.append(goal.request.command)
        goal.succeed()
        return GripperCommand.Result(reached_goal=True)

    # --- the planner ---

    def send(self, publisher=None, **values):
        """An action planned just now, with what is given instead."""
        self.sequence += 1
        stamp = self.node.get_clock().now().to_msg()
        delta = EndEffectorDelta(image_stamp=stamp, sequence=self.sequence, duration=0.5)
        delta.header.stamp, delta.header.frame_id = stamp, values.pop("frame", "base")
        for name, value in values.items():
            setattr(delta, name, value)
        (publisher or self.deltas).publish(delta)

    # --- who watches the gate, or the node that `gate` names ---

    def status(self):
        return self.diagnostics.get(self.gate)

    def wait_until_ready(self):
        """For an action; a hold of another level waits for the camera or the arm."""
        until(
            lambda: (
                self.level(self.gate) == DiagnosticStatus.OK and "holding: " in self.told(self.gate)
            ),
            "ready",
            lambda: self.told(self.gate),
        )

    def wait_for_status(self, text):
        self.wait_until_told(self.gate, text)

    def values(self):
        return {value.key: value.value for value in self.status().values}

    def change_state(self, name):
        return self.transit(self.gate, name)

    def trigger(self, name):
        return self.call(Trigger, f"/{self.gate}/{name}", Trigger.Request())


def until(true, what, told=lambda: ""):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"never {what}: {told()}"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def wait_until():
    return until


@pytest.fixture(scope="session")
def watch():
    return Watcher


@pytest.fixture
def bench():
    with spinning_node("bench") as node:
        bench = Bench(node)
        yield bench
        bench.server.destroy()


@pytest.fixture
def start_gate(bench):
    """Starts gates in this process, each served by a thread of its own.

    In the bench's DDS participant: one of two in a process now and then never hears of an endpoint
    of the other, and a service half of which is unknown is never ready (rmw_fastrtps, issue 792).
    """
    with contextlib.ExitStack() as started:

        def start(**parameters):
            parameters = {"max_state_age": 1.0} | parameters  # this machine has other work to do
            overrides = [Parameter(name, value=value) for name, value in parameters.items()]
            gate = ArmGate(context=bench.node.context, parameter_overrides=overrides)
            started.callback(gate.destroy_node)
            started.callback(gate.trigger_shutdown)
            started.enter_context(spinning(gate))
            return gate

        yield start
    gc.collect()  # rclpy leaves services of a destroyed node in the graph until then


@pytest.fixture
def active_gate(bench, start_gate):
    """Starts a gate, and waits until it is ready for actions."""

    def start(**parameters):
        gate = start_gate(**parameters)
        assert bench.change_state("configure")
        assert bench.change_state("activate")
        bench.wait_until_ready()
        return gate

    return start
