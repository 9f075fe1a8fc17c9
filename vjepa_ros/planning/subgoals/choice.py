"""The world model's last word: of several proposals, the one that what it imagines bears out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.subgoals.source import Imagination, Proposal, SubGoalSource, imagine
from vjepa_ros.planning.world_model import Context

_FOREIGN = 0.2  # metres that a proposal counts as off whose imagined frame is another way's


def choose(
    proposals: Sequence[Proposal],
    source: SubGoalSource,
    model: Imagination,
    context: Context,
    goal: Tensor,
    stride: float,
) -> Proposal:
    """The proposal least at odds with what the source proposes once its first key frame, as the
    world model imagines it, has come about.
    """
    if len(proposals) == 1:
        return proposals[0]
    return min(proposals, key=lambda one: _at_odds(one, source, model, context, goal, stride))


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
    if not after or after[0].phase + len(after[0]) != proposal.phase + len(proposal):
        return _FOREIGN
    ahead = min(len(proposal) - 1, len(after[0]))
    if not ahead:
        return 0.0
    return float(
        torch.dist(proposal.positions[-ahead:].float(), after[0].positions[-ahead:].float())
        / ahead**0.5
    )
