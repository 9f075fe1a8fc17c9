"""How far what the camera sees is from what the model had predicted, step by step.

A model that is right about the scene is off by much the same amount at every step. A step
at which it is off by far more says that something happened that it does not know of: an
object slipped, somebody reached in, the camera was pushed.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.conventions import action_between
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.world_model import Context, WorldModel


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How far off a prediction was, and whether that is unusual."""

    surprise: float  # distance between predicted and observed latents
    threshold: float | None  # None while there is too little to judge by
    surprising: bool


@dataclass(kw_only=True)
class Threshold:
    """What is usual, from running statistics of the logarithm: distances are positive, and
    their spread grows with them.

    A surprising value is learnt as if it lay on the threshold: one event hardly moves it,
    a scene that has changed for good is usual after a while.
    """

    deviations: float = 3.0  # from the mean; beyond them a step is surprising
    memory: int = 200  # steps that the statistics reach back, roughly
    warm_up: int = 10  # steps before the first judgement

    def __post_init__(self) -> None:
        self._count = 0
        self._mean = self._variance = 0.0

    def judge(self, distance: float) -> Verdict:
        """Judge a distance by those before it, and learn it."""
        threshold = self.value
        surprising = threshold is not None and distance > threshold
        self._learn(threshold if surprising and threshold else distance)
        return Verdict(surprise=distance, threshold=threshold, surprising=surprising)

    @property
    def value(self) -> float | None:
        """The distance from which on a step is surprising; None while there is too little."""
        if self._count < self.warm_up:
            return None
        return math.exp(self._mean + self.deviations * math.sqrt(self._variance))

    def _learn(self, distance: float) -> None:
        self._count += 1
        weight = 1 / min(self._count, self.memory)
        off = math.log(max(distance, 1e-12)) - self._mean
        self._mean += weight * off
        self._variance = (1 - weight) * (self._variance + weight * off * off)


class Surprise:
    """Predicts one executed step at a time, from where the arm really went."""

    def __init__(
        self, world_model: WorldModel, objective: Objective, threshold: Threshold | None = None
    ) -> None:
        self._world_model, self._objective = world_model, objective
        self._threshold = threshold or Threshold()

    @torch.no_grad()
    def imagine(self, latents: Tensor, state: Tensor, next_state: Tensor) -> Tensor:
        """The latents [L, D] after a step from latents [L, D] and state [7] to the next state."""
        context = Context(latents=latents[None], states=state[None])
        action = action_between(state, next_state)
        return self._world_model.rollout(context, action[None, None])[0, -1]

    def judge(self, imagined: Tensor, seen: Tensor) -> Verdict:
        """Of latents [L, D] that were imagined, and those that came."""
        distance = self._objective.distance(imagined[None], seen.to(imagined))
        return self._threshold.judge(float(distance))
