"""Key frames of a recording, found without labels: where the fingers move, and where the arm stops.

Every move of the fingers gives four: the stop before it, its begin, its end, and the stop after
it. So a pick-and-place has eight, whatever it picks, and a reach has none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.conventions import GRIPPER, POSITION

SLOTS = 4  # key frames of one move of the fingers
_MOVING = 0.03  # closedness by which fingers that move change in a step
_MOVED = 0.1  # and by which they must have changed in all
_STILL = 0.015  # metres that an arm which stops moves in a step
_AWAY = 0.05  # metres between the fingers' work and the stops before and after it


@dataclass(frozen=True)
class FingerMove:
    """The fingers' work from one step to another."""

    begin: int  # the last step before they move
    end: int  # the first with the fingers as they stay


def finger_moves(states: NDArray[np.float64]) -> list[FingerMove]:
    """When the fingers moved in a recording's states [T, 7]."""
    closedness = states[:, GRIPPER]
    moving = np.abs(np.diff(closedness)) > _MOVING
    edges = np.diff(np.concatenate(([False], moving, [False])).astype(int))
    runs = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    return [
        FingerMove(int(begin), int(end))
        for begin, end in runs
        if abs(closedness[end] - closedness[begin]) > _MOVED
    ]


def key_steps(states: NDArray[np.float64]) -> NDArray[np.int64]:
    """The steps [4 × moves] of the key frames, in order."""
    place = states[:, POSITION]
    moves = finger_moves(states)
    steps: list[int] = []
    for index, move in enumerate(moves):
        first = moves[index - 1].end if index else 0
        last = moves[index + 1].begin if index + 1 < len(moves) else len(states) - 1
        before = _stop(place, range(move.begin, first - 1, -1))
        after = _stop(place, range(move.end, last + 1))
        steps += [before, move.begin, move.end, after]
    return np.array(steps, np.int64)


def _stop(place: NDArray[np.float64], steps: range) -> int:
    """The stop [step] nearest to the first of these steps, away from it; one that was passed
    without stopping, where there is no better; the last of them, where it never went away.
    """
    away = [step for step in steps if np.linalg.norm(place[step] - place[steps[0]]) > _AWAY]
    strides = np.linalg.norm(np.diff(place, axis=0), axis=1)
    if not away:
        return steps[-1]
    for step in away:
        settled = step > 0 and strides[step - 1] < _STILL
        leaving = step == len(strides) or strides[step] >= _STILL
        if settled and (leaving or step == steps[-1]):
            return step
    return away[0]
