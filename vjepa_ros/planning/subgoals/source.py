"""What a source of sub-goals gives, and how the world model imagines it."""

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.world_model import Context

_ELSEWHERE = 0.08  # metres, more than a hand is seen wrong in a picture by


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One way from now to the goal: its key frames ahead, in order. None ahead: go straight."""

    phase: int  # of the first key frame ahead; they are numbered as the whole way has them
    positions: Tensor  # [K, 3] of the tool, metres in the base frame
    closedness: Tensor  # [K]
    confidence: float  # 0 … 1
    hand: Tensor | None = None  # [3] of the tool in the goal picture, where that is read

    def __post_init__(self) -> None:
        count = len(self.closedness)
        if self.positions.shape != (count, 3) or self.closedness.shape != (count,):
            raise ValueError(
                f"positions {list(self.positions.shape)}, closedness "
                f"{list(self.closedness.shape)}: expected [K, 3] and [K]"
            )

    def __len__(self) -> int:
        return len(self.closedness)

    @property
    def end(self) -> int:
        """How many key frames the whole way has, those behind included."""
        return self.phase + len(self)


def led_to_the_hand(proposal: Proposal, state: Tensor) -> Proposal:
    """The way from a state [7], so that it ends where the hand is in the goal picture.

    A hand that stays where its fingers work does not go away from there; one that is elsewhere than
    after the last key frame goes on to there, with the fingers as they are then.
    """
    if proposal.hand is None or not proposal.end:
        return proposal
    positions = torch.cat((state[None, POSITION].to(proposal.positions), proposal.positions))
    closedness = torch.cat((state[GRIPPER:].to(proposal.closedness), proposal.closedness))
    off = (positions - proposal.hand).norm(dim=1)
    if off[-1] < _ELSEWHERE:
        return proposal
    stays = len(proposal) > 0 and bool(off[-2] < _ELSEWHERE)
    kept = positions[1:-1] if stays else positions[1:]
    return replace(
        proposal,
        positions=torch.cat((kept, proposal.hand[None])),
        closedness=closedness[1:] if stays else torch.cat((closedness[1:], closedness[-1:])),
    )


class SubGoalSource(Protocol):
    """Where sub-goals come from: a net, a memory, whatever knows ways from now to a goal."""

    def propose(self, now: Tensor, goal: Tensor, state: Tensor) -> list[Proposal]:
        """Ways from the latents now [L, D] and the hand's state [7] to the goal's [L, D], the
        most trusted first; none, where it knows of none.
        """

    def disagreement(self, seen: Tensor, imagined: Tensor) -> float:
        """How much what is seen [L, D] departs from what was imagined [L, D] in what the way
        depends on: from 1 on it has to be proposed anew.
        """

    def picture(self, latents: Tensor) -> NDArray[np.uint8]:
        """A picture [H, W, 3] that stands for latents [L, D], for people to look at."""


@dataclass(frozen=True)
class Moving:
    """A source of whose ways only those count on which the fingers move."""

    source: SubGoalSource

    def propose(self, now: Tensor, goal: Tensor, state: Tensor) -> list[Proposal]:
        """Those of the source, in its order."""
        return [one for one in self.source.propose(now, goal, state) if one.end]

    def disagreement(self, seen: Tensor, imagined: Tensor) -> float:
        """The source's."""
        return self.source.disagreement(seen, imagined)

    def picture(self, latents: Tensor) -> NDArray[np.uint8]:
        """The source's."""
        return self.source.picture(latents)


class Imagination(Protocol):
    """All that imagining key frames asks of a world model."""

    @property
    def reach(self) -> int:
        """Steps that it was trained to look ahead."""

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """The latents that actions [B, H, 7] lead to [B, H, L, D]."""


def key_frame_actions(
    state: Tensor, position: Tensor, closedness: float, stride: float, most: int
) -> Tensor:
    """The fewest equal steps [H, 7] that lead the tool there, at most `most`, none longer than
    `stride` along an axis where that suffices; the fingers move in the last one.
    """
    way = position.to(state) - state[POSITION]
    steps = min(most, max(1, math.ceil(float(way.abs().max()) / stride - 1e-6)))
    actions = torch.zeros(steps, 7, dtype=state.dtype)
    actions[:, POSITION] = way / steps
    actions[-1, GRIPPER] = closedness - state[GRIPPER]
    return actions


def imagine(
    model: Imagination, context: Context, proposal: Proposal, stride: float, count: int = 1
) -> Tensor:
    """The latents [count, L, D] of a proposal's first key frames, each imagined from the one
    before it.
    """
    imagined = []
    now = Context(latents=context.latents[-1:], states=context.states[-1:])
    for position, closedness in zip(
        proposal.positions[:count], proposal.closedness[:count], strict=True
    ):
        state = now.states[-1]
        actions = key_frame_actions(state, position, float(closedness), stride, model.reach)
        with torch.no_grad():
            latents = model.rollout(now, actions[None])[0, -1:]
        there = state.clone()
        there[POSITION], there[GRIPPER] = position.to(state), closedness.to(state)
        now = Context(latents=latents.to(context.latents), states=there[None])
        imagined.append(latents[0])
    return torch.stack(imagined)


def imagined_way(model: Imagination, context: Context, proposal: Proposal, stride: float) -> Tensor:
    """The latents [K, L, D] of all key frames of a proposal; straight to where the hand is in the
    picture, where it has none ahead.
    """
    if len(proposal):
        return imagine(model, context, proposal, stride, len(proposal))
    if proposal.hand is None:
        return context.latents[-1:]
    closedness = context.states[-1:, GRIPPER].float()
    straight = replace(proposal, positions=proposal.hand[None], closedness=closedness)
    return imagine(model, context, straight, stride)


def left_of(now: Tensor, end: Tensor, goal: Tensor) -> float:
    """The share of the difference between now and the goal picture that is left at the end."""
    begun, left = ((seen - goal).abs().mean() for seen in (now, end))
    return float(left / begun.clamp(min=1e-9))
