"""Modes, errors, hardware and controllers of the arm: what franka_ros2 and ros2_control make of it.

An error while a controller moves the arm (a reflex, the user stop, a command that is no number)
takes the hardware down and all controllers with it, those that tell the state included: no state
says why. Back in three steps, in this order: recover, activate the hardware, then controllers.
"""

from dataclasses import dataclass, field

import numpy as np

from vjepa_sim.fr3.cartesian import GRAVITY_COMPENSATION, IMPEDANCE, CartesianController
from vjepa_sim.fr3.compliant import CompliantArm
from vjepa_sim.scene import Scene

IDLE, MOVE, REFLEX, USER_STOPPED = 1, 2, 4, 5  # as in franka_msgs/FrankaRobotState
HARDWARE = "FrankaHardwareInterface"
CONTACT = 0.4  # of the force of a reflex: felt as contact
STATES = "franka_robot_state_broadcaster"
JOINTS = "joint_state_broadcaster"
POSES = "pose_broadcaster"

TYPES = {
    JOINTS: "joint_state_broadcaster/JointStateBroadcaster",
    STATES: "franka_robot_state_broadcaster/FrankaRobotStateBroadcaster",
    POSES: "crisp_controllers/PoseBroadcaster",
    "cartesian_impedance_controller": "crisp_controllers/CartesianController",
    "gravity_compensation": "crisp_controllers/CartesianController",
}


@dataclass(kw_only=True)
class Fr3Arm:
    reflex_force: float  # newtons on any axis
    active: set[str]  # controllers, by name
    hardware: bool = True
    reflex: bool = False
    user_stop: bool = False
    said: list[str] = field(default_factory=list)  # what the log shall say

    def __post_init__(self) -> None:
        self._pullers = {
            "cartesian_impedance_controller": CartesianController(IMPEDANCE),
            "gravity_compensation": CartesianController(GRAVITY_COMPENSATION),
        }

    def take_over(self, scene: Scene) -> None:
        """Drive the arm of a scene that was built anew."""
        self._scene, self._period = scene, 1 / scene.config.physics_rate
        self.body = CompliantArm(scene.bullet, scene.robot, self._period)
        for puller in self._pullers.values():
            puller.forget()
            puller.activate(self.body.position, self.body.rotation)
        scene.robot.driver = self._drive

    def take_target(self, position: np.ndarray, quaternion_xyzw: np.ndarray) -> None:
        """Every controller hears it, the inactive ones too."""
        for puller in self._pullers.values():
            puller.take(position, quaternion_xyzw)

    @property
    def moving(self) -> CartesianController | None:
        """The controller that commands torques now."""
        names = self.active & self._pullers.keys()
        return self._pullers[names.pop()] if names else None

    @property
    def mode(self) -> int:
        if self.user_stop:
            return USER_STOPPED
        if self.reflex:
            return REFLEX
        return MOVE if self.moving else IDLE

    # --- what goes wrong -------------------------------------------------------------------

    def stop(self, pressed: bool) -> None:
        """The user stop."""
        if pressed and not self.user_stop and self.moving:
            self._fail("the user stop is pressed")
        self.user_stop = pressed

    def trip(self, why: str) -> None:
        """A reflex."""
        if not self.reflex and self.moving:
            self._fail(f"cartesian_reflex: {why}")
        self.reflex = True

    def _fail(self, why: str) -> None:
        self.hardware = False
        self.active.clear()
        self.said.append(f"{HARDWARE} is down, and all controllers with it: {why}")

    # --- and back --------------------------------------------------------------------------

    def recover(self) -> str:
        """Why the errors cannot be cleared, or nothing."""
        if self.user_stop:
            return "the user stop is pressed"
        self.reflex = False
        return ""

    def set_hardware(self, active: bool) -> bool:
        if active and (self.reflex or self.user_stop):
            return False
        if not active:
            self.active.clear()
        self.hardware = active
        return True

    def switch(self, on: list[str], off: list[str], *, strict: bool) -> str:
        """Activate and deactivate controllers at once; why not, or nothing."""
        unknown = [name for name in (*on, *off) if name not in TYPES]
        if unknown:
            return f"no controller {unknown[0]!r}, expected one of {', '.join(TYPES)}"
        useless = [f"{name} is active" for name in on if name in self.active]
        useless += [f"{name} is not active" for name in off if name not in self.active]
        if strict and useless:
            return useless[0]
        if on and not self.hardware:
            return f"{HARDWARE} is not active: nothing to command {on[0]} with"
        wanted = (self.active - set(off)) | set(on)
        if len(wanted & self._pullers.keys()) > 1:
            return f"two controllers want the same joints: {', '.join(sorted(wanted))}"
        started = (wanted - self.active) & self._pullers.keys()
        if started and self.user_stop:
            return "the user stop is pressed"
        self.active = wanted
        for name in started:
            self.reflex = False  # franka_hardware recovers by itself when control begins
            self._pullers[name].activate(self.body.position, self.body.rotation)
            self.body.posture = self.body.joints
        return ""

    # --- the loop --------------------------------------------------------------------------

    def _drive(self) -> None:
        """Before each step of the physics."""
        body = self.body
        body.read(self._scene.time)
        force = float(np.abs(body.felt[:3]).max())
        if self.moving and force > self.reflex_force:
            self.trip(f"{force:.0f} N, {self.reflex_force:g} N allowed")
        wrench = None
        if self.moving:
            wrench = self.moving.wrench(body.position, body.rotation, body.twist, self._period)
            if not np.isfinite(wrench).all():
                self._fail("a command is not finite")
                wrench = None
        body.drive(wrench)
