"""What a world model is trained to do with latents: predict them, roll them out, read them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vjepa_ros.conventions import ACTION_NAMES, GRIPPER, POSITION, apply_action
from vjepa_ros.model.predictor import Past, Predictor

# What counts as one unit of error when positions, angles and closedness share a loss.
_POSITION_CENTRE = (0.5, 0.0, 0.2)  # metres, the middle of a table-top workspace
_POSITION_UNIT = 0.1  # metres
_ACTION_UNITS = (0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.5)


# --- prediction --------------------------------------------------------------------------


def prediction_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean |difference| of latents [B, T, patches, width]."""
    return F.l1_loss(predicted.float(), target)


def teacher_forced(
    predictor: Predictor, latents: Tensor, actions: Tensor, states: Tensor
) -> Tensor:
    """Frames 1 … T - 1 [B, T - 1, patches, width], each from the true ones before it.

    latents [B, T, patches, width], actions [B, T - 1, 7], states [B, T, 7].
    """
    return predictor(latents[:, :-1], actions, states[:, :-1])


def rolled_out(predictor: Predictor, first: Tensor, actions: Tensor, state: Tensor) -> Tensor:
    """Frames 1 … H [B, H, patches, width] from the first latent [B, patches, width] alone.

    Each prediction is fed back as the next input, as in planning, and so are the states that
    the actions [B, H, 7] lead to from the first state [B, 7]. (The original release fed back
    its teacher-forced prediction of frame 2, made with frame 1 in sight, as frame 1.)
    """
    past = Past(predictor.config.depth)
    latent, predictions = first, []
    for action in actions.unbind(1):
        latent = predictor(latent[:, None], action[:, None], state[:, None], past=past)[:, 0]
        predictions.append(latent)
        state = apply_action(state, action)
    return torch.stack(predictions, 1)


# --- auxiliary terms that small data needs -----------------------------------------------


class InverseDynamics(nn.Module):
    """Which action lies between two latents."""

    units: Tensor

    def __init__(self, width: int, patches: int, narrow: int = 16, hidden: int = 256) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, narrow)
        self.mlp = nn.Sequential(
            nn.Linear(2 * narrow * patches, hidden), nn.GELU(), nn.Linear(hidden, len(ACTION_NAMES))
        )
        self.register_buffer("units", torch.tensor(_ACTION_UNITS), persistent=False)

    def forward(self, latents: Tensor, actions: Tensor) -> Tensor:
        """The error over windows of latents [B, T, patches, width] and actions [B, T - 1, 7]."""
        squeezed = self.squeeze(latents).flatten(2)
        guess = self.mlp(torch.cat((squeezed[:, :-1], squeezed[:, 1:]), -1))
        return F.smooth_l1_loss(guess.float(), actions / self.units)


class TokenReadout(nn.Module):
    """Tool position, closedness and object position, each read off every single token.

    That every token knows where the tool is gives energies that fall evenly towards a goal.
    """

    weights: Tensor
    centre: Tensor

    def __init__(self, width: int, gripper_weight: float, object_weight: float) -> None:
        super().__init__()
        self.read = nn.Linear(width, 7)
        weights = [1.0, 1.0, 1.0, gripper_weight, *(object_weight,) * 3]
        self.register_buffer("weights", torch.tensor(weights), persistent=False)
        self.register_buffer("centre", torch.tensor(_POSITION_CENTRE), persistent=False)

    def forward(self, latents: Tensor, states: Tensor, objects: Tensor) -> Tensor:
        """The error for latents [B, T, patches, width]; unknown objects (NaN) do not count."""
        tool = (states[..., POSITION] - self.centre) / _POSITION_UNIT
        thing = (objects - self.centre) / _POSITION_UNIT
        gripper = 2 * states[..., GRIPPER:] - 1
        truth = torch.cat((tool, gripper, thing), -1).unsqueeze(-2)  # [B, T, 1, 7]
        known = truth.isfinite()
        read = self.read(latents).float()
        error = F.smooth_l1_loss(
            read, truth.nan_to_num().expand_as(read), reduction="none", beta=0.5
        )
        return (error * known * self.weights).mean()
