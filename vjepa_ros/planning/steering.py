"""What becomes of a policy's proposals beside joining the search: ranked, vetoed, blended."""

from dataclasses import replace

import torch
from torch import Tensor

from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.solvers import Cost, PlanningError, Solution, Statistics, make_limits

DRIVES = ("rank", "veto")  # modes in which nothing is searched
LEADS = ("veto", "blend")  # modes whose sub-goals, not reached, the planner tries alone
ALONE = ", without the policy, which has not reached it"
_CARRIED = 4  # candidates that a warm start may bring along


def allowed(config: PlannerConfig, proposals: Tensor) -> Tensor:
    """Proposals [P, T, 7] as long as plans are, [P, H, 7], and within the limits of a step.

    Longer ones are cut, shorter ones end with stays. The gripper's changes are kept. Of those
    that join a search, half of the population is the most, so that it stays one.
    """
    drives = config.policy_mode in DRIVES
    most = len(proposals) if drives else max(1, config.samples // 2 - _CARRIED)
    cut = proposals[:most, : config.horizon].float()
    stays = torch.zeros(len(cut), config.horizon - cut.shape[1], 7)
    return make_limits(config).project(torch.cat((cut, stays.to(cut)), 1))


@torch.no_grad()
def ranked(cost: Cost, proposals: Tensor, seed: int) -> Solution:
    """The proposal of the least energy; raises PlanningError where none has one."""
    energies = cost(proposals).float()
    finite = energies.isfinite()
    if not finite.any():
        raise PlanningError("the energy of each of the policy's proposals is NaN or infinite")
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
    return replace(own, actions=actions, energy=ranked(score, actions[None], own.seed).energy)
