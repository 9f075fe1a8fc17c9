"""How far one step may move the arm, turn it and move the fingers.

Limits are symmetrical about zero, one for each group of an action's dimensions: a `Box`
bounds every dimension by itself (as the reference does), a `Ball` bounds their L2 norm.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vjepa_gate.units import ARM_REACH
from vjepa_ros.conventions import GRIPPER, POSITION, ROTATION

_ROUNDING = 1e-5  # what float32 arithmetic may add to a value that lies on its limit


@dataclass(frozen=True)
class Box:
    """Bounds every dimension by itself."""

    size: float

    def extent(self, values: Tensor) -> Tensor:
        """What the limit bounds, [...], of a group's values [..., n]."""
        return values.abs().amax(-1)

    def project(self, values: Tensor) -> Tensor:
        """The nearest values that are within it."""
        return values.clamp(-self.size, self.size)


@dataclass(frozen=True)
class Ball:
    """Bounds the L2 norm."""

    size: float

    def extent(self, values: Tensor) -> Tensor:
        """What the limit bounds, [...], of a group's values [..., n]."""
        return values.norm(dim=-1)

    def project(self, values: Tensor) -> Tensor:
        """The nearest values that are within it."""
        return values * (self.size / self.extent(values).clamp(min=self.size)).unsqueeze(-1)


@dataclass(frozen=True, kw_only=True)
class ActionLimits:
    """Limits of one step: metres, radians and closedness.

    rotation None keeps the orientation as it is: those dimensions are not searched. What is
    `held` is given instead: the value of a dimension at every step. From step `closing` of a
    plan on, counted from 0, the gripper closes altogether, whatever its limit.
    """

    translation: Box | Ball = Box(0.075)
    rotation: Box | Ball | None = None
    gripper: Box | Ball = Box(0.75)
    held: Mapping[int, float] = field(default_factory=dict)
    closing: int | None = None

    def __post_init__(self) -> None:
        _check_size("translation", self.translation.size, ARM_REACH, "metres")
        _check_size("gripper", self.gripper.size, 1.0, "closedness")
        if self.rotation is not None:
            _check_size("rotation", self.rotation.size, math.pi, "radians")

    def groups(self) -> Iterator[tuple[str, slice, Box | Ball]]:
        """Name, dimensions and limit of each group that is searched."""
        yield "translation", POSITION, self.translation
        if self.rotation is not None:
            yield "rotation", ROTATION, self.rotation
        yield "gripper", slice(GRIPPER, GRIPPER + 1), self.gripper

    def sizes(self) -> Tensor:
        """The limit of each of the 7 dimensions; 0 where none is searched."""
        sizes = torch.zeros(7)
        for _, dims, limit in self.groups():
            sizes[dims] = limit.size
        return sizes

    def searched(self) -> list[int]:
        """The dimensions of an action that a solver may choose."""
        return self.sizes().nonzero().flatten().tolist()

    def project(self, actions: Tensor) -> Tensor:
        """The nearest allowed actions [..., H, 7]."""
        projected = torch.zeros_like(actions)
        for _, dims, limit in self.groups():
            projected[..., dims] = limit.project(actions[..., dims])
        for dim, value in self.held.items():
            projected[..., dim] = value
        if self.closing is not None:
            projected[..., self.closing :, GRIPPER] = 1.0
        return projected

    def check(self, name: str, actions: Tensor) -> None:
        """Raise ValueError, naming the argument, unless the actions [..., 7] are allowed."""
        actions = actions.detach()
        if actions.shape[-1:] != (7,) or not actions.is_floating_point():
            raise ValueError(
                f"{name} is {actions.dtype} of shape {list(actions.shape)}, "
                "expected floating point actions [..., 7]"
            )
        if not actions.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinite numbers")
        if self.rotation is None and actions[..., ROTATION].any():
            raise ValueError(
                f"{name} turns the gripper, but the limits allow no rotation: "
                "set ActionLimits.rotation or leave these dimensions 0"
            )
        for group, dims, limit in self.groups():
            worst = float(limit.extent(actions[..., dims]).max()) if actions.numel() else 0.0
            if worst > limit.size * (1 + _ROUNDING):
                raise ValueError(
                    f"{name} reaches {worst:.4g} in {group}, beyond its limit: "
                    f"{type(limit).__name__.lower()} of {limit.size:g}"
                )


def _check_size(name: str, size: float, largest: float, unit: str) -> None:
    if not 0 < size <= largest:
        raise ValueError(f"{name} is {size:g}, expected {unit} in (0, {largest:.4g}]")
