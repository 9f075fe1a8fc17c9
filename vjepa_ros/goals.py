"""What a user may give as a goal: one picture, a folder of sub-goals, or a list in YAML."""

from dataclasses import dataclass, replace
from pathlib import Path

from vjepa_gate.errors import UserError
from vjepa_gate.settings import make, read_yaml, setting
from vjepa_ros.images import decode_picture

_PICTURES = (".png", ".jpg", ".jpeg")
_LISTS = (".yaml", ".yml")


@dataclass(frozen=True, kw_only=True)
class Goals:
    """What the action ReachGoal is asked for; 0: the planner's own number."""

    pictures: tuple[Path, ...] = setting((), "the goal last")
    max_steps: int = setting(0, "actions before the task is given up", low=0)
    energy: float = setting(0.0, "at which a goal counts as reached", low=0.0)


def read_goal(path: Path) -> Goals:
    """One picture that is planned to directly. All functions here raise UserError."""
    return Goals(pictures=(_checked(path, "goal"),))


def read_subgoals(path: Path) -> Goals:
    """A folder of pictures, in the order of their names, or a YAML list of them."""
    if path.suffix.lower() in _LISTS:
        return _read_list(path)
    if not path.is_dir():
        raise UserError(
            f"subgoals: no folder {path}; expected auto, memory, none, a folder of pictures, or a "
            "YAML list"
        )
    pictures = sorted(found for found in path.iterdir() if found.suffix.lower() in _PICTURES)
    if not pictures:
        raise UserError(f"subgoals: {path} holds no pictures ({', '.join(_PICTURES)})")
    return Goals(pictures=tuple(_checked(picture, "subgoals") for picture in pictures))


def _read_list(path: Path) -> Goals:
    """Of files, relative to the list's own folder."""
    goals = make(Goals, read_yaml(Goals, path), path)
    if not goals.pictures:
        raise UserError(f"{path}: pictures is missing, expected a list of files, the goal last")
    names = enumerate(goals.pictures)
    found = (_checked(path.parent / name, f"{path}: pictures[{n}]") for n, name in names)
    return replace(goals, pictures=tuple(found))


def _checked(path: Path, key: str) -> Path:
    try:
        decode_picture(path.read_bytes())
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{key}: {path} is not an image: {error}") from error
    return path.resolve()
