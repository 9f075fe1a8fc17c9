"""What all solvers share: their arguments, the solution they return and its statistics.

A solver is given a cost, a function from candidate actions [N, H, 7] to energies [N], and
looks for the actions [H, 7] of the least energy. It knows nothing of what computes them.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.limits import ActionLimits

Cost = Callable[[Tensor], Tensor]  # actions [N, H, 7] to energies [N]


class PlanningError(RuntimeError):
    """The search found no plan; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What happened in each iteration, for plots.

    Energies are infinite for dropped candidates, and NaN fills up the rows of populations
    that shrink. Samples are kept on request (`keep_samples`).
    """

    energies: Tensor  # [iterations, N]
    elite_mean: Tensor  # [iterations, H, 7]
    elite_std: Tensor  # [iterations, H, 7]
    samples: Tensor | None  # [iterations, N, H, 7]

    @property
    def end_points(self) -> Tensor | None:
        """Where each sample's translations lead, [iterations, N, 3] metres from the start."""
        return None if self.samples is None else self.samples[..., POSITION].sum(-2)


@dataclass(frozen=True, kw_only=True)
class Solution:
    """A plan, and how it was found.

    confidence is 1 − (spread of the last elites / spread of the first population), averaged
    over all steps and searched dimensions and kept in [0, 1]: 1 when the best candidates are
    one and the same plan, 0 when they differ as much as the candidates drawn blindly. It
    says that the search settled, not that the goal will be reached.
    """

    actions: Tensor  # [H, 7]
    energy: float  # of these very actions
    confidence: float
    elites: Tensor  # [K, H, 7] the last ones, best first
    dropped: int  # candidates whose energy was not finite
    seed: int  # the same solve with it gives the same bits
    statistics: Statistics


def unsought(action: Tensor) -> Solution:
    """One action [7] that no search was made for."""
    nothing = torch.empty(0, 1, 7)
    return Solution(
        actions=action[None],
        energy=math.nan,
        confidence=0.0,
        elites=action[None, None],
        dropped=0,
        seed=0,
        statistics=Statistics(
            energies=torch.empty(0, 0), elite_mean=nothing, elite_std=nothing, samples=None
        ),
    )


class Search:
    """One solve under way: evaluates candidates and remembers what the solution reports."""

    def __init__(self, cost: Cost, keep_samples: bool) -> None:
        self.cost = cost
        self.keep_samples = keep_samples
        self.dropped = 0
        self.energies: list[Tensor] = []
        self.samples: list[Tensor] = []
        self.elite_mean: list[Tensor] = []
        self.elite_std: list[Tensor] = []
        self.first_std: Tensor | None = None

    def evaluate(self, samples: Tensor) -> Tensor:
        """Energies [N] of one iteration's samples, infinite for those dropped."""
        number = len(self.energies) + 1
        energies = self._finite_energies(
            samples, f"each of the {len(samples)} candidates of iteration {number}"
        )
        self.energies.append(energies.detach())
        if self.first_std is None:
            self.first_std = samples.detach().std(0)
        self.samples.append(samples.detach().clone())
        return energies

    def energy_of(self, plan: Tensor) -> float:
        """The energy of one plan [H, 7]."""
        return float(self._finite_energies(plan[None], "the plan")[0])

    def record_elites(self, mean: Tensor, std: Tensor) -> None:
        """Note mean and spread [H, 7] of an iteration's elites."""
        self.elite_mean.append(mean)
        self.elite_std.append(std)

    def confidence(self) -> float:
        """Tell how far the search has settled, as Solution defines it."""
        assert self.first_std is not None
        searched = self.first_std > 0
        ratio = self.elite_std[-1][searched] / self.first_std[searched]
        return float((1 - ratio.mean()).clamp(0, 1))

    def statistics(self) -> Statistics:
        """Collect what was noted of each iteration."""

        def padded(rows: list[Tensor]) -> Tensor:
            return pad_sequence(rows, batch_first=True, padding_value=torch.nan)

        return Statistics(
            energies=padded(self.energies),
            elite_mean=torch.stack(self.elite_mean),
            elite_std=torch.stack(self.elite_std),
            samples=padded(self.samples) if self.keep_samples else None,
        )

    def _finite_energies(self, samples: Tensor, whose: str) -> Tensor:
        energies = self.cost(samples)
        if energies.shape != samples.shape[:1]:
            raise ValueError(
                f"cost returned energies of shape {list(energies.shape)} for "
                f"{len(samples)} candidates, expected [{len(samples)}]"
            )
        finite = energies.isfinite()
        dropped = int((~finite).sum())
        if dropped == len(samples):
            raise PlanningError(
                f"the energy of {whose} is NaN or infinite. Look for NaN in the latents, the "
                "goal or the state, and at the weights' dtype"
            )
        self.dropped += dropped
        return energies.float().masked_fill(~finite, torch.inf)


