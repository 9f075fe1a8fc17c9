"""The video encoder of V-JEPA 2 and 2.1: camera frames to latents, one per patch.

Submodules bear the names of the published checkpoints. What 2.1 does otherwise: the two channels
of a pair turn together; rows and columns are numbered as if there were 16 of each, whatever the
resolution; single frames have a patch embedding of their own; a vector that is added to every
patch tells pictures from clips; and four depths have a norm each, in place of one at the end.
"""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
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
    version: Literal["2", "2.1"] = setting("2", "of V-JEPA")

    @property
    def levels(self) -> tuple[int, ...]:
        """The blocks whose outputs make up the hierarchical features of V-JEPA 2.1."""
        if self.depth == 48:
            return 11, 23, 37, 47  # not evenly spaced, as it was trained
        return tuple(self.depth * quarter // 4 - 1 for quarter in range(1, 5))


_GRID = 16  # rows and columns that V-JEPA 2.1 numbers its patches by


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
        if config.version == "2.1":
            self.patch_embed_img = Stem(replace(config, tubelet=1))
            self.img_mod_embed = nn.Parameter(torch.zeros(1, 1, config.width))
            self.video_mod_embed = nn.Parameter(torch.zeros(1, 1, config.width))
            self.norms_block = nn.ModuleList(
                nn.LayerNorm(config.width, eps=NORM_EPS) for _ in config.levels
            )
        else:
            self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        init_weights(self)
        self.patch_embed.init_halvings()

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents [B, patches, width] of single frames [B, 3, H, W], for planning.

        They are layer-normalised without affine parameters, and float32 whatever the dtype
        of the weights. To V-JEPA 2 a frame is a clip that repeats it for one tubelet, to 2.1 a
        picture.
        """
        self._check("pixels", pixels, "[B, 3, H, W]")
        tokens = self.transform(*self._picture(pixels))
        return F.layer_norm(tokens.float(), (self.config.width,))

    def forward(self, clip: Tensor) -> Tensor:
        """Tokens [B, patches, width] of clips [B, 3, T, H, W], ordered by time, row, column."""
        return self.transform(*self.embed(clip))

    def hierarchy(self, clip: Tensor) -> Tensor:
        """The features [B, patches, 4 * width] of V-JEPA 2.1 at its four levels, for dense tasks.

        A clip of a single frame is a picture.
        """
        if self.config.version != "2.1":
            raise ValueError("hierarchical features: V-JEPA 2.1 alone was trained for them")
        tokens, rotary = self._picture(clip[:, :, 0]) if clip.shape[2] == 1 else self.embed(clip)
        features: list[Tensor] = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens, rotary)
            if index in self.config.levels:
                features.append(self.norms_block[len(features)](tokens))
        return torch.cat(features, -1)

    def embed(self, clip: Tensor) -> tuple[Tensor, Rotary]:
        """The patches of clips [B, 3, T, H, W] before the first block, and their positions."""
        self._check("clip", clip, "[B, 3, T, H, W]")
        if clip.shape[2] % self.config.tubelet:
            raise ValueError(
                f"clip has {clip.shape[2]} frames, expected a multiple of {self.config.tubelet}"
            )
        tokens, rotary = self._tokens(self.patch_embed(clip.to(self._dtype)))
        return tokens + self.video_mod_embed if self.config.version == "2.1" else tokens, rotary

    def transform(self, tokens: Tensor, rotary: Rotary) -> Tensor:
        """What the blocks make of embedded patches, be it all of them or some."""
        for block in self.blocks:
            tokens = block(tokens, rotary)
        return self.norms_block[-1](tokens) if self.config.version == "2.1" else self.norm(tokens)

    def _picture(self, pixels: Tensor) -> tuple[Tensor, Rotary]:
        pixels = pixels.to(self._dtype)
        if self.config.version == "2.1":
            tokens, rotary = self._tokens(self.patch_embed_img.still(pixels).unsqueeze(2))
            return tokens + self.img_mod_embed, rotary
        return self._tokens(self.patch_embed.still(pixels).unsqueeze(2))

    def _tokens(self, grid: Tensor) -> tuple[Tensor, Rotary]:
        """From [B, width, frames, rows, columns] to [B, patches, width]."""
        positions = grid_positions(*grid.shape[2:]).to(grid.device)
        mended = self.config.version == "2.1"
        if mended:
            rows_and_columns = torch.tensor(grid.shape[3:], device=grid.device)
            positions[:, 1:] *= (_GRID - 1) / (rows_and_columns - 1).clamp(min=1)
        heads = self.config.heads
        rotary = rotary_tables(positions, self.config.width // heads, 2 * heads, mended)
        return grid.flatten(2).transpose(1, 2), rotary

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.patch_embed.proj.weight.device

    @property
    def _dtype(self) -> torch.dtype:
        return self.patch_embed.proj.weight.dtype

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
