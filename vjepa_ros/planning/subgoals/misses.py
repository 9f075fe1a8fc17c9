"""Where a grasp found nothing: the next one goes beside it, should it be read there again.

What is read of an object is off the same way each time that it is seen from the same place. What
the fingers met tells along which line: over an object that they stand on, it is too far along the
line on which they open; where they shut on nothing, across it. One side is tried, then the other.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from vjepa_ros.conventions import POSITION, ROTATION, euler_to_matrix

_ALONG, _ACROSS = 0.012, 0.04  # metres that a hand on an object's rim is off; one beside it


@dataclass(frozen=True, kw_only=True)
class Miss:
    """A grasp that found nothing."""

    place: Tensor  # [2] on the table where the object was proposed to be
    beside: Tensor  # [2] metres from there to where it is tried next

    @classmethod
    def of(
        cls, place: Tensor, beside: Tensor, state: Tensor, origin: Tensor, *, stood: bool
    ) -> Self:
        """From a hand's state [7], that tried beside a place [2] and stood on something or shut on
        nothing; the first side is that away from where the scene was first seen from, as what is
        far is read nearer than it is.
        """
        opening = euler_to_matrix(state[ROTATION])[:2, 1].float()  # the hand's y axis
        line = opening if stood else opening.flip(0) * torch.tensor((-1.0, 1.0))
        line = line / line.norm().clamp(min=1e-6)
        if line @ (place - origin[POSITION][:2].to(place)) < 0:
            line = -line
        step = _ALONG if stood else _ACROSS
        tried = line @ beside
        following = step if tried.abs() < step / 2 else -step if tried > 0 else 0.0
        return cls(place=place, beside=beside + (following - tried) * line)
