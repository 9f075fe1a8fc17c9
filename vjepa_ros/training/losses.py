"""What a world model is trained to do with latents: predict them, roll them out, read them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vjepa_ros.conventions import POSITION, apply_action
from vjepa_ros.model.overview import Overview
from vjepa_ros.model.predictor import Past, Predictor
from vjepa_ros.model.reader import ORIGIN, READINGS, readings_of

# What counts as one unit of error when positions, angles and closedness share a loss.
_ACTION_UNITS = (0.05, 0.05, 0.05, 0.1, 0.1, 0.1, 0.5)
_SHARP = 0.1  # units above which an error counts by its size: the last centimetre matters


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


def narrowness(latents: Tensor) -> Tensor:
    """How little of their width latents [..., width] use: VICReg's term of variance, and a
    twenty-fifth of that of covariance, as there. 0 where each channel varies by 1, on its own.
    """
    rows = latents.float().flatten(0, -2)
    count, width = rows.shape
    rows = rows - rows.mean(0)
    covariance = rows.T @ rows / (count - 1)
    variances = covariance.diagonal()
    flat = F.relu(1 - (variances + 1e-4).sqrt()).mean()
    together = (covariance - variances.diag()).square().sum() / width
    return flat + together / 25


class InverseDynamics(nn.Module):
    """Which action lies between two latents."""

    units: Tensor

    def __init__(self, width: int, patches: int) -> None:
        super().__init__()
        self.guess = Overview(width, 2 * patches, len(_ACTION_UNITS))
        self.register_buffer("units", torch.tensor(_ACTION_UNITS), persistent=False)

    def forward(self, latents: Tensor, actions: Tensor) -> Tensor:
        """The error over windows of latents [B, T, patches, width] and actions [B, T - 1, 7]."""
        pairs = torch.cat((latents[:, :-1], latents[:, 1:]), 2)
        return F.smooth_l1_loss(self.guess(pairs), actions / self.units, beta=_SHARP)


class Readout(nn.Module):
    """Tool position, closedness, object position and whether it is held, off every token and off
    all together.

    That every single token knows where the tool is gives energies that fall evenly towards a
    goal. All together tell a young encoder what to look for: it learns in a third of the steps.
    They tell where the object is from the tool: what a moved camera does to both is no matter.
    """

    weights: Tensor
    centre: Tensor

    def __init__(
        self, width: int, patches: int, gripper_weight: float, object_weight: float
    ) -> None:
        super().__init__()
        self.each = nn.Linear(width, READINGS)
        self.together = Overview(width, patches, READINGS)
        weights = [1.0, 1.0, 1.0, gripper_weight, *(object_weight,) * 4]
        self.register_buffer("weights", torch.tensor(weights), persistent=False)
        self.register_buffer("centre", torch.tensor(ORIGIN), persistent=False)

    def forward(self, latents: Tensor, states: Tensor, objects: Tensor) -> Tensor:
        """The error for latents [B, T, patches, width], states [B, T, 7] and objects [B, T, 4],
        of which unknown ones (NaN) do not count.
        """
        each = readings_of(states, objects, self.centre).unsqueeze(-2)
        together = readings_of(states, objects, states[..., POSITION])
        error = self._error(self.each(latents).float(), each)
        return error + self._error(self.together(latents), together)

    def _error(self, read: Tensor, truth: Tensor) -> Tensor:
        error = F.smooth_l1_loss(
            read, truth.nan_to_num().expand_as(read), reduction="none", beta=_SHARP
        )
        return (error * truth.isfinite() * self.weights).mean()
