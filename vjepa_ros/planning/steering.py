"""What becomes of a policy's proposals beside joining the search: ranked, vetoed, blended."""

import torch
from torch import Tensor

from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.solvers import Cost, Solution, Statistics


def fitting(proposals: Tensor, horizon: int) -> Tensor:
    """Proposals [P, T, 7] cut to a horizon [P, H, 7], or with stays at their end."""
    cut = proposals[:, :horizon].float()
    stays = torch.zeros(len(cut), horizon - cut.shape[1], 7)
    return torch.cat((cut, stays.to(cut)), 1)


@torch.no_grad()
def ranked(cost: Cost, proposals: Tensor, seed: int) -> Solution:
    """The proposal of the least energy; raises ValueError where none has one."""
    energies = cost(proposals).float()
    finite = energies.isfinite()
    if not finite.any():
        raise ValueError("no proposal has a finite energy")
    energies = energies.masked_fill(~finite, torch.inf)
    order = energies.argsort()
    best = proposals[order[0]]
    return Solution(
        actions=best,
        energy=float(energies[order[0]]),
        confidence=1.0,  # nothing was searched that could have settled
        elites=proposals[order],
        dropped=int((~finite).sum()),
        seed=seed,
        statistics=Statistics(
            energies=energies[None],
            elite_mean=best[None],
            elite_std=torch.zeros_like(best)[None],
            samples=proposals[None],
        ),
    )


def steered(
    config: PlannerConfig, score: Cost, proposals: Tensor, seed: int
) -> tuple[Solution, str]:
    """What a policy that drives is let do, and a word on it.

    Under `veto` its best proposal is held against staying, as the world model imagines both.
    """
    found = ranked(score, proposals, seed)
    if config.policy_mode == "rank":
        return found, f"the policy's best of {len(proposals)}"
    stay = ranked(score, torch.zeros_like(proposals[:1]), seed)
    if stay.energy < found.energy:
        return stay, "the policy was vetoed: staying is better"
    return found, "the policy drives"


def blended(alpha: float, score: Cost, own: Solution, proposals: Tensor) -> Solution:
    """So much of the policy's best, and the rest of one's own plan, with the energy of that."""
    theirs = ranked(score, proposals, own.seed).actions.to(own.actions)
    actions = alpha * theirs + (1 - alpha) * own.actions
    mixed = ranked(score, actions[None], own.seed)
    return Solution(
        actions=actions,
        energy=mixed.energy,
        confidence=own.confidence,
        elites=own.elites,
        dropped=own.dropped,
        seed=own.seed,
        statistics=own.statistics,
    )
