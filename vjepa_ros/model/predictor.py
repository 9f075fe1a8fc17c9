"""The action-conditioned predictor of V-JEPA 2-AC: the next frame's latent from those so far.

Every frame is the tokens [action, (state), (extrinsics), patches]. A frame sees itself and the
frames before it, so the keys and values of frames already seen can be kept in a `Past` and
a rollout computes each new frame alone.
"""

import copy
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vjepa_gate.settings import REQUIRED, setting
from vjepa_ros.model.transformer import (
    Block,
    KeyValueCache,
    Norm,
    Rotary,
    grid_positions,
    init_weights,
    rotary_tables,
)

ACTION_SIZE = STATE_SIZE = 7
EXTRINSICS_SIZE = 6


@dataclass(frozen=True, kw_only=True)
class PredictorConfig:
    """The shape of a predictor."""

    latent_width: int = setting(REQUIRED, "channels of the encoder's latents", low=1, high=65_536)
    grid: int = setting(16, "patches along each side of a frame", low=1, high=1000)
    width: int = setting(1024, "channels of a token", low=1, high=65_536)
    depth: int = setting(24, "blocks", low=1, high=1000)
    heads: int = setting(16, "of attention", low=1, high=1000)
    mlp_ratio: float = setting(4.0, "hidden channels, of width", low=0.01, high=100.0)
    max_frames: int = setting(
        32, "that one sequence may hold, context and rollout together", low=2, high=10_000
    )
    state: bool = setting(True, "a token per frame for the arm's state; jepa-wms has none")
    extrinsics: bool = setting(False, "one more, for the camera's pose")
    residual: bool = setting(False, "the output is added to the latent, and starts at zero")
    window: int | None = setting(
        None, "latest frames that it sees, numbered from 0 [all]", low=1, high=10_000
    )

    @property
    def patches(self) -> int:
        """Tokens of a frame that are patches."""
        return self.grid**2

    @property
    def controls(self) -> int:
        """Tokens of a frame that come before its patches."""
        return 1 + self.state + self.extrinsics


class Past:
    """What the predictor has seen so far: the keys and values of every block."""

    def __init__(self, depth: int) -> None:
        self.frames = 0
        self.caches = [KeyValueCache() for _ in range(depth)]

    def branch(self, frozen: bool = False) -> "Past":
        """A past that starts as this one and leaves it as it is; nothing is copied.

        A frozen branch is not extended: nothing of the frames that follow is kept.
        """
        other = copy.copy(self)
        other.caches = [copy.copy(cache) for cache in self.caches]
        for cache in other.caches:
            cache.frozen = frozen
        return other


class Predictor(nn.Module):
    """Submodules bear the names of the published checkpoints.

    Those hold an `extrinsics_encoder` even where it was never used.
    """

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        self.predictor_embed = nn.Linear(config.latent_width, config.width)
        self.action_encoder = nn.Linear(ACTION_SIZE, config.width)
        if config.state:
            self.state_encoder = nn.Linear(STATE_SIZE, config.width)
        if config.extrinsics:
            self.extrinsics_encoder = nn.Linear(EXTRINSICS_SIZE, config.width)
        self.predictor_blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio) for _ in range(config.depth)
        )
        self.predictor_norm = Norm(config.width)
        self.predictor_proj = nn.Linear(config.width, config.latent_width)
        init_weights(self)
        if config.residual:
            nn.init.zeros_(self.predictor_proj.weight)

    def forward(
        self,
        latents: Tensor,
        actions: Tensor,
        states: Tensor,
        extrinsics: Tensor | None = None,
        past: Past | None = None,
    ) -> Tensor:
        """The latent that follows each frame, layer-normalised, [B, T, patches, latent_width].

        Frame t is `latents` [B or 1, T, patches, latent_width], the action taken in it
        [B, T, 7], the state [B, T, 7] and the extrinsics [B, T, 6]. With a `past`, the T
        frames follow its frames and extend it. Inputs and output are float32 whatever the
        dtype of the weights.
        """
        config = self.config
        frames, first = latents.shape[1], past.frames if past else 0
        x = self._tokens(latents, actions, states, extrinsics).flatten(1, 2)
        rotary = _rotary(config, first, frames, x.device, self.predictor_embed.weight.dtype)
        for index, block in enumerate(self.predictor_blocks):
            x = block(x, rotary, frames, past.caches[index] if past else None)
        if past:
            past.frames += frames
        x = x.unflatten(1, (frames, -1))[:, :, config.controls :]
        x = self.predictor_proj(self.predictor_norm(x)).float()
        if config.residual:
            x = latents + x
        return F.layer_norm(x, (config.latent_width,))

    def _tokens(
        self, latents: Tensor, actions: Tensor, states: Tensor, extrinsics: Tensor | None
    ) -> Tensor:
        """[B, T, controls + patches, width] in float32"""
        if (extrinsics is not None) != self.config.extrinsics:
            wants = "needs" if self.config.extrinsics else "takes no"
            raise ValueError(f"extrinsics: this predictor {wants} extrinsics")
        patches = self.predictor_embed(latents.to(self.predictor_embed.weight.dtype))
        controls = [_exact(self.action_encoder, actions)]
        if self.config.state:
            controls.append(_exact(self.state_encoder, states))
        if extrinsics is not None:
            controls.append(_exact(self.extrinsics_encoder, extrinsics))
        patches = patches.float().expand(len(actions), -1, -1, -1)
        return torch.cat((torch.stack(controls, 2), patches), 2)


@lru_cache(64)
def _rotary(
    config: PredictorConfig, first: int, frames: int, device: torch.device, dtype: torch.dtype
) -> Rotary:
    """Controls are turned by their time alone: they stand at row 0, column 0."""
    patches = grid_positions(frames, config.grid, config.grid, device)
    patches = patches.unflatten(0, (frames, -1))
    controls = patches[:, :1].expand(-1, config.controls, -1)
    positions = torch.cat((controls, patches), 1).flatten(0, 1)
    positions[:, 0] += first
    cosines, sines = rotary_tables(positions, config.width // config.heads, 2 * config.heads)
    return cosines.to(dtype), sines.to(dtype)


def _exact(encoder: nn.Linear, values: Tensor) -> Tensor:
    # bf16 would round a position of 0.5 m to 2 mm.
    return F.linear(values, encoder.weight.float(), encoder.bias.float())
