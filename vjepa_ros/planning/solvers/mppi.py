"""MPPI with elites, as TD-MPC2 (arXiv 2310.16828) and jepa-wms run it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from vjepa_ros.planning.solvers.base import Search, Solver, best


@dataclass(kw_only=True)
class MPPI(Solver):
    """Mean and std are the elites' own, weighted by exp(-energy / temperature).

    The temperature is in units of the elites' energy spread, so that it means the same for
    every objective: small ones follow the best candidate, large ones weigh all elites
    alike. min_std keeps a fraction of the first spread, against a search that ends early.

    The first population covers its spread evenly (Sobol's numbers) and at several scales, down
    to min_scale of it: drawn blindly, few samples leave it to luck whether any is near a goal
    that is near.
    """

    temperature: float = 0.5
    min_std: float = 0.05
    min_scale: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature:g}, expected more than 0")
        if not 0 <= self.min_std <= 1:
            raise ValueError(f"min_std is {self.min_std:g}, expected a fraction in [0, 1]")
        if not 0 < self.min_scale <= 1:
            raise ValueError(f"min_scale is {self.min_scale:g}, expected a fraction in (0, 1]")

    @torch.no_grad()
    def _search(
        self, search: Search, start: Tensor, proposals: Tensor
    ) -> tuple[Tensor, float, Tensor]:
        first_std = self._first_std()
        mean, std = start, first_std

        for iteration in range(self.iterations):
            # Sample around the mean, inside the limits.
            noise = self._white_noise(self.samples) if iteration else self._even_noise()
            samples = self.limits.project(mean + std * noise)
            if iteration == 0:
                samples[: len(proposals)] = proposals

            # Score, and weigh the elites by their energies.
            elites, energies = best(samples, search.evaluate(samples), self.elites)
            spread = energies.std(correction=0).clamp(min=torch.finfo(energies.dtype).tiny)
            weights = torch.softmax((energies[0] - energies) / (self.temperature * spread), 0)

            # The next distribution is that of the weighted elites.
            weights = weights[:, None, None]
            mean = (weights * elites).sum(0)
            elite_std = (weights * (elites - mean).square()).sum(0).sqrt()
            search.record_elites(mean, elite_std)
            std = elite_std.clamp(min=self.min_std * first_std)

        return mean, search.energy_of(mean), elites

    def _even_noise(self) -> Tensor:
        """Of the first population, [N, H, 7]: normal, evenly spread, from wide to narrow, as what
        is proposed takes the first places.
        """
        noise = torch.zeros(self.samples, self.horizon, 7, device=self.device)
        shape = (self.samples, self.horizon, len(self._searched))
        engine = SobolEngine(
            shape[1] * shape[2], scramble=True, seed=self._generator.initial_seed() % 2**31
        )
        even = engine.draw(self.samples).clamp(1e-4, 1 - 1e-4).view(shape)
        scales = torch.logspace(0, math.log10(self.min_scale), self.samples)
        noise[..., self._searched] = (torch.special.ndtri(even) * scales[:, None, None]).to(noise)
        return noise
