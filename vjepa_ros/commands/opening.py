"""Options of every command that reads recordings: which camera, and a bag's topics."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from vjepa_gate.errors import UserError
from vjepa_ros.episodes.bag_schema import BagTopics


def add_opening(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--camera",
        default="left",
        help="of DROID folders: left, right, ext1, ext2, wrist or a serial number (left)",
    )
    parser.add_argument("--topics", type=Path, metavar="YAML", help="names of a bag's topics")
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="KEY=NAME",
        help="one of them, e.g. image=/left/image_raw; docs/EPISODES.md lists the keys",
    )


def opening(args: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `open_episode`."""
    return {"camera": args.camera, "topics": topics(args.topics, args.topic)}


def topics(file: Path | None, assignments: list[str]) -> BagTopics:
    values: dict[str, object] = {}
    try:
        if file is not None:
            values |= dict(yaml.safe_load(file.read_text()))
        for assignment in assignments:
            key, equals, name = assignment.partition("=")
            if not equals:
                raise ValueError(f"found {assignment!r}, expected KEY=NAME")
            values[key] = name
        return BagTopics.from_mapping(values)
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"--topic or {file or '--topics'}: {error}") from error
