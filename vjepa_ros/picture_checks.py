"""Whether a picture can be a goal: what of it the encoder sees, and how good that is."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_gate.robots import Limits
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.planning.cost_model import energy_nearby
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.world_model import Context, WorldModel

NEAR, FAR = 0.01, 0.05  # metres, of the moves that an energy is compared with

_DARK, _BRIGHT = 35, 215  # of 255
_FLAT = 8  # of 255
_BLURRED = 0.08  # sharp pictures, real or simulated, have 0.35 … 0.8
_OTHER_LIGHT = 30  # of 255
_SOFTER = 0.5  # times as sharp
_SAME_SHAPE = 0.02  # of width / height


@dataclass(frozen=True, kw_only=True)
class Look:
    """A picture as the encoder sees it."""

    size: tuple[int, int]  # width and height of the picture, pixels
    crop: tuple[int, int]  # of the part that the encoder sees
    wanted: int  # pixels that this part is resized to
    brightness: float  # mean, of 255
    contrast: float  # standard deviation, of 255
    sharpness: float  # spread of the Laplacian over the contrast

    def complaints(self) -> list[str]:
        """What is wrong with it, and what to do."""
        found = []
        if min(self.crop) < self.wanted:
            found.append(
                f"it is smaller than the {self.wanted} × {self.wanted} pixels that the encoder "
                "looks at: raise the camera's resolution"
            )
        if self.contrast < _FLAT:
            found.append("it is almost of one colour: is the lens covered, or the light off?")
            return found
        if self.brightness < _DARK:
            found.append("it is too dark: more light, or a longer exposure")
        if self.brightness > _BRIGHT:
            found.append("it is too bright: less light, or a shorter exposure")
        if self.sharpness < _BLURRED:
            found.append("it is blurred: focus the camera, and take it while the arm rests")
        return found

    def differences(self, now: "Look") -> list[str]:
        """What keeps a goal from being compared with what the camera sees now."""
        found = []
        if not any(_same_shape(self.size, shape) for shape in (now.size, now.crop)):
            found.append(
                f"the goal is {_pixels(self.size)}, the camera gives {_pixels(now.size)}: the "
                "encoder sees another part of it; take the goal with `vjepa-ros goal capture`"
            )
        if abs(self.brightness - now.brightness) > _OTHER_LIGHT:
            found.append("the light is another one than in the goal: restore it, or take it anew")
        if self.sharpness < _SOFTER * now.sharpness:
            found.append("the goal is much softer than what the camera sees: take it anew")
        return found

    def describe(self) -> str:
        """Say it in a line."""
        return (
            f"{_pixels(self.size)}, the encoder sees {_pixels(self.crop)} of it; brightness "
            f"{self.brightness:.0f} of 255, sharpness {self.sharpness:.2f}"
        )


def look_at(rgb: NDArray[np.uint8], preprocessor: Preprocessor) -> Look:
    """rgb: [H, W, 3]."""
    cropped = preprocessor.cropped(torch.from_numpy(rgb)[None])[0]
    seen = preprocessor.view(torch.from_numpy(rgb)[None])[0]  # [3, size, size]
    grey = cv2.cvtColor(seen.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY)
    contrast = float(grey.std())
    edges = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    return Look(
        size=(rgb.shape[1], rgb.shape[0]),
        crop=(cropped.shape[1], cropped.shape[0]),
        wanted=preprocessor.size,
        brightness=float(grey.mean()),
        contrast=contrast,
        sharpness=edges / max(contrast, 1e-6),
    )


def energies(
    world_model: WorldModel,
    objective: Objective,
    goal: NDArray[np.uint8],
    now: NDArray[np.uint8],
    limits: Limits,
) -> tuple[float, float, float]:
    """Of the picture now against the goal, and what a move by NEAR and one by FAR makes of it.

    The arm is taken to be in the middle of its box, pointing down: where it really is changes
    the last two by little.
    """
    latents = [world_model.encode(torch.from_numpy(rgb)[None]) for rgb in (goal, now)]
    context = Context(latents=latents[1], states=_resting(limits)[None].to(latents[1].device))
    near, far = (energy_nearby(world_model, objective, context, move) for move in (NEAR, FAR))
    return float(objective.distance(latents[1], latents[0][0])), near, far


def _resting(limits: Limits) -> Tensor:
    box = torch.tensor((limits.workspace_low, limits.workspace_high))
    return torch.cat((box.mean(0), torch.tensor((torch.pi, 0.0, 0.0, 0.0))))


def _same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] / one[1] - other[0] / other[1]) < _SAME_SHAPE


def _pixels(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]} pixels"
