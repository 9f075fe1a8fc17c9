"""The cross-entropy method as V-JEPA 2's planner runs it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER
from vjepa_ros.planning.solvers.base import Search, Solver, best, mean_and_std


@dataclass(kw_only=True)
class CEM(Solver):
    """Momenta weigh the OLD mean and std. The plan is the MEAN, in which a change of
    closedness smaller than the dead zone is noise and becomes 0.
    """

    momentum_mean: float = 0.15
    momentum_std: float = 0.15
    momentum_mean_gripper: float = 0.15
    momentum_std_gripper: float = 0.15
    gripper_dead_zone: float = 0.25
    mean_in_population: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for group in ("mean", "std", "mean_gripper", "std_gripper"):
            name = f"momentum_{group}"
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name):g}, expected a number in [0, 1)")
        if not self.gripper_dead_zone >= 0:
            raise ValueError(f"gripper_dead_zone is {self.gripper_dead_zone:g}, expected 0 or more")

    @torch.no_grad()
    def _search(
        self, search: Search, start: Tensor, proposals: Tensor
    ) -> tuple[Tensor, float, Tensor]:
        mean, std = start, self._first_std()
        momentum_mean = self._per_dimension(self.momentum_mean, self.momentum_mean_gripper)
        momentum_std = self._per_dimension(self.momentum_std, self.momentum_std_gripper)

        for iteration in range(self.iterations):
            # Sample around the mean, inside the limits.
            samples = self.limits.project(mean + std * self._white_noise(self.samples))
            if iteration == 0:
                samples[: len(proposals)] = proposals
            if self.mean_in_population:
                samples[-1] = self.limits.project(mean)

            # Score, and keep the elites.
            elites, _ = best(samples, search.evaluate(samples), self.elites)
            elite_mean, elite_std = mean_and_std(elites, std)
            search.record_elites(elite_mean, elite_std)

            # Move the distribution towards them.
            mean = (1 - momentum_mean) * elite_mean + momentum_mean * mean
            std = (1 - momentum_std) * elite_std + momentum_std * std

        plan = self._without_small_gripper_motions(mean)
        return plan, search.energy_of(plan), elites

    def _per_dimension(self, arm: float, gripper: float) -> Tensor:
        values = torch.full((7,), arm, device=self.device)
        values[GRIPPER] = gripper
        return values

    def _without_small_gripper_motions(self, plan: Tensor) -> Tensor:
        plan = plan.clone()
        gripper = plan[:, GRIPPER]
        gripper[gripper.abs() < self.gripper_dead_zone] = 0.0
        return plan
