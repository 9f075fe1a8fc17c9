"""The world model's last word: of several proposals, the one that what it imagines bears out."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.subgoals.source import (
    Imagination,
    Proposal,
    SubGoalSource,
    imagine,
    imagined_way,
    left_of,
)
from vjepa_ros.planning.world_model import Context

_FOREIGN = 0.2  # metres that a proposal counts as off whose imagined frame is another way's
_WORTH = 0.08  # of what is left of the way to the picture: as much as e times the confidence


class Choice(NamedTuple):
    """A proposal, and its key frames [K, L, D] where it took imagining them to choose it."""

    proposal: Proposal
    imagined: Tensor | None


def choose(
    proposals: Sequence[Proposal],
    source: SubGoalSource,
    model: Imagination,
    context: Context,
    goal: Tensor,
    stride: float,
) -> Choice:
    """The proposal that is borne out best, with how sure that makes of it.

    Of those that move the fingers as often it is the one least at odds with what the source
    proposes once its first key frame, as the world model imagines it, has come about. How often
    they have to move, or whether at all, is told by how near to the picture each of these is
    imagined to end, and by how much the source trusts it.
    """
    kinds: dict[int, list[Proposal]] = {}
    for proposal in proposals:
        kinds.setdefault(proposal.end, []).append(proposal)
    odds = partial(_at_odds, source=source, model=model, context=context, goal=goal, stride=stride)
    best = [ways[0] if len(ways) == 1 else min(ways, key=odds) for ways in kinds.values()]
    if len(best) == 1:
        return Choice(best[0], None)
    now = context.latents[-1]
    imagined = [imagined_way(model, context, one, stride) for one in best]
    trusts = [
        math.log(max(one.confidence, 1e-9)) - left_of(now, frames[-1], goal) / _WORTH
        for one, frames in zip(best, imagined, strict=True)
    ]
    sure, chosen = torch.tensor(trusts).softmax(0).max(0)
    known = min(1.0, sum(one.confidence for one in best))
    proposal = replace(best[int(chosen)], confidence=float(sure) * known)
    return Choice(proposal, imagined[int(chosen)])


def _at_odds(
    proposal: Proposal,
    source: SubGoalSource,
    model: Imagination,
    context: Context,
    goal: Tensor,
    stride: float,
) -> float:
    """Metres between the rest of the way before and after its first key frame."""
    if not len(proposal):
        return _FOREIGN
    imagined = imagine(model, context, proposal, stride)[0]
    state = context.states[-1].clone()
    state[POSITION] = proposal.positions[0].to(state)
    state[GRIPPER] = proposal.closedness[0].to(state)
    after = source.propose(imagined, goal, state)
    if not after or after[0].end != proposal.end:
        return _FOREIGN
    ahead = min(len(proposal) - 1, len(after[0]))
    if not ahead:
        return 0.0
    return float(
        torch.dist(proposal.positions[-ahead:].float(), after[0].positions[-ahead:].float())
        / ahead**0.5
    )
