"""The V-JEPA 2 video encoder: camera frames to latents, one per patch.

Submodules bear the names of the published checkpoints.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from vjepa_gate.settings import REQUIRED, setting
from vjepa_ros.model.transformer import (
    NORM_EPS,
    Block,
    Rotary,
    grid_positions,
    init_weights,
    rotary_tables,
)


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The shape of an encoder."""

    width: int = setting(REQUIRED, "channels of a token", low=1, high=65_536)
    depth: int = setting(REQUIRED, "blocks", low=1, high=1000)
    heads: int = setting(REQUIRED, "of attention", low=1, high=1000)
    mlp_ratio: float = setting(4.0, "hidden channels, of width", low=0.01, high=100.0)
    patch: int = setting(16, "along each side of a patch", low=1, high=1000, unit="pixels")
    tubelet: int = setting(2, "that one token spans", low=1, high=100, unit="frames")
    stem: Literal["patch", "conv"] = setting("patch", "what makes tokens of pixels")


class Encoder(nn.Module):
    """A vision transformer over the patches of a clip or of a single frame.

    Pixels are normalised as `Preprocessor` does. Their resolution is free: any number of
    whole patches, since positions are rotary.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = Stem(config)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.mlp_ratio) for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        init_weights(self)
        self.patch_embed.init_halvings()

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents [B, patches, width] of single frames [B, 3, H, W], for planning.

        They are layer-normalised without affine parameters, and float32 whatever the dtype
        of the weights. A frame counts as a clip that repeats it for one tubelet.
        """
        self._check("pixels", pixels, "[B, 3, H, W]")
        grid = self.patch_embed.still(pixels.to(self.norm.weight.dtype))
        tokens = self.transform(*self._tokens(grid.unsqueeze(2)))
        return F.layer_norm(tokens.float(), (self.config.width,))

    def forward(self, clip: Tensor) -> Tensor:
        """Tokens [B, patches, width] of clips [B, 3, T, H, W], ordered by time, row, column."""
        return self.transform(*self.embed(clip))

    def embed(self, clip: Tensor) -> tuple[Tensor, Rotary]:
        """The patches of clips [B, 3, T, H, W] before the first block, and their positions."""
        self._check("clip", clip, "[B, 3, T, H, W]")
        if clip.shape[2] % self.config.tubelet:
            raise ValueError(
                f"clip has {clip.shape[2]} frames, expected a multiple of {self.config.tubelet}"
            )
        return self._tokens(self.patch_embed(clip.to(self.norm.weight.dtype)))

    def transform(self, tokens: Tensor, rotary: Rotary) -> Tensor:
        """What the blocks make of embedded patches, be it all of them or some."""
        for block in self.blocks:
            tokens = block(tokens, rotary)
        return self.norm(tokens)

    def _tokens(self, grid: Tensor) -> tuple[Tensor, Rotary]:
        """From [B, width, frames, rows, columns] to [B, patches, width]."""
        positions = grid_positions(*grid.shape[2:]).to(grid.device)
        rotary = rotary_tables(positions, self.config.width // self.config.heads)
        return grid.flatten(2).transpose(1, 2), rotary

    def _check(self, name: str, pixels: Tensor, expected: str) -> None:
        patch = self.config.patch
        if pixels.dim() != expected.count(",") + 1 or pixels.shape[1] != 3:
            raise ValueError(f"{name} has shape {list(pixels.shape)}, expected {expected}")
        if not pixels.is_floating_point():
            raise ValueError(
                f"{name} holds {pixels.dtype}, expected normalised floats: see Preprocessor"
            )
        if pixels.shape[-2] % patch or pixels.shape[-1] % patch or 0 in pixels.shape:
            raise ValueError(
                f"{name} has shape {list(pixels.shape)}, expected height and width to be "
                f"multiples of the patch, {patch} pixels"
            )


class Stem(nn.Module):
    """Pixels to a grid of patches; its first convolution spans the frames of a tubelet.

    "patch" is one convolution with the stride of a patch. "conv" is 3×3 convolutions that
    halve the picture until a patch is one cell: small models learn more from little data.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        halvings = int(math.log2(config.patch)) if config.stem == "conv" else 0
        if halvings and 2**halvings != config.patch:
            raise ValueError(f"patch is {config.patch}: a conv stem needs a power of two")
        channels = [config.width // 2**left for left in reversed(range(max(halvings, 1)))]
        side, stride, padding = (3, 2, 1) if halvings else (config.patch, config.patch, 0)
        self.proj = nn.Conv3d(
            3,
            channels[0],
            (config.tubelet, side, side),
            stride=(config.tubelet, stride, stride),
            padding=(0, padding, padding),
        )
        self.halvings = nn.Sequential(
            *(
                nn.Sequential(nn.GELU(), nn.Conv2d(narrow, wide, 3, stride=2, padding=1))
                for narrow, wide in itertools.pairwise(channels)
            )
        )

    def init_halvings(self) -> None:
        """Keep the signal's size through the convolutions, which no norm sees to."""
        if len(self.halvings):
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Conv3d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, clip: Tensor) -> Tensor:
        """From [B, 3, T, H, W] to [B, width, frames, rows, columns]."""
        grid = self.proj(clip).transpose(1, 2)
        return self.halvings(grid.flatten(0, 1)).unflatten(0, grid.shape[:2]).transpose(1, 2)

    def still(self, pixels: Tensor) -> Tensor:
        """From [B, 3, H, W] to [B, width, rows, columns]: a clip that repeats one frame.

        Equal frames under a kernel are one frame under the kernel summed over time.
        """
        proj = self.proj
        kernel = proj.weight.sum(2)
        grid = F.conv2d(pixels, kernel, proj.bias, proj.stride[1:], proj.padding[1:])
        return self.halvings(grid)
