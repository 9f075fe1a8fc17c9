"""What the broadcasters of an FR3 tell: the whole state, and parts of it on topics of their own."""

import math
import time
from typing import Any

import numpy as np
from franka_msgs.msg import FrankaRobotState
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_system_default
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from vjepa_sim.faults import Faults, Line
from vjepa_sim.fr3.arm import CONTACT, JOINTS, MOVE, POSES, STATES, Fr3Arm
from vjepa_sim.fr3.compliant import CompliantArm
from vjepa_sim.fr3.description import ARM_JOINTS, BASE, PREFIX, TOOL
from vjepa_sim.geometry import X, matrix_to_quaternion, rotation_about
from vjepa_sim.kinematics import TCP_OFFSET
from vjepa_sim.ros.wire import Wire

_BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_HAND_MASS = 0.73  # kg, as Desk has it
_FLANGE_TO_TOOL = rotation_about(np.array((0.0, 0.0, -np.pi / 4)))

# Topics beside the whole state, each a field of it.
_PARTS = {
    "current_pose": "o_t_ee",
    "last_desired_pose": "o_t_ee_d",
    "desired_end_effector_twist": "o_dp_ee_d",
    "measured_joint_states": "measured_joint_state",
    "external_wrench_in_stiffness_frame": "k_f_ext_hat_k",
    "external_wrench_in_base_frame": "o_f_ext_hat_k",
    "external_joint_torques": "tau_ext_hat_filtered",
    "desired_joint_states": "desired_joint_state",
}
_LOOK = 0.01  # seconds between two looks at who listens
_JOINT_STATES = ("measured_joint_state", "desired_joint_state", "measured_joint_motor_state")


class _Topic:
    """One topic of bytes, sent only if somebody listens."""

    def __init__(self, publisher: Publisher, message: Any, *seed: int) -> None:
        self._publisher = publisher
        self.wire = Wire(message)
        self._line = Line[bytes](publisher.publish, *seed)
        self.wanted = False

    def look(self) -> None:
        """Whether somebody listens."""
        self.wanted = self._publisher.get_subscription_count() > 0

    def send(self, nanoseconds: int, now: float, faults: Faults) -> None:
        self.wire.stamp(nanoseconds)
        self._line.send(bytes(self.wire), now, faults)


