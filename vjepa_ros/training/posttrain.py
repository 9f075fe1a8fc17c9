"""Training the action-conditioned predictor on the latents of a frozen encoder."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vjepa_gate.settings import setting
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.training.augment import AugmentConfig, vary
from vjepa_ros.training.data import Batch, Share
from vjepa_ros.training.latents import latents_of
from vjepa_ros.training.losses import prediction_error, rolled_out, teacher_forced


@dataclass(frozen=True, kw_only=True)
class PosttrainConfig:
    """Weights and lengths of the losses of post-training."""

    horizon: int = setting(
        4, "actions of a window: as many as planning looks ahead", low=1, high=64
    )
    rollout: float = setting(
        1.0, "weight of the rollout's error beside the teacher-forced one", low=0.0
    )
    rollout_steps: int | None = setting(
        None, "actions that are rolled out; none: all of the window", low=1
    )
    augment: AugmentConfig = field(default_factory=AugmentConfig)


class Posttraining(nn.Module):
    """The predictor in training, its moving average, and the encoder that stays as it is."""

    def __init__(self, encoder: Encoder, predictor: Predictor, config: PosttrainConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder.eval().requires_grad_(False)
        self.predictor = predictor
        self.averaged = copy.deepcopy(predictor).requires_grad_(False)

    fixed: tuple[str, ...] = ("encoder.",)

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return self.config.horizon + 1

    def averages(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """Modules, and those that follow them as moving averages."""
        return [(self.predictor, self.averaged)]

    def forward(self, batch: Batch, generator: torch.Generator, share: Share) -> dict[str, Tensor]:
        """The weighted terms of the loss. The generator draws for the batches of all processes."""
        config = self.config
        pixels, actions = vary(batch, config.augment, generator, share)
        latents = latents_of(self.encoder, batch, pixels)

        predicted = teacher_forced(self.predictor, latents, actions, batch.states)
        terms = {"teacher": prediction_error(predicted, latents[:, 1:])}
        if config.rollout:
            ahead = config.rollout_steps or config.horizon
            rolled = rolled_out(
                self.predictor, latents[:, 0], actions[:, :ahead], batch.states[:, 0]
            )
            error = prediction_error(rolled, latents[:, 1 : ahead + 1])
            terms["rollout"] = config.rollout * error
        return terms
