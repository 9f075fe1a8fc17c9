"""A robot as its YAML file describes it: topics, frames, gripper and limits.

A new arm is a new file; gate/config/sim.yaml explains every key. What is wrong in a file is
said with the file, the key, what was found and what was expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjepa_gate.errors import UserError
from vjepa_gate.settings import REQUIRED, make, read_yaml, setting
from vjepa_gate.share import config_folder
from vjepa_gate.units import ARM_REACH

STOPPING_TIME = 0.25  # seconds within which the limits must let the arm come to rest


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic, and how it is subscribed or published."""

    name: str = setting(REQUIRED, "of the topic")
    reliability: Literal["reliable", "best_effort"] = setting("reliable", "of its messages")
    depth: int = setting(1, "of the queue", low=1, high=1000, unit="messages")


@dataclass(frozen=True, kw_only=True)
class Camera(Topic):
    """The topic of the camera's images."""

    compressed: bool = setting(False, "sensor_msgs/CompressedImage instead of Image")


@dataclass(frozen=True, kw_only=True)
class Topics:
    """The robot's side of the graph."""

    camera: Camera = setting(REQUIRED, "that the planner looks through")
    current_pose: Topic | None = setting(REQUIRED, "PoseStamped of the tool; null: from TF")
    joint_states: Topic = setting(REQUIRED, "of the fingers")
    target: Topic = setting(REQUIRED, "PoseStamped or TwistStamped, as `command` says")
    franka_state: Topic | None = setting(None, "franka_msgs/FrankaRobotState; null: not watched")
    external_wrench: Topic | None = setting(None, "WrenchStamped; null: not watched")
    collision: Topic | None = setting(None, "Bool, true while something is hit; null: not watched")


