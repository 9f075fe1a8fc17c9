"""iCEM that foresees: quadratics through what was scored tell where the next candidates belong."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.planning.solvers.base import Search
from vjepa_ros.planning.solvers.icem import ICEM

_RIDGE = 1e-3  # against what few samples leave open; of energies in units of their spread
_FLATTEST = 1e-2  # curvature: where a quadratic falls without end, it ends at the limits
_DESCENT = 5  # steps along the limits, where the lowest point lies beyond them


@dataclass(kw_only=True)
class Quadratic(ICEM):
    """For few samples in few dimensions, such as one step of a hand. From the second population
    on, the lowest points of two quadratics are candidates: one fits all that was scored, the
    other the better half. Where the search starts is one of the first population.
    """

    def _search(
        self, search: Search, start: Tensor, proposals: Tensor
    ) -> tuple[Tensor, float, Tensor]:
        return super()._search(search, start, torch.cat((proposals, start[None])))

    def _foreseen(self, search: Search) -> Tensor:
        energies, order = torch.cat(search.energies).sort()
        energies = energies[energies.isfinite()]
        samples = torch.cat(search.samples)[order[: len(energies)]]  # best first
        if len(samples) < 2:
            return super()._foreseen(search)
        free = samples.std(0) > 0  # [H, 7]
        sizes = self.limits.sizes().to(samples).expand_as(free)[free]
        points = samples[:, free] / sizes

        better = max(len(points) // 2, _terms(points[:1]).shape[1] + 1)
        fits = [_fitted(points[:count], energies[:count]) for count in (len(points), better)]
        slopes, bends, axes = (torch.stack(parts) for parts in zip(*fits, strict=True))

        # From the lowest points of all along the limits, where they lie beyond these.
        plans = samples[:1].repeat(2, 1, 1)
        lowest = _turned(axes, -_turned(axes.mT, slopes) / bends)
        for _ in range(_DESCENT):
            plans[:, free] = sizes * lowest
            plans = self.limits.project(plans)
            allowed = plans[:, free] / sizes
            if torch.equal(allowed, lowest):
                break
            falls = slopes + _turned(axes, bends * _turned(axes.mT, allowed))
            lowest = allowed - falls / bends[:, -1:]
        return plans


def _terms(points: Tensor) -> Tensor:
    """What the coefficients of a quadratic are multiplied with at points [N, D]."""
    rows, columns = torch.triu_indices(points.shape[1], points.shape[1])
    squares = points[:, rows] * points[:, columns]
    return torch.cat((torch.ones_like(points[:, :1]), points, squares), 1)


def _fitted(points: Tensor, energies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The quadratic through energies [N] at points [N, D]: its slopes [D], and its bends [D] along
    axes [D, D].
    """
    size, terms = points.shape[1], _terms(points)
    spread = energies.std().clamp(min=torch.finfo(energies.dtype).tiny)
    wanted = terms.T @ ((energies - energies[0]) / spread)
    ridge = _RIDGE * torch.eye(len(wanted), device=wanted.device)
    found = torch.linalg.solve(terms.T @ terms + ridge, wanted)
    half = points.new_zeros(size, size)
    half[tuple(torch.triu_indices(size, size))] = found[1 + size :]
    bends, axes = torch.linalg.eigh(half + half.T)
    return found[1 : 1 + size], bends.clamp(min=_FLATTEST), axes


def _turned(axes: Tensor, points: Tensor) -> Tensor:
    return (axes @ points[..., None])[..., 0]
