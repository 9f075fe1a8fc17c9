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

from vjepa_ros.conventions import POSITION
from vjepa_ros.model.heads import HeadFiles
from vjepa_ros.model.reader import HAND, ORIGIN, READINGS, THING, TOOL, UNIT, Reader, hands_of
from vjepa_ros.planning.subgoals.keyframes import SLOTS
from vjepa_ros.planning.subgoals.source import Proposal, led_to_the_hand

_DEPARTED = 0.6  # units by which readings of the seen and the imagined differ that do not agree
_ANCHORS = 4  # object now, object in the goal picture, hand in the goal picture, hand now


@dataclass(frozen=True, kw_only=True)
class ProposerConfig:
    """The size of the net."""

    width: int  # of a token
    tokens: int
    moves: int = 2  # of the fingers, at most, on the way
    hidden: int = 128
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
    """Readings off both latents and the hand's state in; every key frame of the way out.

    A key frame is a mixture of what is read, the same for all ways of one kind that have come as
    far: a net that is free to place it learns its recordings by heart.
    """

    def __init__(self, config: ProposerConfig) -> None:
        super().__init__()
        self.config = config
        self.look = Reader(config.width, config.tokens)
        self.paint = nn.Linear(config.width, 3 * config.pixels**2)  # for people to look at
        slots, kinds = config.slots, (config.moves + 1, config.slots + 1)
        self.mixture = nn.Parameter(torch.zeros(*kinds, slots, 3, _ANCHORS))  # logits
        self.offset = nn.Parameter(torch.zeros(*kinds, slots, 3))  # units
        self.doubt = nn.Parameter(torch.zeros(()))  # log of a shift, squared, half believed
        inputs, outputs = 2 * READINGS + 8, slots + slots + 1 + config.moves + 1
        self.straight = nn.Linear(inputs, outputs)
        self.mlp = nn.Sequential(
            nn.Linear(inputs, config.hidden),
            nn.GELU(),
            nn.Dropout(0.1),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, outputs),
        )

    def read(self, now: Tensor, goal: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """The readings [B, 8] of both from latents [B, L, D] and states [B, 7] now.

        The hand is told now. In the goal picture it is where it is seen there, less of what it is
        seen elsewhere now than it is, as a camera that was moved has it: the more of this the
        larger it is.
        """
        hands = hands_of(states)
        seen = torch.cat((hands, self.look(now, hands)[:, HAND.stop :]), 1)
        wanted = self.look(goal)
        shift = (self.look(now) - seen)[:, TOOL]
        square = shift.square().sum(1, keepdim=True)
        tool = wanted[:, TOOL] - shift * square / (square + self.doubt.exp())
        there = torch.cat((tool, wanted[:, TOOL.stop : HAND.stop]), 1)
        return seen, torch.cat((there, self.look(goal, there)[:, HAND.stop :]), 1)

    def ways(self, seen: Tensor, wanted: Tensor, kind: tuple[Tensor, Tensor] | None = None) -> Ways:
        """From readings [B, 8] of both; a kind is how many moves [B] and which phase [B], as the
        net itself has it if None.
        """
        slots = self.config.slots
        there = wanted[:, TOOL] - seen[:, TOOL]
        thing_there = there + wanted[:, THING]
        ways = (there, thing_there - seen[:, THING])  # of hand and object, from now to the goal
        lengths = (way.norm(dim=1, keepdim=True) for way in ways)
        inputs = torch.cat((seen, wanted, *ways, *lengths), 1)
        outputs = self.straight(inputs) + self.mlp(inputs)
        closedness, phase, moves = outputs.split((slots, slots + 1, self.config.moves + 1), dim=1)
        anchors = torch.stack((seen[:, THING], thing_there, there, torch.zeros_like(there)), -1)
        kind = kind or (moves.argmax(1), phase.argmax(1))
        mixture = self.mixture[kind].softmax(-1)  # [B, slots, 3, anchors]
        positions = (mixture * anchors[:, None]).sum(-1) + self.offset[kind]
        return Ways(positions, closedness, phase, moves)


@dataclass(frozen=True, kw_only=True)
class ProposerSource:
    """Proposals of a trained net: its own, with `variants` those of readings a little off, and
    those that move the fingers otherwise often than it thinks.
    """

    net: Proposer
    variants: int = 0
    deviation: float = 0.05  # of a reading's noise, units
    seed: int = 0

    @torch.no_grad()
    def propose(self, now: Tensor, goal: Tensor, state: Tensor) -> list[Proposal]:
        """The net's own way, its variants, and the ways of other kinds."""
        seen, wanted = self.net.read(_one(now), _one(goal), _one(state))
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(2, self.variants + 1, READINGS, generator=generator)
        noise[:, 0] = 0
        noise[0, :, HAND] = 0
        ways = self.net.ways(seen + self.deviation * noise[0], wanted + self.deviation * noise[1])
        hand = torch.tensor(ORIGIN) + UNIT * wanted[0, TOOL]
        phase, own = (int(logits[0].argmax()) for logits in (ways.phase, ways.moves))
        proposals = [_proposal(ways, index, state, hand) for index in range(self.variants + 1)]
        for moves in range(self.net.config.moves + 1):
            if moves != own:
                kind = torch.tensor([moves]), torch.tensor([phase])
                other = self.net.ways(seen, wanted, kind)
                proposals.append(_proposal(other, 0, state, hand, moves))
        return proposals

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
        readings = (self.net.look(_one(latents)) for latents in (seen, imagined))
        return float(torch.sub(*readings).abs().max()) / _DEPARTED


def _proposal(
    ways: Ways, index: int, state: Tensor, hand: Tensor, moves: int | None = None
) -> Proposal:
    """One of these ways, which moves the fingers so often; as the net has it if None."""
    kinds, phase = ways.moves[index].softmax(-1), ways.phase[index].softmax(-1)
    moves = int(kinds.argmax()) if moves is None else moves
    end = SLOTS * moves
    begin = min(int(phase.argmax()), end)
    ahead = slice(begin, end)
    way = Proposal(
        phase=begin,
        positions=state[POSITION].float() + UNIT * ways.positions[index, ahead],
        closedness=ways.closedness[index, ahead].clamp(0, 1),
        confidence=float(kinds[moves] * phase.max()),
        hand=hand,
    )
    return led_to_the_hand(way, state)


def _one(values: Tensor) -> Tensor:
    """A batch of one, wherever it was."""
    return values[None].cpu().float()


# --- files -------------------------------------------------------------------------------

_FILES = HeadFiles(
    kind="subgoals",
    what="proposer of sub-goals",
    made_by="vjepa-ros train subgoals",
    make=lambda **config: Proposer(ProposerConfig(**config)),
    format=2,
)
save_proposer, load_proposer = _FILES.save, _FILES.load
