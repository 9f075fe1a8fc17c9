"""Training the encoder: masked latent prediction, and the terms that small data needs.

Targets are the layer-normalised latents of an encoder whose weights are a moving average of
the trained one's. Every term has a weight; at 0 it is neither computed nor built.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vjepa_gate.settings import setting
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.model.transformer import (
    Block,
    Rotary,
    grid_positions,
    init_weights,
    rotary_tables,
)
from vjepa_ros.training.augment import AugmentConfig, vary
from vjepa_ros.training.data import Batch, Share
from vjepa_ros.training.losses import (
    InverseDynamics,
    Readout,
    narrowness,
    prediction_error,
    teacher_forced,
)
from vjepa_ros.training.masks import LARGE_BLOCKS, SMALL_BLOCKS, draw_mask


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Weights of the losses of pretraining."""

    frames: int = setting(4, "of a window", low=1, high=64)
    masked: float = setting(1.0, "weight of masked latent prediction", low=0.0)
    dynamics: float = setting(
        0.0, "of action-conditioned prediction, trained together with the encoder", low=0.0
    )
    inverse: float = setting(0.0, "of inverse dynamics", low=0.0)
    readout: float = setting(
        0.0, "of tool and object positions, from each token and from all", low=0.0
    )
    spread: float = setting(0.0, "of the variance and covariance of latents, as in VICReg", low=0.0)
    gripper_weight: float = setting(3.0, "of closedness among what is read out", low=0.0)
    object_weight: float = setting(
        1.0, "of the object's position, and of whether it is held", low=0.0
    )
    augment: AugmentConfig = field(default_factory=AugmentConfig)


