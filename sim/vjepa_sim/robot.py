"""The Franka Panda in one PyBullet world: a tool pose and a width in, joint motors out.

A target is tracked as an impedance controller does: a set-point travels to it with limited
speed and acceleration, the joints follow the set-point with limited torque beyond what
gravity takes, and the set-point stays close where the arm is held up by what it touches.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pybullet

from vjepa_sim import kinematics
from vjepa_sim.bullet import Bullet
from vjepa_sim.geometry import (
    matrix_to_quaternion,
    quaternion_to_matrix,
    rotation_about,
    rotation_vector,
)
from vjepa_sim.rendering import ShadowCaster

MAX_WIDTH = 0.08  # metres between the fingers of the open hand
ASSETS = Path(__file__).parent / "assets"

_ARM = list(range(7))
_FINGER_NAMES = ("panda_finger_joint1", "panda_finger_joint2")
_FINGER_SPEED = 0.05  # m/s for each finger
_FINGER_FRICTION = 1.5
_STIFFNESS = np.repeat((20000.0, 300.0), 3)  # of the tool: N/m, then Nm/rad
_HOLDING = np.repeat((4.0, 1.3), (4, 3))  # Nm with which a joint holds still
# The left finger with its sleeve, for the shadow: from the pad outwards, from palm to tip.
_FINGER_CORNERS = np.array(
    [(x, y, z) for x in (-0.011, 0.011) for y in (0.0, 0.017) for z in (0.0, 0.054)]
)

_PUT_STEPS = 12  # to solve for where it is put: it comes within half a millimetre


@dataclass(frozen=True, kw_only=True)
class ControlConfig:
    """Limits of the motion; the defaults are gentle for a Franka."""

    speed: float = 0.4  # m/s
    acceleration: float = 3.0  # m/s²
    turn_speed: float = 1.5  # rad/s
    leash: float = 0.015  # m that the set-point may be ahead of a blocked arm
    torque: tuple[float, ...] = (15, 15, 15, 15, 6, 6, 6)  # Nm beyond what gravity takes


@dataclass(frozen=True, kw_only=True)
class RobotState:
    """What the robot's own sensors tell; arrays are float64, metres, radians, newton metres."""

    position: np.ndarray  # (3,) TCP in the base frame
    quaternion_xyzw: np.ndarray  # (4,)
    width: float  # between the fingers
    joint_positions: np.ndarray  # (7,)
    joint_velocities: np.ndarray  # (7,)
    joint_torques: np.ndarray  # (7,)
    finger_positions: np.ndarray  # (2,)
    finger_velocities: np.ndarray  # (2,)
    stamp: float  # seconds since the reset


