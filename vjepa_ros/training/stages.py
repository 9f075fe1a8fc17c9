"""The stages of training, from episodes to weights, each in a folder of its own.

A stage that was interrupted goes on where its last checkpoint was written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from vjepa_ros.model.checkpoints import Weights, load_weights, save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.training.data import EpisodeSet, View, split_episodes, unpack
from vjepa_ros.training.latents import attach_latents
from vjepa_ros.training.lean import add_low_rank, merge_low_rank, recompute_blocks
from vjepa_ros.training.posttrain import Posttraining
from vjepa_ros.training.pretrain import Pretraining
from vjepa_ros.training.settings import Posttrain, Pretrain
from vjepa_ros.training.trainer import load_checkpoint, this_share, train
from vjepa_ros.training.validation import prediction_errors

WEIGHTS = "weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a stage takes its data from, and where it puts what it makes."""

    stage: str  # under which the weights' metadata keep its settings
    data: Path
    out: Path
    unpacked: Path
    held_out: float  # share of the episodes that training never sees
    device: torch.device
    opening: Mapping[str, Any] = field(default_factory=dict)  # of open_episode

    def episodes(self, model: ModelConfig) -> EpisodeSet:
        """Episodes to train on."""
        return self._unpack(model, 0)

    def held_out_episodes(self, model: ModelConfig) -> EpisodeSet:
        """Episodes that training never sees."""
        return self._unpack(model, 1)

    def encode(self, episodes: EpisodeSet, weights: Weights) -> None:
        """Let episodes have their latents, encoded by one process for all."""
        assert weights.encoder is not None
        encoder = weights.encoder.to(self.device).eval()
        if this_share().rank == 0:
            attach_latents(episodes, encoder, weights.identity)
        if dist.is_initialized():
            dist.barrier()
        attach_latents(episodes, encoder, weights.identity)

    def _unpack(self, model: ModelConfig, part: int) -> EpisodeSet:
        parts = split_episodes(self.data, self.held_out)
        paths = parts[part]
        if not paths:
            raise ValueError(
                f"{self.data} has {len(parts[0])} episodes: too few to hold {self.held_out:.0%} out"
            )
        view = View(size=model.image_size, crop=model.crop, step_period=model.step_period)
        if this_share().rank == 0:  # for all processes
            unpack(paths, view, self.unpacked, self.opening)
        if dist.is_initialized():
            dist.barrier()
        return unpack(paths, view, self.unpacked, self.opening)


def pretrain(settings: Pretrain, model: ModelConfig, run: Run, starts: Sequence[Path] = ()) -> Path:
    """An encoder from nothing, or from `starts`: weights, or folders that earlier stages left;
    what two of them hold comes from the later.

    With `dynamics` a predictor grows up with it.
    """
    torch.manual_seed(settings.trainer.seed)
    stage = Pretraining(model, settings.losses)
    for start in starts:
        start_from(stage, start)
    train(stage, run.episodes(model), settings.trainer, run.out, run.device)
    predictor = stage.predictor if settings.losses.dynamics else None
    config = replace(model, predictor=model.predictor if predictor else None, trained_horizon=0)
    return _save(run, config, stage.target, predictor, settings)


def start_from(stage: Pretraining, start: Path) -> None:
    """Take over, from weights or from the folder of a stage, those parts that both have."""
    own = stage.state_dict()
    learnt = _parts_of(start)
    stage.load_state_dict({name: learnt.get(name, value) for name, value in own.items()})


def _parts_of(start: Path) -> dict[str, torch.Tensor]:
    if not start.is_dir():  # a file, or the name of shipped weights
        weights = load_weights(start)
        held: list[tuple[str, nn.Module | None]] = [
            ("encoder", weights.encoder),
            ("target", weights.encoder),
            ("predictor", weights.predictor),
        ]
        return {
            f"{part}.{name}": value
            for part, module in held
            if module is not None
            for name, value in module.state_dict().items()
        }
    checkpoint = load_checkpoint(start)
    if checkpoint is None:
        raise ValueError(f"{start} holds no checkpoint: `train pretrain --out` writes one there")
    learnt: dict[str, torch.Tensor] = checkpoint["stage"]
    return learnt


def posttrain(settings: Posttrain, model: ModelConfig, weights: Weights, run: Run) -> Path:
    """A predictor for the encoder of the weights; it starts as theirs if that is of its shape."""
    if weights.encoder is None or model.predictor is None:
        missing = "encoder" if weights.encoder is None else "predictor"
        raise ValueError(f"{weights.identity} has no {missing}: there is nothing to train")
    torch.manual_seed(settings.trainer.seed)
    predictor, before = weights.predictor, weights.metadata
    if predictor is None or predictor.config != model.predictor:
        print(f"a new predictor, of {model.preset}, for the encoder of {weights.identity}")
        predictor = Predictor(model.predictor)
        before = {name: value for name, value in before.items() if name != "planner"}
    predictor.train().requires_grad_()
    if settings.low_rank:
        add_low_rank(predictor, settings.low_rank)
    stage = Posttraining(weights.encoder, predictor, settings.losses)
    if settings.recompute:
        recompute_blocks(predictor)
    episodes, held_out = run.episodes(model), run.held_out_episodes(model)
    if settings.latents:
        settings.losses.augment.check_pictures_stay("latents")
        for one in (episodes, held_out):
            run.encode(one, weights)

    def validate(done: int) -> None:
        due = done % settings.validate_every == 0 or done == settings.trainer.steps
        if due and this_share().rank == 0:
            errors = prediction_errors(
                stage.encoder, stage.averaged, held_out, horizon=settings.losses.horizon
            )
            print(f"after {done} steps, on held-out episodes:\n{errors.table()}", flush=True)

    train(stage, episodes, settings.trainer, run.out, run.device, validate)
    config = replace(model, trained_horizon=settings.losses.horizon)
    trained = merge_low_rank(stage.averaged)
    return _save(run, config, stage.encoder, trained, settings, before)


def _save(
    run: Run,
    config: ModelConfig,
    encoder: Encoder,
    predictor: Predictor | None,
    settings: Pretrain | Posttrain,
    before: dict[str, Any] | None = None,
) -> Path:
    """Write the weights; those of a model that a planner is named after name it."""
    path = run.out / WEIGHTS
    if this_share().rank == 0:
        planner = {"planner": config.preset} if config.preset in PLANNERS else {}
        about = {**planner, **(before or {}), run.stage: asdict(settings)}
        save_weights(path, config, encoder, predictor, metadata=about)
    return path
