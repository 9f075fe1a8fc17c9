"""A robot as its YAML file describes it: topics, frames, gripper and limits.

A new arm is a new file; gate/config/sim.yaml explains every key. What is wrong in a file is
said with the file, the key, what was found and what was expected.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from vjepa_gate.errors import UserError
from vjepa_gate.share import config_folder
from vjepa_gate.units import ARM_REACH

STOPPING_TIME = 0.25  # seconds within which the limits must let the arm come to rest


def _number(low: float, high: float, unit: str, **default: Any) -> Any:
    """A field whose number, or each of whose numbers, lies in [low, high]."""
    return dataclasses.field(metadata={"range": (low, high), "unit": unit}, **default)


@dataclass(frozen=True, kw_only=True)
class Topic:
    name: str
    reliability: Literal["reliable", "best_effort"] = "reliable"
    depth: int = _number(1, 1000, "messages", default=1)


@dataclass(frozen=True, kw_only=True)
class Camera(Topic):
    compressed: bool = False  # sensor_msgs/CompressedImage instead of Image


@dataclass(frozen=True, kw_only=True)
class Topics:
    camera: Camera
    current_pose: Topic | None  # PoseStamped of the tool; null: from TF
    joint_states: Topic  # of the fingers
    target: Topic  # PoseStamped or TwistStamped, as `command` says
    franka_state: Topic | None = None  # franka_msgs/FrankaRobotState; null: not watched


@dataclass(frozen=True, kw_only=True)
class Gripper:
    """A parallel gripper behind a control_msgs/GripperCommand action."""

    action: str
    joints: tuple[str, ...]
    position: Literal["per_finger", "total"]  # what a position means, commanded and measured
    max_width: float = _number(0.001, 0.5, "m")
    force: float = _number(0.1, 200, "N")
    hysteresis: float = _number(0.0, 0.5, "of full travel", default=0.05)

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

    workspace_low: tuple[float, float, float] = _number(-ARM_REACH, ARM_REACH, "m")
    workspace_high: tuple[float, float, float] = _number(-ARM_REACH, ARM_REACH, "m")
    max_step: float = _number(0.001, 0.5, "m")  # of one action
    max_turn: float = _number(0.0, 1.5, "rad")  # of one action
    max_tilt: float = _number(0.0, 1.5, "rad")  # between the tool's z axis and straight down
    speed: float = _number(0.005, 1.5, "m/s")
    acceleration: float = _number(0.05, 12.0, "m/s^2")
    turn_speed: float = _number(0.01, 2.5, "rad/s")
    turn_acceleration: float = _number(0.1, 25.0, "rad/s^2")

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
class Robot:
    name: str
    base_frame: str
    tool_frame: str
    command: Literal["pose", "twist"]
    topics: Topics
    gripper: Gripper
    limits: Limits


def load_robot(robot: str | Path) -> Robot:
    """The robot of a YAML file, or of a name: `sim` is the installed gate/config/sim.yaml."""
    path = _find(robot)
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(
            f"{path}: not a readable YAML file: {' '.join(str(error).split())}"
        ) from error
    try:
        return _build(Robot, content, "")
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _find(robot: str | Path) -> Path:
    if Path(robot).suffix in (".yaml", ".yml"):
        return Path(robot)
    folder = config_folder("vjepa_gate")
    path = folder / f"{robot}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(found.stem for found in folder.glob("*.yaml")))
        raise UserError(f"robot '{robot}' is unknown: expected a YAML file or one of {known}")
    return path


# --- YAML to dataclasses -----------------------------------------------------------------


def _build(cls: type, content: object, key: str) -> Any:
    """A dataclass from a mapping with exactly its fields; those with a default may miss."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{key or 'the file'} is {content!r}, expected keys and values")
    prefix = f"{key}." if key else ""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if unknown := [str(name) for name in content if name not in fields]:
        raise ValueError(f"{prefix}{unknown[0]} is unknown, expected one of {', '.join(fields)}")
    hints = typing.get_type_hints(cls)
    values = {}
    for name, field in fields.items():
        if name in content:
            values[name] = _value(hints[name], content[name], f"{prefix}{name}", field.metadata)
        elif field.default is dataclasses.MISSING:
            expected = f"expected a value{_in_range(field.metadata)}"
            raise ValueError(f"{prefix}{name} is missing, {expected}")
    return cls(**values)


def _value(hint: Any, found: object, key: str, metadata: Mapping[str, Any]) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:  # X | None
        return None if found is None else _value(arguments[0], found, key, metadata)
    if origin is Literal:
        if found not in arguments:
            raise ValueError(f"{key} is {found!r}, expected one of {', '.join(arguments)}")
        return found
    if origin is tuple:
        return _sequence(arguments, found, key, metadata)
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast(type, hint), found, key)
    if hint in (float, int):
        return _checked_number(hint, found, key, metadata)
    if type(found) is not hint or found == "":
        raise ValueError(f"{key} is {found!r}, expected {_KINDS[hint]}")
    return found


def _sequence(items: tuple, found: object, key: str, metadata: Mapping[str, Any]) -> tuple:
    any_length = items[-1] is Ellipsis
    if not isinstance(found, list) or not found or not (any_length or len(found) == len(items)):
        count = "one or more" if any_length else len(items)
        raise ValueError(f"{key} is {found!r}, expected a list of {count}{_in_range(metadata)}")
    return tuple(
        _value(items[0], item, f"{key}[{index}]", metadata) for index, item in enumerate(found)
    )


def _checked_number(kind: type, found: object, key: str, metadata: Mapping[str, Any]) -> float:
    low, high = metadata["range"]
    whole = kind is int
    if (
        isinstance(found, bool)
        or not isinstance(found, int if whole else (int, float))
        or not math.isfinite(found)
        or not low <= found <= high
    ):
        what = "a whole number" if whole else "a number"
        raise ValueError(f"{key} is {found!r}, expected {what}{_in_range(metadata)}")
    return kind(found)


def _in_range(metadata: Mapping[str, Any]) -> str:
    if not metadata:
        return ""
    low, high = metadata["range"]
    return f" in [{low:g}, {high:g}] {metadata['unit']}"


_KINDS = {str: "a text", bool: "true or false"}
