"""What every command that reads recordings is told: which camera, topics and features."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_gate.fields import unknown
from vjepa_gate.settings import make, read_yaml, settings_of
from vjepa_ros.commands.settings.bases import Opening
from vjepa_ros.episodes.bag_schema import BagTopics
from vjepa_ros.episodes.lerobot_map import FeatureMap


def opening(settings: Opening | Namespace) -> dict[str, Any]:
    """Arguments of `open_episode`; a Namespace has the same attributes."""
    return {
        "camera": settings.camera,
        "topics": topics(settings),
        "features": _features(settings.features),
    }


def _features(path: Path | None) -> FeatureMap | None:
    return None if path is None else make(FeatureMap, read_yaml(FeatureMap, path), path)


def topics(settings: Opening | Namespace) -> dict[str, Any]:
    """Give what was said of the topics of bags, instead of what those say themselves."""
    given = {} if settings.topics is None else read_yaml(BagTopics, settings.topics)
    known = settings_of(BagTopics)
    for assignment in settings.topic:
        key, equals, name = assignment.partition("=")
        if not equals:
            raise UserError(f"--topic {assignment}: expected KEY=NAME")
        if key not in known:
            raise UserError(unknown(f"--topic {key}", key, known))
        try:
            given[key] = known[key].parse(name, f"--topic {key}")
        except ValueError as error:
            raise UserError(str(error)) from error
    return given
