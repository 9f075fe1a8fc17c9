"""Which patches of a clip the encoder does not see: multi-block masks, as V-JEPA draws them.

A mask is the union of several blocks, each a rectangle of patches that reaches through the
whole clip, so that the hidden cannot be copied from another frame.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class MaskConfig:
    """How much of the picture is hidden, and in what blocks."""

    blocks: int = 8
    area: float = 0.15  # share of the picture that one block covers
    aspect: tuple[float, float] = (0.75, 1.5)  # height over width, least and most


# V-JEPA 2 predicts through both in turn: many small holes, and a few large ones.
SMALL_BLOCKS = MaskConfig(blocks=8, area=0.15)
LARGE_BLOCKS = MaskConfig(blocks=2, area=0.7)


def draw_mask(
    batch: int, frames: int, grid: int, config: MaskConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Indices of the patches that are seen [batch, seen] and hidden [batch, hidden].

    `frames` counts tubelets. Every clip of the batch hides as many patches as the one that
    hides the fewest: the others show some of theirs, drawn at random.
    """
    hidden = torch.stack([_union_of_blocks(grid, config, generator) for _ in range(batch)])
    fewest = min(int(hidden.flatten(1).sum(1).min()), grid * grid - 1)
    # Hidden cells in front in random order, then the seen ones.
    order = (hidden.flatten(1) + torch.rand(batch, grid * grid, generator=generator)).argsort(
        1, descending=True
    )
    cells = order[:, fewest:].sort(1).values, order[:, :fewest].sort(1).values
    offsets = torch.arange(frames)[:, None] * grid * grid
    seen, masked = ((part[:, None] + offsets).flatten(1) for part in cells)
    return seen, masked


def _union_of_blocks(grid: int, config: MaskConfig, generator: torch.Generator) -> Tensor:
    """A picture [grid, grid] of the cells that are hidden."""
    hidden = torch.zeros(grid, grid, dtype=torch.bool)
    shortest, tallest = config.aspect
    cells = config.area * grid * grid
    for _ in range(config.blocks):
        share = torch.rand(3, generator=generator).tolist()
        aspect = shortest + (tallest - shortest) * share[0]
        height = min(grid, max(1, round(math.sqrt(cells * aspect))))
        width = min(grid, max(1, round(math.sqrt(cells / aspect))))
        top = round(share[1] * (grid - height))
        left = round(share[2] * (grid - width))
        hidden[top : top + height, left : left + width] = True
    return hidden
