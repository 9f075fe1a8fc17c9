"""What a source makes of a goal picture, before anything moves: the way, shown and judged."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.planning.subgoals.choice import choose
from vjepa_ros.planning.subgoals.keyframes import SLOTS
from vjepa_ros.planning.subgoals.source import (
    Imagination,
    Proposal,
    SubGoalSource,
    imagined_way,
    left_of,
)
from vjepa_ros.planning.world_model import Context

_SURE = 0.4  # confidence from which on a way is gone
_NEARER = 0.9  # share of the way to the goal picture that must not be left at a way's end
_NAMES = {  # of the four key frames of a move of the fingers, by whether they shut
    True: ("above", "around", "shut", "lifted"),
    False: ("above the place", "lowered", "opened", "away"),
}


class NotUnderstood(ValueError):
    """A goal picture that no way is known to; the message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class SubGoalView:
    """One key frame as a person may look at it."""

    name: str
    position: list[float]  # of the tool, metres
    closedness: float
    picture: NDArray[np.uint8]  # [H, W, 3] that stands for what is imagined


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The way from now to a goal picture, and why it is not gone, if it is not."""

    proposal: Proposal
    views: list[SubGoalView]
    nearer: float  # share of the difference from the goal picture that the way leaves
    refusal: str  # empty where it is gone


def explain(
    source: SubGoalSource, model: Imagination, context: Context, goal: Tensor, stride: float
) -> Explanation:
    """Propose the way, imagine it to its end, and judge it."""
    proposals = source.propose(context.latents[-1], goal, context.states[-1])
    if not proposals:
        raise NotUnderstood("no way to this goal is known: give sub-goal pictures")
    best, imagined = choose(proposals, source, model, context, goal, stride)
    if not len(best):
        return Explanation(proposal=best, views=[], nearer=1.0, refusal="")
    if imagined is None:
        imagined = imagined_way(model, context, best, stride)
    views = [
        SubGoalView(
            name=name,
            position=position.tolist(),
            closedness=float(closedness),
            picture=source.picture(latents),
        )
        for name, position, closedness, latents in zip(
            _names(best, float(context.states[-1, 6])),
            best.positions,
            best.closedness,
            imagined,
            strict=True,
        )
    ]
    nearer = left_of(context.latents[-1], imagined[-1], goal)
    return Explanation(
        proposal=best, views=views, nearer=nearer, refusal=_refusal(best.confidence, nearer)
    )


def _refusal(confidence: float, nearer: float) -> str:
    advice = "look with `vjepa-ros goal explain`, or give sub-goal pictures"
    if nearer > _NEARER:
        return (
            f"no way that is known comes nearer to this picture than staying does: at its end "
            f"{nearer:.0%} of the difference would be left; {advice}"
        )
    if confidence < _SURE:
        return (
            f"the way to this picture is not understood: confidence {confidence:.2f}, expected "
            f"at least {_SURE:g}; {advice}"
        )
    return ""


def _names(proposal: Proposal, closedness: float) -> list[str]:
    """What each key frame is about."""
    names, before = [], closedness
    for slot, value in enumerate(proposal.closedness.tolist(), proposal.phase):
        within = slot % SLOTS
        ahead = slot - proposal.phase + (SLOTS // 2 - within)  # where the fingers have moved
        after = proposal.closedness[ahead] if 0 <= ahead < len(proposal) else value
        shut = float(after) > before if within < SLOTS // 2 else value > 0.3
        names.append(_NAMES[bool(shut)][within])
        before = value if within >= SLOTS // 2 else before
    return names
