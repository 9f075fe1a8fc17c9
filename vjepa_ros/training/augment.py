"""Variation that the recordings lack: other light, another exposure, a nudged camera.

One draw holds for a whole window, as it would for a camera. Draws are made for the windows of
all processes, so that their number does not change what is trained on.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vjepa_gate.settings import setting
from vjepa_ros.training.data import Batch, Share

_DRAWS = 9  # uniform numbers that one window needs


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """The largest change either way, and how often actions are taken from the commands."""

    gain: float = setting(
        0.0, "of contrast, and half of it of each colour; a share", low=0.0, high=1.0
    )
    offset: float = setting(
        0.0, "of brightness; standard deviations of the pixels", low=0.0, high=10.0
    )
    shift: float = setting(0.0, "of the picture; a share of its width", low=0.0, high=1.0)
    turn: float = setting(0.0, "of the picture", low=0.0, high=180.0, unit="degrees")
    zoom: float = setting(0.0, "of the picture; a share", low=0.0, high=0.9)
    commanded: float = setting(0.0, "share of the windows", low=0.0, high=1.0)

    def check_pictures_stay(self, why: str) -> None:
        """Raise ValueError where pictures are varied, which `why` cannot have."""
        varied = {
            name: value for name, value in vars(self).items() if name != "commanded" and value
        }
        for name, value in varied.items():
            raise ValueError(
                f"{why} are of pictures as recorded, but augment.{name} is {value:g}: set it to 0, "
                f"or {why} to false"
            )


def vary(
    batch: Batch, config: AugmentConfig, generator: torch.Generator, share: Share
) -> tuple[Tensor, Tensor]:
    """This process's windows as pixels [B, T, 3, size, size] and actions [B, T - 1, 7]."""
    total = batch.windows * share.world
    mine = share.of(total)
    draws = torch.rand(total, _DRAWS, generator=generator) * 2 - 1
    choice = torch.rand(total, generator=generator) < config.commanded
    pixels = augment(batch.pixels(), config, draws[mine])
    return pixels, either(batch.actions, batch.commanded, choice[mine].to(pixels.device))


def either(actions: Tensor, commanded: Tensor, choice: Tensor) -> Tensor:
    """Per window, what the arm did or, where choice [B] is true, what it was told to do.

    A planner's actions are commands: fingers told to shut stop at what is between them.
    """
    known = ~commanded.isnan().flatten(1).any(1)
    return torch.where((choice & known)[:, None, None], commanded, actions)


def augment(pixels: Tensor, config: AugmentConfig, draws: Tensor) -> Tensor:
    """Change windows [B, T, 3, size, size] by their draws [B, 9]."""
    draws = draws.to(pixels.device)
    gains = 1 + config.gain * (draws[:, :1] + draws[:, 1:4] / 2)
    offsets = config.offset * draws[:, 4:5]
    changed = pixels * gains[:, None, :, None, None] + offsets[:, None, :, None, None]
    return _moved(changed, config, draws[:, 5:])


def _moved(pixels: Tensor, config: AugmentConfig, draws: Tensor) -> Tensor:
    """Shift, turn and zoom; what lay outside the picture is its border."""
    if not (config.shift or config.turn or config.zoom):
        return pixels
    batch, frames = pixels.shape[:2]
    angle = math.radians(config.turn) * draws[:, 0]
    scale = 1 + config.zoom * draws[:, 1]
    shift = 2 * config.shift * draws[:, 2:]  # the picture spans -1 … 1
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    transform = torch.stack(
        (
            torch.stack((cosine, -sine, shift[:, 0]), -1),
            torch.stack((sine, cosine, shift[:, 1]), -1),
        ),
        1,
    )
    size = [batch, frames * 3, *pixels.shape[-2:]]
    grid = F.affine_grid(transform, size, align_corners=False)
    moved = F.grid_sample(pixels.flatten(1, 2), grid, padding_mode="border", align_corners=False)
    return moved.view_as(pixels)