@dataclass(frozen=True, kw_only=True)
class Gripper:
    """A parallel gripper behind a control_msgs/GripperCommand action, or franka_gripper's own."""

    kind: Literal["gripper_command", "franka_hand"] = setting(
        "gripper_command", "which actions it has: a position's, or franka_msgs' Grasp and Move"
    )
    action: str = setting(REQUIRED, "name of that action; of franka_hand, what stands before both")
    joints: tuple[str, ...] = setting(REQUIRED, "of the fingers")
    position: Literal["per_finger", "total"] = setting(
        REQUIRED, "what a position means, commanded and measured"
    )
    max_width: float = setting(REQUIRED, "between open fingers", low=0.001, high=0.5, unit="m")
    force: float = setting(REQUIRED, "of the fingers at most", low=0.1, high=200, unit="N")
    hysteresis: float = setting(
        0.05, "by which a new goal differs", low=0.0, high=0.5, unit="of full travel"
    )
    grip_change: float = setting(
        0.25,
        "planned, that closes or opens a franka_hand",
        low=0.01,
        high=1.0,
        unit="of full travel",
    )
    speed: float = setting(0.1, "of a franka_hand's fingers", low=0.001, high=0.5, unit="m/s")
    epsilon: float = setting(
        0.08, "by which what a franka_hand grasps may differ", low=0.001, high=0.5, unit="m"
    )

    def width(self, positions: list[float]) -> float:
        """Metres between the fingers, from the positions of `joints`."""
        mean = sum(positions) / len(positions)
        return 2 * mean if self.position == "per_finger" else mean

    def command(self, width: float) -> float:
        """The position that opens the fingers that wide."""
        return width / 2 if self.position == "per_finger" else width


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What no target ever exceeds: metres, radians, seconds, in the base frame."""

    workspace_low: tuple[float, float, float] = setting(
        REQUIRED,
        "corner of the box that the tool stays in",
        low=-ARM_REACH,
        high=ARM_REACH,
        unit="m",
    )
    workspace_high: tuple[float, float, float] = setting(
        REQUIRED, "the opposite corner", low=-ARM_REACH, high=ARM_REACH, unit="m"
    )
    max_step: float = setting(REQUIRED, "of one action", low=0.001, high=0.5, unit="m")
    max_turn: float = setting(REQUIRED, "of one action", low=0.0, high=1.5, unit="rad")
    lag: float = setting(
        0.05, "of the arm behind its targets, besides max_step", low=0.005, high=0.3, unit="m"
    )
    turn_lag: float = setting(0.2, "likewise, besides max_turn", low=0.02, high=1.0, unit="rad")
    max_tilt: float = setting(
        REQUIRED, "between the tool's z axis and straight down", low=0.0, high=1.5, unit="rad"
    )
    speed: float = setting(REQUIRED, "of targets", low=0.005, high=1.5, unit="m/s")
    acceleration: float = setting(REQUIRED, "of targets", low=0.05, high=12.0, unit="m/s^2")
    turn_speed: float = setting(REQUIRED, "of targets", low=0.01, high=2.5, unit="rad/s")
    turn_acceleration: float = setting(REQUIRED, "of targets", low=0.1, high=25.0, unit="rad/s^2")

    def __post_init__(self) -> None:
        for axis, low, high in zip("xyz", self.workspace_low, self.workspace_high, strict=True):
            if not low < high:
                raise ValueError(
                    f"limits.workspace_low {low:g} is not below workspace_high {high:g} in {axis}"
                )
        for of in ("", "turn_"):
            speed, acceleration = getattr(self, f"{of}speed"), getattr(self, f"{of}acceleration")
            if speed > STOPPING_TIME * acceleration:
                raise ValueError(
                    f"limits.{of}acceleration is {acceleration:g}, expected at least "
                    f"{speed / STOPPING_TIME:g}, so that the arm can stop from {of}speed "
                    f"{speed:g} within {STOPPING_TIME:g} s"
                )


@dataclass(frozen=True, kw_only=True)
class Contact:
    """At which external wrench the arm stops, as the robot estimates it."""

    max_force: float = setting(REQUIRED, "on the tool", low=1.0, high=200.0, unit="N")
    max_torque: float = setting(REQUIRED, "on the tool", low=0.5, high=50.0, unit="Nm")


@dataclass(frozen=True, kw_only=True)
class Box:
    """With sides along the base frame's axes."""

    low: tuple[float, float, float] = setting(
        REQUIRED, "corner", low=-ARM_REACH, high=ARM_REACH, unit="m"
    )
    high: tuple[float, float, float] = setting(
        REQUIRED, "the opposite corner", low=-ARM_REACH, high=ARM_REACH, unit="m"
    )

    def __post_init__(self) -> None:
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low {self.low} is not below high {self.high} in each axis")


@dataclass(frozen=True, kw_only=True)
class Robot:
    """All that a robot's file says."""

    name: str = setting(REQUIRED, "for people")
    base_frame: str = setting(REQUIRED, "in which actions, targets and poses are given")
    tool_frame: str = setting(REQUIRED, "of the tool whose pose is measured and commanded")
    command: Literal["pose", "twist"] = setting(REQUIRED, "what the arm's controller takes")
    topics: Topics = setting(REQUIRED, "by which the robot is reached")
    gripper: Gripper = setting(REQUIRED, "of the robot")
    limits: Limits = setting(REQUIRED, "that every target keeps")
    contact: Contact | None = setting(None, "which stops the arm; null: none does")
    keep_out: Mapping[str, Box] | None = setting(
        None, "boxes by name, that hand and forearm stay out of; null: none"
    )

    def __post_init__(self) -> None:
        if (self.contact is None) != (self.topics.external_wrench is None):
            raise ValueError(
                "contact and topics.external_wrench belong together: one of them is given without "
                "the other"
            )


def load_robot(robot: str | Path) -> Robot:
    """The robot of a YAML file, or of a name: `sim` is the installed gate/config/sim.yaml."""
    path = _find(robot)
    return make(Robot, read_yaml(Robot, path), path)


def _find(robot: str | Path) -> Path:
    if Path(robot).suffix in (".yaml", ".yml"):
        return Path(robot)
    folder = config_folder("vjepa_gate")
    path = folder / f"{robot}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in folder.glob("*.yaml")))
        raise UserError(f"robot '{robot}' is unknown: expected a YAML file or one of {known}")
    return path
