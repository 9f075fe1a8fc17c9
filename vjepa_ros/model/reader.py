"""What latents tell of hand and object, in numbers."""

import torch
from torch import Tensor, nn

from vjepa_ros.conventions import GRIPPER, POSITION

ORIGIN = (0.5, 0.0, 0.2)  # metres, the middle of a table-top workspace
UNIT = 0.1  # metres that count as one
READINGS = 8
TOOL, HAND, THING = slice(0, 3), slice(0, 4), slice(4, 7)  # places among the readings
_NARROW, _HIDDEN, _DROPPED = 16, 256, 0.2


class Reader(nn.Module):
    """Tool position, closedness, the object's position from the tool and whether it is held.

    Positions are in units; closedness and whether it is held are -1 to 1. A robot knows where its
    hand is: the object is read from the two together with half of the error that is left without.
    """

    def __init__(self, width: int, tokens: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, _NARROW)
        self.seen = nn.Linear(_NARROW * tokens, _HIDDEN)
        self.told = nn.Linear(5, _HIDDEN, bias=False)
        self.mlp = nn.Sequential(
            nn.GELU(),
            nn.Dropout(_DROPPED),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.GELU(),
            nn.Linear(_HIDDEN, READINGS),
        )

    def forward(
        self, latents: Tensor, hands: Tensor | None = None, known: Tensor | None = None
    ) -> Tensor:
        """Readings [B, 8] of latents [B, L, D]; hands [B, 4] are as `hands_of` has them, and
        where known [B] is false they are not.
        """
        hidden = self.seen(self.squeeze(latents).flatten(1))
        if hands is not None:
            told = torch.cat((hands, torch.ones_like(hands[:, :1])), 1)
            hidden = hidden + self.told(told if known is None else told * known[:, None])
        return self.mlp(hidden).float()


def hands_of(states: Tensor) -> Tensor:
    """Tool position and closedness [..., 4] of states [..., 7] as they are to be read."""
    tool = (states[..., POSITION] - states.new_tensor(ORIGIN)) / UNIT
    return torch.cat((tool, 2 * states[..., GRIPPER:] - 1), -1)


def readings_of(states: Tensor, objects: Tensor, origin: Tensor) -> Tensor:
    """What is to be read [..., 8] of states [..., 7] and objects [..., 4], position and whether it
    is held; the object's position from an origin [..., 3].
    """
    thing = (objects[..., POSITION] - origin) / UNIT
    return torch.cat((hands_of(states), thing, 2 * objects[..., 3:] - 1), -1)
