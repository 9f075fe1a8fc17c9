"""What each command of `vjepa-ros` can be told; needs neither torch nor ROS nor the simulation.

A command's settings are a dataclass, whose first line is shown as help. Options of the same name
say the same everywhere. Of the planner, PlannerConfig, a command takes every setting that it uses.
"""

import argparse
import inspect
from collections.abc import Collection, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from vjepa_gate import settings
from vjepa_gate.errors import UserError
from vjepa_gate.settings import option
from vjepa_ros.commands.settings import checks, episodes, planning, training
from vjepa_ros.commands.settings.bases import Command
from vjepa_ros.planning.config import PlannerConfig

T = TypeVar("T")

COMMANDS: dict[str, type[Command] | dict[str, type[Command]]] = {
    "doctor": checks.Doctor,
    "calibrate": checks.Calibrate,
    "evaluate": planning.Evaluate,
    "replay": planning.Replay,
    "landscape": planning.Landscape,
    "goal": {
        "capture": checks.GoalCapture,
        "check": checks.GoalCheck,
        "explain": checks.GoalExplain,
    },
    "weights": {"inspect": checks.InspectWeights, "convert": checks.ConvertWeights},
    "episodes": {
        "collect": episodes.Collect,
        "inspect": episodes.InspectEpisodes,
        "convert": episodes.ConvertEpisodes,
        "check": episodes.CheckEpisodes,
        "view": episodes.ViewEpisode,
    },
    "train": {
        "weights": training.Train,
        "pretrain": training.Pretrain,
        "joint": training.Joint,
        "posttrain": training.Posttrain,
        "finetune": training.Finetune,
        "subgoals": training.TrainSubGoals,
        "probe": training.TrainProbe,
        "decoder": training.TrainDecoder,
        "report": training.ReportTraining,
    },
    "memory": {"build": episodes.BuildMemory},
    "policy": {"train": training.TrainPolicy, "serve": training.ServePolicy},
}


def add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Tell a parser all that a command takes."""
    found = COMMANDS[command]
    if not isinstance(found, dict):
        _add_options(parser, found)
        return
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, kind in found.items():
        summary = inspect.cleandoc(kind.__doc__ or "")
        _add_options(verbs.add_parser(name, help=summary), kind)


def _add_options(parser: argparse.ArgumentParser, kind: type[Command]) -> None:
    parser.description = inspect.cleandoc(kind.__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    settings.add_options(parser, kind, positional=kind.positional)
    if only := kind.planner_settings:
        group = parser.add_argument_group("planner, where it shall differ from --planner")
        settings.add_options(group, PlannerConfig, only=only, defaults=False)


def read(kind: type[T], parsed: argparse.Namespace) -> T:
    """Give the settings that a command was told, and the defaults of the others."""
    return settings.make(kind, settings.read_options(kind, parsed))


def shared(kind: type, told: object) -> dict[str, Any]:
    """Give those settings that are fields of another dataclass, too."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in vars(told).items() if name in names}


def refuse_unused(given: Iterable[str], used: Collection[str], when: str) -> None:
    """Raise UserError for an option that does nothing beside another one."""
    for name in given:
        if name not in used:
            raise UserError(f"{option(name)} does nothing {when}: leave out one of the two")


def check_folders(**files: Path | None) -> None:
    """What would otherwise fail after the work is done: files to write, by their options."""
    for name, path in files.items():
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"{option(name)} {path}: expected a file in a folder that exists")
