"""Gradient descent on the actions, from many starts at once."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.planning.solvers.base import Search, Solver, best, mean_and_std

# The decay of Adam's moments in jepa-wms' gradient planner.
_FIRST, _SECOND = 0.9, 0.995


@dataclass(kw_only=True)
class Gradient(Solver):
    """Adam through a differentiable cost, projected onto the limits after every step.

    `samples` are the starts: the proposals, the warm start (or staying), and random ones.
    `step` is the first step's length as a fraction of each limit; it shrinks to zero along
    a cosine. The plan is the best candidate seen at any time, the elites the best of the
    starts' best.
    """

    step: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.step <= 1:
            raise ValueError(f"step is {self.step:g}, expected a fraction of the limit in (0, 1]")

    @torch.enable_grad()
    def _search(
        self, search: Search, start: Tensor, proposals: Tensor
    ) -> tuple[Tensor, float, Tensor]:
        first_std = self._first_std()
        actions = self.limits.project(first_std * self._white_noise(self.samples))
        actions[len(proposals)] = start
        actions[: len(proposals)] = proposals

        sizes = self.limits.sizes().to(self.device)
        first, second = torch.zeros_like(actions), torch.zeros_like(actions)
        found, lowest = actions, torch.full((self.samples,), torch.inf, device=self.device)

        for iteration in range(self.iterations):
            # Score the starts, and remember the best that each has been through.
            actions = actions.detach().requires_grad_()
            energies = search.evaluate(actions)
            improved = energies.detach() < lowest
            found = torch.where(improved[:, None, None], actions.detach(), found)
            lowest = torch.where(improved, energies.detach(), lowest)
            elites, elite_energies = best(found, lowest, self.elites)
            search.record_elites(*mean_and_std(elites, first_std))

            # Adam's step; a dropped start has no gradient.
            gradient = _gradient(energies, actions)
            first = _FIRST * first + (1 - _FIRST) * gradient
            second = _SECOND * second + (1 - _SECOND) * self._mean_square(gradient)
            direction = first / (1 - _FIRST ** (iteration + 1))
            scale = (second / (1 - _SECOND ** (iteration + 1))).sqrt()
            rate = self.step * (1 + math.cos(math.pi * iteration / self.iterations)) / 2
            actions = self.limits.project(
                actions.detach() - rate * sizes * direction / scale.clamp(min=1e-12)
            )

        return elites[0], float(elite_energies[0]), elites

    def _mean_square(self, gradient: Tensor) -> Tensor:
        """Each group's own, where Adam takes each dimension's: a step that bends away from
        the gradient ends in the wrong place on the surface of a ball.
        """
        mean_square = torch.zeros_like(gradient)
        for _, dims, _ in self.limits.groups():
            mean_square[..., dims] = gradient[..., dims].square().mean(-1, keepdim=True)
        return mean_square


def _gradient(energies: Tensor, actions: Tensor) -> Tensor:
    if not energies.requires_grad:
        raise ValueError("cost has no gradient: the gradient solver needs one in the actions")
    (gradient,) = torch.autograd.grad(energies[energies.isfinite()].sum(), actions)
    return gradient.nan_to_num(0.0, 0.0, 0.0)
