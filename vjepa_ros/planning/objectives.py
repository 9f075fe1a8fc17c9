"""How far predicted latents are from a goal: the energy that a planner brings down.

An objective measures one predicted frame (`distance`) and says how much each frame of a
rollout counts (`step_weights`). The energy of a candidate is the weighted sum, so a world
model adds it up frame by frame and never scores a frame of weight 0.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Objective(ABC):
    """discount is the weight of a frame relative to the one after it: 0 scores the last
    frame alone (the reference's choice), 1 all frames alike. The weights sum to 1, so
    energies of different horizons can be compared.

    token_weights [L] says where in the image to look; None is everywhere alike.
    """

    discount: float = 0.0
    token_weights: Tensor | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.discount <= 1:
            raise ValueError(f"discount is {self.discount:g}, expected a number in [0, 1]")
        if self.token_weights is not None:
            _check_token_weights(self.token_weights)

    def step_weights(self, horizon: int) -> list[float]:
        """The weight of each of the horizon's frames; they sum to 1."""
        if horizon < 1:
            raise ValueError(f"horizon is {horizon}, expected at least 1")
        weights = [self.discount ** (horizon - 1 - step) for step in range(horizon)]
        return [weight / sum(weights) for weight in weights]

    def distance(self, latents: Tensor, goal: Tensor) -> Tensor:
        """Distances [N] of the frames' latents [N, L, D] to the goal's [L, D], in float32."""
        if goal.ndim != 2 or latents.shape[1:] != goal.shape:
            raise ValueError(
                f"goal has shape {list(goal.shape)} and latents {list(latents.shape)}, "
                "expected [L, D] and [N, L, D] with the same tokens L and channels D"
            )
        per_token = self._per_token(latents, goal)
        if self.token_weights is None:
            return per_token.mean(-1)
        if self.token_weights.shape != per_token.shape[1:]:
            raise ValueError(
                f"token_weights has {len(self.token_weights)} weights for "
                f"{per_token.shape[1]} tokens: expected one for each"
            )
        weights = self.token_weights.to(per_token)
        return per_token @ (weights / weights.sum())

    @abstractmethod
    def _per_token(self, latents: Tensor, goal: Tensor) -> Tensor:
        """Distance of each token, [N, L], summed up in float32 whatever the latents are."""


class L1(Objective):
    """Mean absolute difference, the energy of V-JEPA 2-AC."""

    def _per_token(self, latents: Tensor, goal: Tensor) -> Tensor:
        return (latents - goal).abs().mean(-1, dtype=torch.float32)


class L2(Objective):
    """Mean squared difference, which jepa-wms found the better one throughout."""

    def _per_token(self, latents: Tensor, goal: Tensor) -> Tensor:
        return (latents - goal).square().mean(-1, dtype=torch.float32)


class Cosine(Objective):
    """One minus the cosine between a token and the goal's token at its place."""

    def _per_token(self, latents: Tensor, goal: Tensor) -> Tensor:
        return 1 - torch.cosine_similarity(latents.float(), goal.float(), dim=-1)


OBJECTIVES: dict[str, type[Objective]] = {"l1": L1, "l2": L2, "cosine": Cosine}


def make_objective(name: str, **options: Any) -> Objective:
    """An objective by the name that a configuration file gives it."""
    if name not in OBJECTIVES:
        raise ValueError(f"objective {name!r} is unknown, expected one of {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name](**options)


def _check_token_weights(weights: Tensor) -> None:
    if weights.ndim != 1 or not weights.is_floating_point():
        raise ValueError(
            f"token_weights is {weights.dtype} of shape {list(weights.shape)}, "
            "expected floating point numbers of shape [L]"
        )
    if not weights.isfinite().all() or (weights < 0).any() or not weights.any():
        raise ValueError("token_weights must be finite, not negative and not all zero")