class MaskedPredictor(nn.Module):
    """Hidden patches from seen ones: a narrow transformer over both."""

    def __init__(self, width: int, narrow: int, depth: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.Linear(width, narrow)
        self.mask_token = nn.Parameter(torch.zeros(narrow))
        self.blocks = nn.ModuleList(Block(narrow, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(narrow, eps=1e-6)
        self.proj = nn.Linear(narrow, width)
        init_weights(self)

    def forward(self, tokens: Tensor, seen: Tensor, hidden: Tensor, positions: Tensor) -> Tensor:
        """Latents at `hidden` [B, N] from tokens [B, M, width] at `seen` [B, M]."""
        x = self.embed(tokens)
        masks = self.mask_token.to(x.dtype).expand(len(hidden), hidden.shape[1], -1)
        x = torch.cat((x, masks), 1)
        rotary = rotary_tables(positions, x.shape[-1] // self.heads, 2 * self.heads)
        rotary = chosen_rotary(rotary, torch.cat((seen, hidden), 1))
        for block in self.blocks:
            x = block(x, rotary)
        return self.proj(self.norm(x[:, seen.shape[1] :]))


def chosen_rotary(rotary: Rotary, chosen: Tensor) -> Rotary:
    """Rotary tables [B, N, width] of patches chosen [B, N] among all [L, width]."""
    cosines, sines = rotary
    return cosines[chosen], sines[chosen]


class Pretraining(nn.Module):
    """What is trained in this stage, and its losses."""

    def __init__(self, model: ModelConfig, config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(model.encoder)
        self.target = copy.deepcopy(self.encoder).requires_grad_(False)
        width, self.grid = model.encoder.width, model.image_size // model.encoder.patch
        if config.masked:
            if config.frames % model.encoder.tubelet:
                raise ValueError(
                    f"losses.frames is {config.frames}, expected a multiple of "
                    f"{model.encoder.tubelet}, as `masked` hides parts of a clip: set it, or "
                    "`masked` to 0"
                )
            narrow = max(64, width // 2 // 64 * 64)
            self.masked = MaskedPredictor(width, narrow, depth=4, heads=narrow // 32)
        if config.dynamics:
            if model.predictor is None:
                raise ValueError(f"{model.preset} has no predictor: set `dynamics` to 0")
            self.predictor = Predictor(model.predictor)
        if config.inverse:
            self.inverse = InverseDynamics(width, self.grid**2)
        if config.readout:
            self.readout = Readout(width, self.grid**2, config.gripper_weight, config.object_weight)

    fixed: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return self.config.frames

    def averages(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """Modules, and those that follow them as moving averages."""
        return [(self.encoder, self.target)]

    def forward(self, batch: Batch, generator: torch.Generator, share: Share) -> dict[str, Tensor]:
        """The weighted terms of the loss. The generator draws for the batches of all processes."""
        config, terms = self.config, {}
        pixels, actions = vary(batch, config.augment, generator, share)
        if config.masked:
            terms["masked"] = config.masked * self._masked(pixels, generator, share)
        if config.dynamics or config.inverse or config.readout or config.spread:
            latents = self._encode(self.encoder, pixels)
        if config.dynamics:
            with torch.no_grad():
                targets = self._encode(self.target, pixels[:, 1:])
            predicted = teacher_forced(self.predictor, latents, actions, batch.states)
            terms["dynamics"] = config.dynamics * prediction_error(predicted, targets)
        if config.inverse:
            terms["inverse"] = config.inverse * self.inverse(latents, batch.actions)
        if config.readout:
            read = self.readout(latents, batch.states, batch.objects)
            terms["readout"] = config.readout * read
        if config.spread:
            terms["spread"] = config.spread * narrowness(latents)
        return terms

    def _encode(self, encoder: Encoder, pixels: Tensor) -> Tensor:
        """Frames [B, T, 3, H, W], each alone, to latents [B, T, patches, width]."""
        return encoder.encode(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])

    def _masked(self, pixels: Tensor, generator: torch.Generator, share: Share) -> Tensor:
        """The mean error over both kinds of masks."""
        clip = pixels.transpose(1, 2)  # [B, 3, T, H, W]
        tubelets = clip.shape[2] // self.encoder.config.tubelet
        total = len(clip) * share.world
        with torch.no_grad():
            target = self.target(clip).float()
            target = F.layer_norm(target, target.shape[-1:])
        errors = []
        for kind in (SMALL_BLOCKS, LARGE_BLOCKS):
            drawn = draw_mask(total, tubelets, self.grid, kind, generator)
            seen, hidden = (part[share.of(total)].to(clip.device) for part in drawn)
            predicted = self._predict_hidden(clip, seen, hidden)
            truth = torch.take_along_dim(target, hidden[..., None], 1)
            errors.append(F.l1_loss(predicted.float(), truth))
        return torch.stack(errors).mean()

    def _predict_hidden(self, clip: Tensor, seen: Tensor, hidden: Tensor) -> Tensor:
        encoder = self.encoder
        tubelets = clip.shape[2] // encoder.config.tubelet
        tokens, rotary = encoder.embed(clip * self._visible(seen, clip))
        kept = torch.take_along_dim(tokens, seen[..., None], 1)
        kept = encoder.transform(kept, chosen_rotary(rotary, seen))
        positions = grid_positions(tubelets, self.grid, self.grid, clip.device)
        return self.masked(kept, seen, hidden, positions)

    def _visible(self, seen: Tensor, clip: Tensor) -> Tensor:
        """1 where a patch is seen, 0 elsewhere, [B, 1, T, H, W].

        A convolutional stem looks across the borders of patches: it must not see the hidden.
        """
        config = self.encoder.config
        tubelets = clip.shape[2] // config.tubelet
        cells = torch.zeros(len(seen), tubelets * self.grid**2, device=clip.device)
        cells = cells.scatter(1, seen, 1.0).view(-1, 1, tubelets, self.grid, self.grid)
        for axis, factor in ((2, config.tubelet), (3, config.patch), (4, config.patch)):
            cells = cells.repeat_interleave(factor, axis)
        return cells