@dataclass(kw_only=True)
class Solver(ABC):
    """The arguments of every solver. It remembers nothing: each solve draws from a private
    generator that is seeded afresh, so that any single plan can be had again from its seed.
    """

    horizon: int = 1
    samples: int = 64
    iterations: int = 10
    elites: int = 10
    limits: ActionLimits = field(default_factory=ActionLimits)
    gripper_std: float = 1.0  # the first spread of dclosedness; elsewhere it is the limit itself
    device: torch.device | str = "cpu"
    keep_samples: bool = False

    def __post_init__(self) -> None:
        for name in ("horizon", "samples", "iterations", "elites"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value}, expected a whole number of at least 1")
        if not 2 <= self.elites <= self.samples:
            raise ValueError(
                f"elites is {self.elites}, expected at least 2 and at most samples, {self.samples}"
            )
        if not self.gripper_std > 0:
            raise ValueError(f"gripper_std is {self.gripper_std:g}, expected more than 0")
        self._generator = torch.Generator(self.device)
        self._searched = torch.tensor(self.limits.searched(), device=self.device)

    def solve(
        self,
        cost: Cost,
        *,
        seed: int = 0,
        warm_start: Tensor | None = None,
        proposals: Tensor | None = None,
    ) -> Solution:
        """Look for the actions of the least cost.

        warm_start [H, 7] is where the search begins, instead of at zero. It and the
        proposals [P, H, 7] (a policy's suggestions, earlier elites) are candidates of the
        first population, in the place of as many random ones.
        """
        if seed < 0:
            raise ValueError(f"seed is {seed}, expected 0 or more")
        start, candidates = self._candidates(warm_start, proposals)
        self._generator.manual_seed(seed)
        search = Search(cost, self.keep_samples)
        actions, energy, elites = self._search(search, start, candidates)
        return Solution(
            actions=actions,
            energy=energy,
            confidence=search.confidence(),
            elites=elites,
            dropped=search.dropped,
            seed=seed,
            statistics=search.statistics(),
        )

    @abstractmethod
    def _search(
        self, search: Search, start: Tensor, proposals: Tensor
    ) -> tuple[Tensor, float, Tensor]:
        """The plan [H, 7], its energy and the last elites [K, H, 7], best first."""

    def _candidates(
        self, warm_start: Tensor | None, proposals: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Where the search begins, [H, 7], and all that was suggested to it, [P, H, 7]."""
        start = torch.zeros(self.horizon, 7, device=self.device)
        suggested = []
        if warm_start is not None:
            start = self._checked("warm_start", warm_start, "[H, 7]")
            suggested.append(start[None])
        start = start.clone()
        for dim, value in self.limits.held.items():
            start[:, dim] = value
        if proposals is not None:
            suggested.append(self._checked("proposals", proposals, "[P, H, 7]"))
        candidates = self.limits.project(torch.cat(suggested)) if suggested else start[None][:0]
        if len(candidates) >= self.samples:
            raise ValueError(
                f"{len(candidates)} proposals (warm_start is one) leave nothing to search in a "
                f"population of {self.samples}: raise samples or give fewer"
            )
        return start, candidates

    def _checked(self, name: str, actions: Tensor, expected: str) -> Tensor:
        dimensions = expected.count(",") + 1
        if actions.ndim != dimensions or actions.shape[-2:] != (self.horizon, 7):
            raise ValueError(
                f"{name} has shape {list(actions.shape)}, expected {expected} with "
                f"H = {self.horizon}"
            )
        self.limits.check(name, actions)
        return actions.detach().to(self.device, torch.float32)

    def _first_std(self) -> Tensor:
        """The spread of the first population, [H, 7]; 0 where nothing is searched."""
        std = self.limits.sizes()
        std[GRIPPER] = self.gripper_std
        return std.to(self.device).repeat(self.horizon, 1)

    def _white_noise(self, count: int) -> Tensor:
        """Standard normal numbers [count, H, 7]; 0 where nothing is searched.

        Drawn one step of the horizon after the other, as the reference draws them: with
        the same seed it sees the same samples.
        """
        noise = torch.zeros(count, self.horizon, 7, device=self.device)
        for step in range(self.horizon):
            noise[:, step, self._searched] = torch.randn(
                count, len(self._searched), generator=self._generator, device=self.device
            )
        return noise


def best(samples: Tensor, energies: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The count samples of the least energy, and these energies, without dropped ones."""
    count = min(count, int(energies.isfinite().sum()))
    lowest = energies.topk(count, largest=False, sorted=True)
    return samples[lowest.indices], lowest.values


def mean_and_std(elites: Tensor, wider: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased std of elites [K, H, 7]; one elite alone leaves the std as wide."""
    return elites.mean(0), elites.std(0) if len(elites) > 1 else wider


def shifted(plan: Tensor) -> Tensor:
    """What is left of plans [..., H, 7] after their first step, ending with a stay."""
    return torch.cat((plan[..., 1:, :], torch.zeros_like(plan[..., :1, :])), -2)


def remembering(cost: Cost) -> Cost:
    """Score no candidate twice, unless a gradient is asked for."""
    known: dict[bytes, Tensor] = {}

    def energies(actions: Tensor) -> Tensor:
        if actions.requires_grad:
            return cost(actions)
        names = [one.tobytes() for one in actions.cpu().numpy()]
        new = {name: place for place, name in enumerate(names) if name not in known}
        if new:
            known.update(zip(new, cost(actions[list(new.values())]), strict=True))
        return torch.stack([known[name] for name in names])

    return energies
