"""Training presets: YAML files in config/ that name every number of a training run."""

import dataclasses
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml

from vjepa_gate.errors import UserError
from vjepa_ros.training.posttrain import PosttrainConfig
from vjepa_ros.training.pretrain import PretrainConfig
from vjepa_ros.training.trainer import TrainerConfig

Config = TypeVar("Config")

_PLACES = (Path(__file__).parents[2] / "config", Path(sys.prefix) / "share/vjepa_ros/config")
_PREFIX = "training_"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What `train weights` collects, and what is kept back from training."""

    episodes: int = 0
    steps: int = 64  # frames of each
    seed: int = 0
    relight: float = 0.0  # chance, at each step, of another light
    held_out: float = 0.04  # share of the episodes


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """A stage that trains the encoder."""

    losses: PretrainConfig
    trainer: TrainerConfig


@dataclass(frozen=True, kw_only=True)
class Posttrain:
    """A stage that trains the predictor alone."""

    losses: PosttrainConfig
    trainer: TrainerConfig
    low_rank: int = 0  # of the updates that are trained in place of the blocks; 0: all is trained
    recompute: bool = False  # activations in the backward pass: slower, in far less memory
    validate_every: int = 500  # steps


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """A preset: every number of a training run."""

    model: str  # one of the model presets; fine-tuning keeps that of its weights
    processes: int = 1  # that `train weights` starts, each with its share of every batch
    data: DataConfig = field(default_factory=DataConfig)
    pretrain: Pretrain | None = None
    joint: Pretrain | None = None  # goes on from `pretrain`, with other losses
    posttrain: Posttrain


def load_settings(preset: str, changes: list[str] | None = None) -> TrainingSettings:
    """A preset by name or path, with changes as `pretrain.trainer.steps=100`."""
    path = _find(preset)
    tree = yaml.safe_load(path.read_text())
    for change in changes or []:
        _apply(tree, change)
    return _build(TrainingSettings, tree, path.name)


def _find(preset: str) -> Path:
    if Path(preset).suffix in (".yaml", ".yml"):
        if not Path(preset).is_file():
            raise UserError(f"--preset {preset}: no such file")
        return Path(preset)
    for place in _PLACES:
        path = place / f"{_PREFIX}{preset}.yaml"
        if path.is_file():
            return path
    names = sorted(
        path.stem.removeprefix(_PREFIX)
        for place in _PLACES
        for path in place.glob(f"{_PREFIX}*.yaml")
    )
    raise UserError(f"--preset {preset}: expected one of {', '.join(names)}, or a .yaml file")


def _apply(tree: dict[str, Any], change: str) -> None:
    name, equals, value = change.partition("=")
    *sections, key = name.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise UserError(f"--set {change}: {section} is no section of the preset")
    if not equals:
        raise UserError(f"--set {change}: expected NAME=VALUE, as pretrain.trainer.steps=100")
    tree[key] = yaml.safe_load(value)


def _build(kind: type[Config], values: Any, where: str) -> Config:
    """A dataclass out of what YAML holds; a name that is wrong or missing is named."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where}: found {values!r}, expected names and values")
    hints = get_type_hints(kind)
    unknown = [name for name in values if name not in hints]
    if unknown:
        raise UserError(f"{where}: no setting {unknown[0]!r}, expected of {', '.join(hints)}")
    made = {
        name: _build(section, value, f"{where}: {name}") if section else value
        for name, value in values.items()
        for section in [_section(hints[name])]
    }
    try:
        return kind(**made)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from error


def _section(hint: Any) -> Any:
    """The dataclass that a hint asks for, optional or not; None where it asks for a plain value."""
    kinds = [kind for kind in (hint, *get_args(hint)) if dataclasses.is_dataclass(kind)]
    return kinds[0] if kinds else None