class States:
    def __init__(self, node: Node, rate: int, desk_end_effector: str, seed: int) -> None:
        """rate: Hz of the parts."""
        self._on_flange = desk_end_effector == "none"
        self._skip = max(1, 1000 // rate)
        template = _template()

        def topic(name: str, qos: QoSProfile, message: Any, number: int) -> _Topic:
            return _Topic(node.create_publisher(type(message), name, qos), message, seed, number)

        self._whole = topic(f"{STATES}/robot_state", qos_profile_system_default, template, 10)
        parts = [
            topic(f"{STATES}/{name}", _BEST_EFFORT, getattr(template, field), 11 + number)
            for number, (name, field) in enumerate(_PARTS.items())
        ]
        pose = PoseStamped(header=Header(frame_id=BASE))
        self._pose = topic("current_pose", qos_profile_system_default, pose, 30)
        joints = template.measured_joint_state
        self._joints = topic("franka/joint_states", qos_profile_system_default, joints, 31)

        whole = self._whole.wire
        fields = (*_PARTS.values(), "measured_joint_state")
        topics = (*parts, self._joints)
        self._parts = [
            (part, part.wire.shared(whole, field))
            for part, field in zip(topics, fields, strict=True)
        ]
        self._tool = self._pose.wire.slots(("pose.position.x", 7))
        self._of_step = whole.slots(
            *((f"{place}.velocity[0]", 7) for place in _JOINT_STATES),
            ("measured_joint_state.effort[0]", 7),
            ("tau_ext_hat_filtered.effort[0]", 7),
            ("o_dp_ee_d.twist.linear.x", 6),
            ("o_f_ext_hat_k.wrench.force.x", 6),
            ("k_f_ext_hat_k.wrench.force.x", 6),
            ("collision_indicators.is_cartesian_linear_collision.x", 12),
            ("elbow.position[0]", 2),
            ("control_command_success_rate", 1),
        )
        self._of_moment = whole.slots(
            *((f"{place}.position[0]", 7) for place in _JOINT_STATES),
            *((f"{place}.pose.position.x", 7) for place in ("o_t_ee", "o_t_ee_d", "o_t_ee_c")),
            ("time", 1),
        )
        self._mode = whole.small("robot_mode")
        self._reflex = whole.small("current_errors.cartesian_reflex")
        self._count, self._looked, self._told = 0, -math.inf, -1.0
        self._frozen: tuple[np.ndarray, np.ndarray] | None = None

    def publish(
        self, arm: Fr3Arm, asked: float, nanoseconds: int, now: float, faults: Faults
    ) -> None:
        """asked: seconds since the scene's reset; now: simulated seconds."""
        self._look()
        self._count += 1
        body = arm.body
        since = asked - body.read_at  # the physics is slower than the state
        position, rotation = self._seen(body, since, faults)
        if body.read_at != self._told:
            self._put_step(arm, rotation)
            self._told = body.read_at
        self._mode[:], self._reflex[:] = arm.mode, arm.reflex
        joints = body.joints + since * body.speeds
        pose = self._desk(position, rotation)
        moment = np.concatenate((joints, joints, joints, pose, pose, pose, (now,)))
        self._whole.wire.put(self._of_moment, moment)

        if STATES in arm.active and self._whole.wanted:
            self._whole.send(nanoseconds, now, faults)
        for part, slots in self._parts:
            own = JOINTS if part is self._joints else STATES
            due = part is self._joints or self._count % self._skip == 0
            if part.wanted and due and own in arm.active:
                part.wire.copy(self._whole.wire, slots)
                part.send(nanoseconds, now, faults)
        if POSES in arm.active and self._pose.wanted:
            self._pose.wire.put(self._tool, _pose(position, rotation))
            self._pose.send(nanoseconds, now, faults)

    def _look(self) -> None:
        """Who listens may change; asking takes longer than sending."""
        moment = time.monotonic()
        if moment - self._looked > _LOOK:
            self._looked = moment
            for topic in (self._whole, self._pose, *(part for part, _ in self._parts)):
                topic.look()

    def _seen(
        self, body: CompliantArm, since: float, faults: Faults
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where the tool is, as it is measured."""
        position = body.position + since * body.twist[:3]
        x, y, z = since * body.twist[3:]
        turn = np.array(((1.0, -z, y), (z, 1.0, -x), (-y, x, 1.0)))  # by a small angle
        tool = position, turn @ body.rotation
        if not faults.pose_freeze or self._frozen is None:
            self._frozen = tool
        position, rotation = self._frozen
        return position + faults.pose_offset * X, rotation

    def _desk(self, position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
        """The pose (7,) of the end effector that Desk was told of."""
        if self._on_flange:
            return _pose(position - TCP_OFFSET * rotation[:, 2], rotation @ _FLANGE_TO_TOOL.T)
        return _pose(position, rotation)

    def _put_step(self, arm: Fr3Arm, rotation: np.ndarray) -> None:
        """What is new after a step of the physics."""
        body, felt = arm.body, arm.body.felt
        share = np.abs(felt) / arm.reflex_force
        step = (
            *(body.speeds for _ in _JOINT_STATES),
            body.torques,
            body.jacobian.T @ felt,
            body.twist,
            felt,
            (felt.reshape(2, 3) @ rotation).ravel(),
            share > 1,
            share > CONTACT,
            (body.joints[2], -1.0),
            (float(arm.mode == MOVE),),
        )
        self._whole.wire.put(self._of_step, np.concatenate(step))


def _pose(position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    return np.concatenate((position, matrix_to_quaternion(rotation)))


def _joint_fields() -> dict[str, Any]:
    zeros = [0.0] * 7
    return {"name": list(ARM_JOINTS), "position": zeros, "velocity": zeros, "effort": zeros}


def _template() -> FrankaRobotState:
    """A state with all names, frames and lengths."""
    state = FrankaRobotState()
    for place in (*_JOINT_STATES, "tau_ext_hat_filtered"):
        setattr(state, place, JointState(header=Header(frame_id=BASE), **_joint_fields()))
    in_base = ("o_f_ext_hat_k", "o_t_ee", "o_t_ee_d", "o_t_ee_c", "o_dp_ee_d", "o_dp_ee_c")
    for place in (*in_base, "o_ddp_ee_c"):
        getattr(state, place).header.frame_id = BASE
    for place in ("k_f_ext_hat_k", "ee_t_k", "inertia_ee", "inertia_total"):
        getattr(state, place).header.frame_id = TOOL
    for place in ("f_t_ee", "inertia_load"):
        getattr(state, place).header.frame_id = f"{PREFIX}_link8"
    state.inertia_ee.inertia.m = state.inertia_total.inertia.m = _HAND_MASS
    return state
