"""A small net that knows the way: from now and a goal picture to all key frames at once.

A net that gives the next key frame alone stops at the first: there its answer changes with the
very frame that it has led to.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.model.heads import HeadFiles
from vjepa_ros.model.overview import Overview
from vjepa_ros.planning.subgoals.keyframes import SLOTS
from vjepa_ros.planning.subgoals.source import Proposal

UNIT = 0.1  # metres that count as one
_DEPARTED = 0.6  # units by which readings of the seen and the imagined differ that do not agree


@dataclass(frozen=True, kw_only=True)
class ProposerConfig:
    """The size of the net."""

    width: int  # of a token
    tokens: int
    readings: int = 8  # numbers read off a latent
    moves: int = 2  # of the fingers, at most, on the way
    hidden: int = 256
    pixels: int = 8  # that a token's part of a picture has along each side

    @property
    def slots(self) -> int:
        """Key frames of the longest way."""
        return SLOTS * self.moves


@dataclass(frozen=True)
class Ways:
    """What the net says about B pairs of now and goal."""

    positions: Tensor  # [B, slots, 3] from the tool, units
    closedness: Tensor  # [B, slots]
    phase: Tensor  # [B, slots + 1] logits: which key frame is next; the last is the goal itself
    moves: Tensor  # [B, moves + 1] logits: how many moves of the fingers the whole way has


class Proposer(nn.Module):
    """Readings off both latents and the hand's state in; every key frame of the way out."""

    def __init__(self, config: ProposerConfig) -> None:
        super().__init__()
        self.config = config
        self.look = Overview(config.width, config.tokens, config.readings)
        self.paint = nn.Linear(config.width, 3 * config.pixels**2)  # for people to look at
        inputs, slots = 3 * config.readings + 4, config.slots
        outputs = slots * 4 + slots + 1 + config.moves + 1
        # Most of a key frame is a reading as it is: what is left to the net are corrections.
        self.straight = nn.Linear(inputs, outputs)
        self.mlp = nn.Sequential(
            nn.Linear(inputs, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, outputs),
        )

    def forward(self, now: Tensor, goal: Tensor, states: Tensor) -> Ways:
        """From latents [B, L, D] of both and states [B, 7]."""
        return self.ways(self.look(now[:, None])[:, 0], self.look(goal[:, None])[:, 0], states)

    def ways(self, now: Tensor, goal: Tensor, states: Tensor) -> Ways:
        """From readings [B, readings] of both."""
        hand = torch.cat((states[:, POSITION] / UNIT, 2 * states[:, GRIPPER:] - 1), 1)
        inputs = torch.cat((now, goal, goal - now, hand), 1)
        outputs = self.straight(inputs) + self.mlp(inputs)
        slots = self.config.slots
        frames, phase, moves = outputs.split((slots * 4, slots + 1, self.config.moves + 1), dim=1)
        frames = frames.unflatten(1, (slots, 4))
        return Ways(frames[..., :3], frames[..., 3], phase, moves)


@dataclass(frozen=True, kw_only=True)
class ProposerSource:
    """Proposals of a trained net: its own, and with `variants` those of readings a little off."""

    net: Proposer
    variants: int = 0
    deviation: float = 0.05  # of a reading's noise, units
    seed: int = 0

    @torch.no_grad()
    def propose(self, now: Tensor, goal: Tensor, state: Tensor) -> list[Proposal]:
        """The net's own way, then its variants."""
        seen, wanted = (self._read(latents) for latents in (now, goal))
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(2, self.variants + 1, seen.shape[-1], generator=generator)
        noise[:, 0] = 0
        ways = self.net.ways(
            seen + self.deviation * noise[0],
            wanted + self.deviation * noise[1],
            state.float().cpu().expand(self.variants + 1, -1),
        )
        return [self._proposal(ways, index, state) for index in range(self.variants + 1)]

    def _proposal(self, ways: Ways, index: int, state: Tensor) -> Proposal:
        moves, phase = ways.moves[index].softmax(-1), ways.phase[index].softmax(-1)
        end = SLOTS * int(moves.argmax())
        begin = min(int(phase.argmax()), end)
        ahead = slice(begin, end)
        tool = state[POSITION].float()
        return Proposal(
            phase=begin,
            positions=tool + UNIT * ways.positions[index, ahead],
            closedness=ways.closedness[index, ahead].clamp(0, 1),
            confidence=float(moves.max() * phase.max()),
        )

    @torch.no_grad()
    def picture(self, latents: Tensor) -> NDArray[np.uint8]:
        """What can be painted of the scene from each token alone."""
        grid, pixels = math.isqrt(len(latents)), self.net.config.pixels
        parts = self.net.paint(latents.cpu().float()).view(grid, grid, pixels, pixels, 3)
        painted = parts.transpose(1, 2).reshape(grid * pixels, grid * pixels, 3)
        return (255 * painted).round().clamp(0, 255).to(torch.uint8).numpy()

    @torch.no_grad()
    def disagreement(self, seen: Tensor, imagined: Tensor) -> float:
        """The largest difference of what is read off them; 1 is the most that it may be."""
        return float((self._read(seen) - self._read(imagined)).abs().max()) / _DEPARTED

    def _read(self, latents: Tensor) -> Tensor:
        """The readings [1, R] of latents [L, D], wherever they are."""
        return self.net.look(latents[None, None].cpu().float())[0]


# --- files -------------------------------------------------------------------------------

_FILES = HeadFiles(
    kind="subgoals",
    what="proposer of sub-goals",
    made_by="vjepa-ros train subgoals",
    make=lambda **config: Proposer(ProposerConfig(**config)),
)
save_proposer, load_proposer = _FILES.save, _FILES.load
