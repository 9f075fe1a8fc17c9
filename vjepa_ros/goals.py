"""What a user may give as a goal: one picture, a folder of sub-goals, or a list in YAML."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from vjepa_gate.errors import UserError
from vjepa_ros.images import decode_picture

_PICTURES = (".png", ".jpg", ".jpeg")
_LISTS = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class Goals:
    """What the action ReachGoal is asked for; 0: the planner's own number."""

    pictures: tuple[Path, ...] = ()  # the goal last
    max_steps: int = 0  # actions before the task is given up
    energy: float = 0.0  # at which a goal counts as reached


def read_goal(path: Path) -> Goals:
    """One picture that is planned to directly. All functions here raise UserError."""
    return Goals(pictures=(_checked(path, "goal"),))


def read_subgoals(path: Path) -> Goals:
    """A folder of pictures, in the order of their names, or a YAML list of them."""
    if path.suffix.lower() in _LISTS:
        return _read_list(path)
    if not path.is_dir():
        raise UserError(f"subgoals: no folder {path}; expected one of pictures, or a YAML list")
    pictures = sorted(found for found in path.iterdir() if found.suffix.lower() in _PICTURES)
    if not pictures:
        raise UserError(f"subgoals: {path} holds no pictures ({', '.join(_PICTURES)})")
    return Goals(pictures=tuple(_checked(picture, "subgoals") for picture in pictures))


def _read_list(path: Path) -> Goals:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise UserError(f"subgoals: {path} cannot be read as YAML: {why}") from error
    if not isinstance(content, dict):
        raise UserError(f"subgoals: {path} is {content!r}, expected the key pictures")
    known = ("pictures", "max_steps", "energy")
    if unknown := [str(key) for key in content if key not in known]:
        raise UserError(f"{path}: {unknown[0]} is unknown, expected one of {', '.join(known)}")
    return Goals(
        pictures=_listed(path, content.get("pictures")),
        max_steps=_number(path, content, "max_steps", int),
        energy=_number(path, content, "energy", float),
    )


def _listed(path: Path, names: Any) -> tuple[Path, ...]:
    """Files, relative to the list's own folder."""
    if not isinstance(names, list) or not names:
        raise UserError(f"{path}: pictures is {names!r}, expected a list of files, the goal last")
    pictures = []
    for index, name in enumerate(names):
        key = f"{path}: pictures[{index}]"
        if not isinstance(name, str):
            raise UserError(f"{key} is {name!r}, expected a file")
        pictures.append(_checked(path.parent / name, key))
    return tuple(pictures)


def _number(path: Path, content: dict[str, Any], key: str, kind: type) -> Any:
    value = content.get(key, 0)
    allowed = (int,) if kind is int else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed) or not 0 <= value < float("inf"):
        expected = "a whole number" if kind is int else "a number"
        raise UserError(f"{path}: {key} is {value!r}, expected {expected}, 0 or more")
    return kind(value)


def _checked(path: Path, key: str) -> Path:
    try:
        decode_picture(path.read_bytes())
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{key}: {path} is not an image: {error}") from error
    return path.resolve()
