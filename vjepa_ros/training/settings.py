"""Training presets: YAML files in config/ that name every number of a training run."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_gate.fields import unknown
from vjepa_gate.settings import REQUIRED, make, read_yaml, setting, settings_of
from vjepa_ros.training.posttrain import PosttrainConfig
from vjepa_ros.training.pretrain import PretrainConfig
from vjepa_ros.training.trainer import TrainerConfig

_PLACES = (Path(__file__).parents[2] / "config", Path(sys.prefix) / "share/vjepa_ros/config")
_PREFIX = "training_"


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What `train weights` collects, and what is kept back from training."""

    episodes: int = setting(0, "to collect", low=0)
    steps: int = setting(64, "frames of each", low=2)
    seed: int = setting(0, "of the collection", low=0)
    relight: float = setting(0.0, "chance, at each step, of another light", low=0.0, high=1.0)
    held_out: float = setting(0.04, "share of the episodes", low=0.0, high=1.0)


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
    latents: bool = setting(
        False, "encode each frame once, to disk, and not in each step; pictures are not varied then"
    )
    low_rank: int = setting(
        0, "of the updates that are trained in place of the blocks; 0: all is trained", low=0
    )
    recompute: bool = setting(False, "activations in the backward pass: slower, in far less memory")
    validate_every: int = setting(500, "steps", low=1)


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """A preset: every number of a training run."""

    model: str = setting(
        REQUIRED, "one of the model presets; fine-tuning keeps that of its weights"
    )
    processes: int = setting(
        1, "that `train weights` starts, each with its share of every batch", low=1, high=1024
    )
    data: DataConfig = field(default_factory=DataConfig)
    pretrain: Pretrain | None = None
    joint: Pretrain | None = None  # goes on from `pretrain`, with other losses
    posttrain: Posttrain


def load_settings(preset: str, changes: Sequence[str] = ()) -> TrainingSettings:
    """A preset by name or path, with changes as `pretrain.trainer.steps=100`."""
    path = _find(preset)
    settings = make(TrainingSettings, read_yaml(TrainingSettings, path), path)
    for change in changes:
        name, equals, text = change.partition("=")
        if not equals:
            raise UserError(f"--set {change}: expected NAME=VALUE, as pretrain.trainer.steps=100")
        try:
            settings = _changed(settings, name.split("."), text, f"--set {name}")
        except ValueError as error:
            raise UserError(str(error)) from error
    return settings


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


def _changed(settings: Any, names: list[str], text: str, key: str) -> Any:
    """The same settings, or section of them, but for the value that is so named."""
    name, *within = names
    known = settings_of(settings.__class__)
    if name not in known:
        raise ValueError(unknown(key, name, known))
    if not within:
        return replace(settings, **{name: known[name].parse(text, key)})
    section = getattr(settings, name)
    if not is_dataclass(section):
        raise ValueError(f"{key}: {name} is no section of the preset")
    return replace(settings, **{name: _changed(section, within, text, key)})
