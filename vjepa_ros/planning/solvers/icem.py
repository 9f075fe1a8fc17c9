"""iCEM, the sample-efficient cross-entropy method (Pinneri et al., arXiv 2008.06389)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.planning.solvers.base import Search, Solver, best, mean_and_std


@dataclass(kw_only=True)
class ICEM(Solver):
    """CEM for few samples: noise that is correlated along the horizon (power 1 / f^beta),
    elites that stay in the pool, populations that shrink by `decay`, and the mean as a
    candidate of the last one. The plan is the best candidate seen.

    The elites of the last plan, shifted by one step, belong in the proposals.
    """

    beta: float = 2.0
    momentum: float = 0.1  # of the old mean and std
    kept_elites: float = 0.3  # fraction of the elites that stay in the pool
    decay: float = 1.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.beta >= 0:
            raise ValueError(f"beta is {self.beta:g}, expected 0 (white noise) or more")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum:g}, expected a number in [0, 1)")
        if not 0 <= self.kept_elites <= 1:
            raise ValueError(f"kept_elites is {self.kept_elites:g}, expected a fraction in [0, 1]")
        if not self.decay >= 1:
            raise ValueError(f"decay is {self.decay:g}, expected 1 (no decay) or more")

    @torch.no_grad()
    def _search(
        self, search: Search, start: Tensor, proposals: Tensor
    ) -> tuple[Tensor, float, Tensor]:
        mean, std = start, self._first_std()
        kept = max(1, int(self.kept_elites * self.elites))  # the best one is never lost
        elites, elite_energies = proposals[:0], torch.empty(0, device=self.device)

        for iteration in range(self.iterations):
            # Sample around the mean, inside the limits.
            noise = coloured(self._white_noise(self._population(iteration)), self.beta)
            samples = self.limits.project(mean + std * noise)
            given = self._foreseen(search) if iteration else proposals
            samples[: len(given)] = given
            if iteration == self.iterations - 1:
                samples[-1] = self.limits.project(mean)

            # Score; kept elites join the pool with the energies they have.
            pool = torch.cat((samples, elites[:kept]))
            energies = torch.cat((search.evaluate(samples), elite_energies[:kept]))
            elites, elite_energies = best(pool, energies, self.elites)
            elite_mean, elite_std = mean_and_std(elites, std)
            search.record_elites(elite_mean, elite_std)

            # Move the distribution towards the elites.
            mean = (1 - self.momentum) * elite_mean + self.momentum * mean
            std = (1 - self.momentum) * elite_std + self.momentum * std

        return elites[0], float(elite_energies[0]), elites

    def _foreseen(self, search: Search) -> Tensor:
        """Candidates [K, H, 7] of a later population that what was scored suggests: none."""
        return torch.empty(0, self.horizon, 7, device=self.device)

    def _population(self, iteration: int) -> int:
        fewest = min(2 * self.elites, self.samples)
        return max(fewest, int(self.samples / self.decay**iteration))


def coloured(white: Tensor, beta: float) -> Tensor:
    """White noise [N, H, 7] filtered to a power of 1 / f^beta along the horizon.

    Every step keeps a variance of 1. The constant part gets the gain of the lowest
    frequency, so beta 0 is white noise and a large beta the same action at each step.
    """
    horizon = white.shape[1]
    if horizon == 1:
        return white

    def gain(frequencies: Tensor) -> Tensor:
        return frequencies.abs().clamp(min=1 / horizon) ** (-beta / 2)

    spectrum = torch.fft.rfft(white, dim=1)
    spectrum *= gain(torch.fft.rfftfreq(horizon, device=white.device)).unsqueeze(-1)
    variance = gain(torch.fft.fftfreq(horizon)).square().mean()  # Parseval
    return torch.fft.irfft(spectrum, n=horizon, dim=1) / variance.sqrt()
