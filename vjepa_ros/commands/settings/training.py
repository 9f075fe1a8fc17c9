"""What the commands that train can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjepa_gate.settings import REQUIRED, setting
from vjepa_ros.commands.settings.bases import Command, Opening, Weighted

_PRESET = (
    "quick, cpu, gpu, objects, ac_tiny, vitb, finetune, lab or a .yaml file: config/training_*.yaml"
)


_FROM = (
    "weights, or the --out of an earlier stage; may be repeated: the later ones count for what "
    "they hold"
)


@dataclass(frozen=True, kw_only=True)
class Train(Command):
    """Collect episodes, train on them, report: the shipped weights from nothing."""

    out: Path = setting(REQUIRED, "where to put what is made")
    preset: str = setting("cpu", _PRESET)
    set: tuple[str, ...] = setting(
        (), "NAME=VALUE of the preset, as pretrain.trainer.steps=100; may be repeated"
    )
    device: str | None = setting(None, "cpu or cuda [cuda where there is one]")


@dataclass(frozen=True, kw_only=True)
class TrainOn(Train, Opening):
    """One that trains on episodes."""

    data: Path = setting(REQUIRED, "folder of episodes")
    unpacked: Path | None = setting(None, "where frames are unpacked [a folder beside --out]")


@dataclass(frozen=True, kw_only=True)
class Pretrain(TrainOn):
    """Train an encoder on episodes, from nothing or from weights."""

    from_: tuple[Path, ...] = setting((), _FROM)


@dataclass(frozen=True, kw_only=True)
class Joint(TrainOn):
    """Go on from `pretrain`, with a predictor that grows up with the encoder."""

    from_: tuple[Path, ...] = setting(REQUIRED, _FROM)


@dataclass(frozen=True, kw_only=True)
class Posttrain(TrainOn):
    """Train an action-conditioned predictor; the encoder stays as is."""

    weights: Path = setting(REQUIRED, "file of weights, with an encoder at least")


@dataclass(frozen=True, kw_only=True)
class Finetune(Posttrain):
    """Fit a predictor to a lab's own episodes."""

    preset: str = setting("finetune", _PRESET)
    step_period: float | None = setting(
        None, "between frames [as in the weights]", low=0.001, high=3600.0, unit="s"
    )


@dataclass(frozen=True, kw_only=True)
class ReportTraining(Posttrain):
    """One HTML page: probes, prediction errors and energies of weights."""

    metrics: tuple[Path, ...] = setting((), "metrics.csv to plot; may be repeated")
    frames: int = setting(3000, "to fit probes on", low=1)
    windows: int = setting(192, "to predict in", low=1)


@dataclass(frozen=True, kw_only=True)
class TrainSubGoals(Opening):
    """Train a net that proposes the key frames of the way to one goal picture."""

    out: Path = setting(REQUIRED, "file to write")
    data: Path = setting(REQUIRED, "folder of demonstrations")
    weights: Path = setting(REQUIRED, "those that will plan")
    bank: Path | None = setting(None, "where latents are kept [a folder beside --out]")
    scenes: Path | None = setting(
        None, "recordings that tell where an object is, to learn from what latents tell of it"
    )
    steps: int = setting(2500, "of the optimizer", low=1)
    reading_steps: int = setting(3000, "of the optimizer, before these, with --scenes", low=1)


@dataclass(frozen=True, kw_only=True)
class TrainPolicy(Weighted, Opening):
    """Clone recorded episodes: a small policy, which the latents of frozen weights are shown to."""

    data: Path = setting(REQUIRED, "folder of episodes; those marked as failed are left out")
    out: Path = setting(REQUIRED, "file to write; latents are kept beside it")
    steps: int = setting(3000, "of the optimizer", low=1)
    seed: int = setting(0, "of the training", low=0)


@dataclass(frozen=True, kw_only=True)
class ServePolicy(Weighted):
    """Answer questions in openpi's protocol with such a policy."""

    positional = ("file",)

    file: Path = setting(REQUIRED, "what `policy train` wrote")
    host: str = setting("127.0.0.1", "to listen at; whoever reaches it may ask")
    port: int = setting(8000, "to listen at; 0 is any that is free", low=0, high=65535)


@dataclass(frozen=True, kw_only=True)
class TrainProbe(Opening):
    """Train a probe that says of a frame's latents whether something is so."""

    out: Path = setting(REQUIRED, "file to write")
    data: Path = setting(REQUIRED, "folder of episodes")
    weights: Path = setting(REQUIRED, "file of weights, with an encoder at least")
    label: Literal["grasped", "closed", "task"] = setting(
        "grasped",
        "whether the object of the task is held, whether the fingers are closed, or which of the "
        "recorded tasks it is",
    )
    steps: int = setting(1000, "of the optimizer", low=1)
    held_out: float = setting(0.1, "share of the episodes, to measure on", low=0.0, high=0.5)
    seed: int = setting(0, "of the draws", low=0)


@dataclass(frozen=True, kw_only=True)
class TrainDecoder(Opening):
    """Train a decoder that draws what latents show: for people, no plan looks at it."""

    data: Path = setting(REQUIRED, "folder of episodes")
    weights: Path = setting(REQUIRED, "file of weights, with an encoder at least")
    out: Path | None = setting(None, "file to write [beside the weights, where it is looked for]")
    device: str | None = setting(None, "cpu or cuda [cuda where there is one]")
    steps: int = setting(2000, "of the optimizer", low=1)
    seed: int = setting(0, "of the training", low=0)
    held_out: float = setting(0.1, "share of the episodes, to measure on", low=0.0, high=0.5)