class Robot:
    """Loads the arm into a world; the scene calls `control` at a fixed rate."""

    def __init__(
        self,
        bullet: Bullet,
        config: ControlConfig,
        joints: np.ndarray,
        max_width: float = MAX_WIDTH,
    ) -> None:
        """max_width: metres between the fingers of the open hand."""
        self._bullet = bullet
        self._config = config
        self.max_width = max_width
        self.body = bullet.loadURDF(str(ASSETS / "panda" / "panda.urdf"), useFixedBase=True)
        names = {
            bullet.getJointInfo(self.body, index)[1].decode(): index
            for index in range(bullet.getNumJoints(self.body))
        }
        self.fingers = [names[name] for name in _FINGER_NAMES]
        self._hulls = {index: f"link{index + 1}" for index in _ARM}
        self._hulls[names["panda_hand_joint"]] = "hand"
        self._tie_fingers()

        for index, angle in zip(_ARM, joints, strict=True):
            bullet.resetJointState(self.body, index, angle)
        for finger in self.fingers:
            bullet.resetJointState(self.body, finger, max_width / 2)
            bullet.changeDynamics(
                self.body,
                finger,
                lateralFriction=_FINGER_FRICTION,
                jointLowerLimit=0.0,
                jointUpperLimit=max_width / 2,
            )
        self._command = np.array(joints)  # joint angles that the motors hold
        pose, _ = kinematics.forward(self._command)
        self._position, self._rotation = pose[:3, 3].copy(), pose[:3, :3].copy()
        self._speed = 0.0
        self.target_position, self.target_rotation = self._position, self._rotation
        self.target_width, self.target_force = max_width, 40.0
        self.finger_speed = _FINGER_SPEED
        # Who drives the arm in the place of the set-point, before every step of the physics.
        self.driver: Callable[[], None] | None = None

    def put(self, position: np.ndarray, quaternion_xyzw: np.ndarray, width: float) -> None:
        """Be there at once and at rest; ValueError where the arm does not reach."""
        width = self._within(width)
        rotation = quaternion_to_matrix(np.asarray(quaternion_xyzw, float))
        self._command = joints = kinematics.solve(position, rotation, steps=_PUT_STEPS)
        for index, angle in zip(_ARM, joints, strict=True):
            self._bullet.resetJointState(self.body, index, angle)
        for finger in self.fingers:
            self._bullet.resetJointState(self.body, finger, width / 2)
        self._position, self._rotation, self._speed = position, rotation, 0.0
        self.set_target(position, quaternion_xyzw)
        self.target_width = width

    def set_target(self, position: np.ndarray, quaternion_xyzw: np.ndarray) -> None:
        self.target_position = np.array(position, float)
        self.target_rotation = quaternion_to_matrix(np.asarray(quaternion_xyzw, float))

    def set_gripper(self, width: float, force: float) -> None:
        self.target_width, self.target_force = self._within(width), force

    @property
    def width(self) -> float:
        """Metres between the fingers."""
        fingers = self._bullet.getJointStates(self.body, self.fingers)
        return self._within(sum(finger[0] for finger in fingers))

    def _within(self, width: float) -> float:
        """The width that the hand can have."""
        return min(max(width, 0.0), self.max_width)

    def state(self, stamp: float) -> RobotState:
        arm = self._bullet.getJointStates(self.body, _ARM)
        fingers = self._bullet.getJointStates(self.body, self.fingers)
        joints = np.array([joint[0] for joint in arm])
        pose, _ = kinematics.forward(joints)
        return RobotState(
            position=pose[:3, 3].copy(),
            quaternion_xyzw=matrix_to_quaternion(pose[:3, :3]),
            width=self._within(sum(finger[0] for finger in fingers)),
            joint_positions=joints,
            joint_velocities=np.array([joint[1] for joint in arm]),
            joint_torques=np.array([joint[3] for joint in arm]),
            finger_positions=np.array([finger[0] for finger in fingers]),
            finger_velocities=np.array([finger[1] for finger in fingers]),
            stamp=stamp,
        )

    def shadow_casters(self) -> list[ShadowCaster]:
        """The convex hulls of arm, hand and fingers."""
        casters = [
            ShadowCaster(self.body, link, _hull_points(name)) for link, name in self._hulls.items()
        ]
        for link, side in zip(self.fingers, (1, -1), strict=True):
            casters.append(ShadowCaster(self.body, link, _FINGER_CORNERS * (1, side, 1)))
        return casters

    def control(self, period: float) -> None:
        """One tick: the arm follows its set-point, unless another drives it; so do the fingers."""
        if self.driver is None:
            self._track(period)
        for finger in self.fingers:
            self._bullet.setJointMotorControl2(
                self.body,
                finger,
                pybullet.POSITION_CONTROL,
                targetPosition=self.target_width / 2,
                force=self.target_force,
                maxVelocity=self.finger_speed,
            )

    def before_step(self) -> None:
        if self.driver is not None:
            self.driver()

    def _track(self, period: float) -> None:
        """Move the set-point, solve for the joints, command the motors."""
        states = self._bullet.getJointStates(self.body, _ARM)
        measured = np.array([joint[0] for joint in states])
        previous = self._command
        reached = kinematics.forward(previous)
        pose, jacobian = reached
        lag = jacobian[:3] @ (previous - measured)  # metres, while small
        blocked = self._advance_set_point(pose[:3, 3] - lag, period)

        wanted = kinematics.step_towards(previous, reached, self._position, self._rotation)
        reach = kinematics.MAX_SPEED * period
        self._command = previous + np.clip(wanted - previous, -reach, reach)
        torque = np.array(self._config.torque)
        if blocked:
            # All motors at their limits would push wherever that leads: each may only push as
            # hard as a spring that pulls the tool to the set-point asks of it.
            behind = self._command - measured
            pull = jacobian.T @ (_STIFFNESS * (jacobian @ behind))
            spring = _HOLDING + np.where(pull * behind > 0, np.abs(pull), 0.0)
            torque = np.minimum(spring, torque)
        self._bullet.setJointMotorControlArray(
            self.body,
            _ARM,
            pybullet.POSITION_CONTROL,
            targetPositions=self._command.tolist(),
            targetVelocities=((self._command - previous) / period).tolist(),
            forces=torque.tolist(),
            positionGains=[0.3] * 7,
            velocityGains=[1.0] * 7,
        )

    def _advance_set_point(self, actual: np.ndarray, period: float) -> bool:
        """Move the set-point towards the target; true if the tool cannot keep up with it."""
        config = self._config
        offset = self.target_position - self._position
        distance = math.sqrt(offset @ offset)
        braking = math.sqrt(2 * config.acceleration * distance)
        self._speed = min(config.speed, self._speed + config.acceleration * period, braking)
        move = self._speed * period
        if move >= distance:
            self._position = self.target_position
        else:
            self._position = self._position + offset * (move / distance)
        ahead = self._position - actual
        lead = math.sqrt(ahead @ ahead)
        blocked = lead > config.leash
        if blocked:
            self._position = actual + ahead * (config.leash / lead)
            self._speed = 0.0

        turn = rotation_vector(self.target_rotation @ self._rotation.T)
        angle = math.sqrt(turn @ turn)
        share = min(1.0, config.turn_speed * period / angle) if angle > 0 else 0.0
        self._rotation = rotation_about(share * turn) @ self._rotation
        return blocked

    def _tie_fingers(self) -> None:
        """Both fingers always travel as far, as in the real hand."""
        left, right = self.fingers
        gear = self._bullet.createConstraint(
            self.body,
            left,
            self.body,
            right,
            jointType=pybullet.JOINT_GEAR,
            jointAxis=(1, 0, 0),
            parentFramePosition=(0, 0, 0),
            childFramePosition=(0, 0, 0),
        )
        self._bullet.changeConstraint(gear, gearRatio=-1, erp=0.1, maxForce=50)


@functools.cache
def _hull_points(name: str) -> np.ndarray:
    lines = (ASSETS / "panda" / f"{name}_hull.obj").read_text().splitlines()
    return np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
