"""A decoder: what a frozen encoder's latents show, as a picture.

It is for people, who see what the model imagines beside what came. No plan looks at it.
"""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vjepa_ros.model.heads import HeadFiles
from vjepa_ros.model.located import located

_LEAST = 16  # channels


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The size of a decoder."""

    latent_width: int  # channels of a token
    grid: int  # tokens along each side
    size: int  # pixels along each side of the picture
    width: int = 96  # channels, halved at every doubling
    kernel: int = 3  # tokens along each side that a token's part of the picture is read from


class Decoder(nn.Module):
    """What is linear in the tokens, and what convolutions that double their grid add to it."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        doublings = int(math.log2(max(1, config.size // config.grid)))
        if doublings < 1 or config.grid << doublings != config.size:
            raise ValueError(
                f"size is {config.size}, expected {config.grid} times a power of two: the grid "
                "is doubled"
            )
        self.config = config
        self.patch = config.size // config.grid  # pixels along each side of a token's part
        colours, kernel = 3 * self.patch**2, config.kernel
        self.straight = nn.Conv2d(config.latent_width, colours, kernel, padding=kernel // 2)
        self.begin = nn.Conv2d(config.latent_width, config.width, 3, padding=1)
        self.mix = _Residual(config.width)
        narrower = (max(_LEAST, config.width >> step) for step in range(1, doublings))
        widths = [config.width, *narrower]
        self.doublings = nn.ModuleList(
            _Doubling(before, after) for before, after in itertools.pairwise(widths)
        )
        self.end = nn.Conv2d(widths[-1], 4 * 3, 3, padding=1)  # four pixels of three colours
        nn.init.zeros_(self.end.weight)  # it begins as what is linear

    def forward(self, latents: Tensor) -> Tensor:
        """Colours [B, 3, size, size] about 0 … 1, from latents [B, L, D]."""
        grid = self.on_grid(latents)
        features = self.mix(self.begin(grid))
        for doubling in self.doublings:
            features = doubling(features)
        added = F.pixel_shuffle(self.end(F.gelu(features)), 2)
        return F.pixel_shuffle(self.straight(grid), self.patch) + added

    def on_grid(self, latents: Tensor) -> Tensor:
        """Tokens [B, L, D] where their patches are: [B, D, rows, columns]."""
        return latents.transpose(1, 2).unflatten(2, (self.config.grid, -1))

    @torch.no_grad()
    def draw(self, latents: Tensor) -> Tensor:
        """Pictures, uint8 [B, size, size, 3] on the CPU, of latents [B, L, D] from anywhere."""
        weight = self.end.weight
        colours = self(latents.to(weight.device, weight.dtype))
        return (255 * colours).round().clamp(0, 255).to("cpu", torch.uint8).permute(0, 2, 3, 1)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        return features + self.body(features)


class _Doubling(nn.Module):
    """Each cell becomes four, by convolution, not by interpolation, which would blur."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(before, 4 * after, 3, padding=1)
        self.smooth = nn.Conv2d(after, after, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        doubled = F.pixel_shuffle(self.spread(F.gelu(features)), 2)
        return doubled + self.smooth(F.gelu(doubled))


# --- files -------------------------------------------------------------------------------

_FILES = HeadFiles(
    kind="decoder",
    what="decoder",
    made_by="vjepa-ros train decoder",
    make=lambda **config: Decoder(DecoderConfig(**config)),
    dtype=torch.float16,
)
save_decoder, load_decoder = _FILES.save, _FILES.load


def decoder_beside(weights: Path) -> Path:
    """Where the decoder is looked for that belongs to weights."""
    return weights.with_suffix(".decoder.safetensors")


def decoder_of(weights: Path, identity: str) -> Decoder | None:
    """The one beside weights, as `located` takes them, of this identity; None without one."""
    path = decoder_beside(located(weights))
    return load_decoder(path, identity) if path.is_file() else None
