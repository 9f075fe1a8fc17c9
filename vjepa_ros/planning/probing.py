"""Feeling for a goal where imagination is blind: what is seen there tells, once it is tried.

Towards the camera and away from it a hand hardly looks different. A world model that is a little
off sees no difference at all there, so that a search ends centimetres from a goal along that line,
though the frame itself would have told on the way that it gets nearer.
"""

import itertools
from dataclasses import replace

import torch
from torch import Tensor

from vjepa_ros.conventions import POSITION
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.solvers import Cost, PlanningError, Solution, make_limits
from vjepa_ros.planning.steering import ranked
from vjepa_ros.planning.task import SubGoal, Task
from vjepa_ros.planning.world_model import Context

_PROBES = 2  # one way and the other
_TIME = 12  # steps that the last goal has more

# The lines through the middle of a cube and its corners, edges and faces: one end of each.
_LINES = torch.tensor(
    [line for line in itertools.product((-1.0, 0.0, 1.0), repeat=3) if line > (0.0, 0.0, 0.0)]
)
_LINES = _LINES / _LINES.norm(dim=1, keepdim=True)
_PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))  # of a symmetric matrix


def with_time(goal: SubGoal, config: PlannerConfig) -> SubGoal:
    """The last goal, with the steps that probing takes and the patience to come back."""
    if "probe" not in config.rules or goal.steps is None or goal.patience is None:
        return goal
    return replace(goal, steps=goal.steps + _TIME, patience=goal.patience + 1)


def probe(task: Task, context: Context, score: Cost, config: PlannerConfig) -> Solution | None:
    """Towards the last goal, once steps have brought nothing: along the line on which imagination
    is blind, from where the energy was lowest; then the other way, and back.
    """
    pursuit, goal = task.pursuit, task.sub_goals[-1]
    last = pursuit.number == len(task.sub_goals) - 1
    if "probe" not in config.rules or config.patience is None or not last:
        return None
    turn = pursuit.steps_above - (config.patience - _PROBES)
    too_late = turn == 0 and goal.steps is not None and pursuit.steps + _PROBES >= goal.steps
    if not 0 <= turn <= _PROBES or too_late:
        return None
    plan, home = torch.zeros(config.horizon, 7), pursuit.best_place - context.states[-1, POSITION]
    if turn == 0:
        way = blind_way(score, config.probe_by)
        if way is None:
            return None
        plan[0, POSITION] = home + way
    else:
        plan[0, POSITION] = 2 * home if turn < _PROBES else home
    try:
        return ranked(score, make_limits(config).project(plan[None]), task.seed)
    except PlanningError:  # the search will tell
        return None


def blind_way(cost: Cost, metres: float) -> Tensor | None:
    """The move [3] of that length by which what is imagined changes least, the better way round;
    None where not all can be scored.
    """
    actions = torch.zeros(2 * len(_LINES), 1, 7)
    actions[:, 0, POSITION] = metres * torch.cat((_LINES, -_LINES))
    with torch.no_grad():
        energies = cost(actions).float().cpu()
    if not energies.isfinite().all():
        return None
    one, other = energies.chunk(2)
    squares = torch.stack([_LINES[:, i] * _LINES[:, j] * (1 + (i != j)) for i, j in _PAIRS], 1)
    fitted = torch.linalg.lstsq(squares, (one + other)[:, None]).solution[:, 0]
    bending = torch.zeros(3, 3)
    for value, (i, j) in zip(fitted, _PAIRS, strict=True):
        bending[i, j] = bending[j, i] = value
    flattest = torch.linalg.eigh(bending).eigenvectors[:, 0]
    slope = torch.linalg.lstsq(_LINES, (one - other)[:, None]).solution[:, 0]
    return -metres * flattest if float(slope @ flattest) > 0 else metres * flattest
