"""The arm as torques move it: pulled by a wrench at the tool, weightless, or held by its brakes."""

import numpy as np
import pybullet

from vjepa_sim import kinematics
from vjepa_sim.bullet import Bullet
from vjepa_sim.robot import Robot

_ARM = list(range(7))
_MAX_TORQUE = np.array((87.0, 87, 87, 87, 12, 12, 12))  # Nm
_INERTIA = 0.1  # kg m² of a link, most of it the motor's behind its gear
_POSTURE_STIFFNESS = 2.0  # Nm/rad with which the elbow stays, where the tool does not mind …
_POSTURE_DAMPING = 2.8  # Nm/(rad/s) … and comes to rest
_FRICTION = 2.0  # Nm/(rad/s) of a joint
_REGULAR = 1e-4 * np.eye(6)
_MARGIN = 0.045  # metres between links that count as a collision
# Links that can come near each other: the base is -1, the hand 8.
_APART = [(a, b) for a in range(-1, 4) for b in (4, 5, 6, 8) if b - a > 4]
_FILTER = 0.03  # seconds of the low-pass on the felt wrench


class CompliantArm:
    """Call `read`, then `drive`, before every step of the physics."""

    def __init__(self, bullet: Bullet, robot: Robot, period: float) -> None:
        self._bullet, self._body = bullet, robot.body
        self._hand = min(robot.fingers) - 1
        self._moving = [*_ARM, *robot.fingers]
        self._blend = period / (_FILTER + period)
        self._braked: bool | None = None  # not known yet
        self.push = np.zeros(3)  # newtons on the tool, in the base frame
        self.felt = np.zeros(6)  # N and Nm from outside on the tool, in the base frame, smoothed
        self.torques = np.zeros(7)  # Nm, gravity's included
        for link in _ARM:
            bullet.changeDynamics(robot.body, link, localInertiaDiagonal=(_INERTIA,) * 3)
        self.read(0.0)
        self.posture = self.joints

    def read(self, now: float) -> None:
        """Measure; now is seconds since the scene's reset."""
        self.read_at = now
        states = self._bullet.getJointStates(self._body, self._moving)
        self._positions = [state[0] for state in states]
        self._velocities = [state[1] for state in states]
        self.joints = np.array(self._positions[:7])
        self.speeds = np.array(self._velocities[:7])
        pose, self.jacobian = kinematics.forward(self.joints)
        self.position, self.rotation = pose[:3, 3], pose[:3, :3]
        self.twist = self.jacobian @ self.speeds  # m/s, rad/s
        self.felt = self.felt + self._blend * (self._touched() - self.felt)

    def drive(self, wrench: np.ndarray | None) -> None:
        """Pull the tool with a wrench (6,), beyond what gravity takes; None: brakes."""
        if wrench is None:
            self._brake()
        else:
            self._pull(wrench)
        if self.push.any():
            self._bullet.applyExternalForce(
                self._body,
                self._hand,
                self.push.tolist(),
                self.position.tolist(),
                pybullet.WORLD_FRAME,
            )

    def near_itself(self) -> bool:
        """Whether links that are no neighbours are nearer than the margin."""
        return any(
            self._bullet.getClosestPoints(self._body, self._body, _MARGIN, *pair) for pair in _APART
        )

    def _pull(self, wrench: np.ndarray) -> None:
        if self._braked is not False:
            self._motors(pybullet.VELOCITY_CONTROL, forces=[0.0] * 7)
            self._braked = False
        gravity = self._bullet.calculateInverseDynamics(
            self._body, self._positions, self._velocities, [0.0] * len(self._moving)
        )[:7]
        torques = self.jacobian.T @ wrench + self._keep_posture() + gravity
        torques -= _FRICTION * self.speeds
        self.torques = np.clip(torques, -_MAX_TORQUE, _MAX_TORQUE)
        self._motors(pybullet.TORQUE_CONTROL, forces=self.torques.tolist())

    def _keep_posture(self) -> np.ndarray:
        """Torques that move no tool: those of the null space."""
        torques = _POSTURE_STIFFNESS * (self.posture - self.joints)
        torques -= _POSTURE_DAMPING * self.speeds
        gram = self.jacobian @ self.jacobian.T + _REGULAR
        return torques - self.jacobian.T @ np.linalg.solve(gram, self.jacobian @ torques)

    def _brake(self) -> None:
        if not self._braked:
            self._motors(
                pybullet.POSITION_CONTROL,
                targetPositions=self.joints.tolist(),
                forces=_MAX_TORQUE.tolist(),
            )
            self._braked = True
        self.torques = np.zeros(7)

    def _motors(self, kind: int, **command: list[float]) -> None:
        self._bullet.setJointMotorControlArray(self._body, _ARM, kind, **command)

    def _touched(self) -> np.ndarray:
        """The wrench (6,) at the tool of all that touches or pushes the robot now."""
        wrench = np.concatenate((self.push, np.zeros(3)))
        for contact in self._bullet.getContactPoints(bodyA=self._body):
            _, _, other, _, _, point, _, normal, _, pressure, *rubbing = contact
            if other == self._body:
                continue
            force = pressure * np.array(normal)
            for size, direction in zip(rubbing[::2], rubbing[1::2], strict=True):
                force += size * np.array(direction)
            wrench[:3] += force
            wrench[3:] += np.cross(np.array(point) - self.position, force)
        return wrench
