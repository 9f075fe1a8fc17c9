"""Planning while the arm moves: what was planned ahead, held against the frame that came."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from vjepa_ros.conventions import action_between, apply_action
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.solvers import Solution, Solver
from vjepa_ros.planning.task import Ahead, Task
from vjepa_ros.planning.world_model import Context

CORRECTED = ", planned ahead"  # of a decision's reason
MOST_LEAD = 0.5  # of an action: the arm is looked at no longer before it ends


def correcting(config: PlannerConfig) -> PlannerConfig:
    """The settings of the search that corrects what was planned ahead."""
    samples = config.overlap_samples
    return replace(config, samples=samples, iterations=1, elites=min(config.elites, samples // 2))


def imagined(rollout: Callable[[Context, Tensor], Tensor], task: Task) -> Context:
    """Where the last action is imagined to end, of a task that was decided with `overlap`."""
    assert task.seen is not None
    assert task.pursuit.last is not None
    action, seen = task.pursuit.last.actions[:1], task.seen
    with torch.no_grad():
        latents = rollout(seen, action[None])[0]
    return replace(
        seen,
        latents=latents,
        states=apply_action(seen.states[-1:], action),
        actions=seen.actions[:0],
        name=f"after {seen.name}",
    )


def most_energy(
    ahead: Ahead, planned: Solution, energy: float, config: PlannerConfig, *, nearer: bool
) -> float:
    """What a correction may promise, at most: as much as was promised ahead, or, from a frame of
    that energy which is nearer than those before, to gain as much. An arm that is seen on its way
    is never as near as it was imagined at its end.
    """
    most = (1 + config.overlap_slack) * planned.energy
    gain = (1 - config.overlap_slack) * (ahead.decision.energy - planned.energy)
    return max(most, energy - gain) if nearer else most


def from_here(ahead: Ahead, planned: Solution, context: Context, solver: Solver) -> Tensor:
    """What was planned ahead and its elites, to end where they should though they begin at the
    frame that is seen; no more than the correcting solver has use for.
    """
    plans = torch.cat((planned.actions[None], planned.elites[: solver.elites]))
    ends = apply_action(ahead.context.states[-1].to(plans), plans[:, 0])
    plans = plans.clone()
    plans[:, 0] = action_between(context.states[-1].to(ends).expand_as(ends), ends)
    return solver.limits.project(plans)
