"""Hand rules: what a greedy search on few samples needs to be told.

A planner that looks a step or two ahead takes every short cut: it shuts the fingers on the way,
sweeps the object off its place, and follows the noise of an energy that hardly changes. Each
rule here is named in the settings (`PlannerConfig.rules`), which also hold its numbers. The
published planners have none.

Two choose before the search (fingers_first, effort), the others mend the plan that it found;
warm_start and second_try stand in planner.py, whose steps they are, and probe in probing.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.solvers import Cost

# Of closedness; the smallest is that of fingers closing on what nearly fills the hand.
CHANGES = (-0.75, -0.5, -0.25, 0.0, 0.1, 0.25, 0.5, 0.75)
_MOVED = 0.1  # of closedness, from which on the fingers have moved


# --- before the search -------------------------------------------------------------------


@dataclass(frozen=True)
class Fingers:
    """What the fingers do in the next step, chosen with the arm at rest."""

    change: float  # of closedness
    at_rest: float  # the energy of that change alone


def choose_fingers(cost: Cost, changes: Sequence[float], *, gain: float, floor: float) -> Fingers:
    """Choose the best change with the arm at rest, for which alone the fingers may move.

    They stay if it does not lower the energy by a share of `gain` and by `floor`. Populations
    small enough for a CPU leave noise in this one dimension, and noise drops what is held: so a
    few values are tried in turn, and only then is searched where the arm should go meanwhile.
    """
    actions = torch.zeros(len(changes), 1, 7)
    actions[:, 0, GRIPPER] = torch.tensor(changes)
    with torch.no_grad():
        energies = cost(actions).nan_to_num(torch.inf)
    best, stay = int(energies.argmin()), list(changes).index(0.0)
    if not energies[best] < min((1 - gain) * energies[stay], energies[stay] - floor):
        best = stay
    return Fingers(changes[best], float(energies[best]))


def one_way(changes: Sequence[float], way: float) -> tuple[float, ...]:
    """Those of the changes that go this way, or stay: back and forth fingers push away what
    they should hold.
    """
    return tuple(change for change in changes if change * way >= 0)


def moved_way(moved: float) -> float:
    """Which way fingers that have moved so far have gone; 0 if they have not."""
    return 0.0 if abs(moved) < _MOVED else moved


def picture_changes(cost: Cost, gain: float) -> tuple[float, ...]:
    """The changes that lead from one goal's picture towards the next one's.

    The pictures tell it better than the camera: a hand in motion is read less exactly, and one
    that seems a little too closed would open and drop its object. Towards the last goal this is
    not asked: fingers that open there, far from where they were in the picture before, do not
    stand out in it.
    """
    way = choose_fingers(cost, CHANGES, gain=gain, floor=0.0).change
    return tuple(change for change in CHANGES if change == 0 or change * way > 0)


def with_fingers(cost: Cost, change: float) -> Cost:
    """Score candidates whose first step all move the fingers by `change`."""

    def energies(actions: Tensor) -> Tensor:
        actions = actions.clone()
        actions[:, 0, GRIPPER] = change
        return cost(actions)

    return energies


def with_effort(cost: Cost, per_metre: float, effortless: Tensor) -> Cost:
    """Let every metre along an axis away from effortless moves [T, 3] cost energy, so that going
    elsewhere must gain something.
    """

    def energies(actions: Tensor) -> Tensor:
        off = actions[..., POSITION] - effortless.to(actions)
        return cost(actions) + per_metre * off.abs().sum((-2, -1))

    return energies


# --- after it ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a rule may know of the step that it mends."""

    config: PlannerConfig
    energy: float  # of the plan, as the search found it
    fingers: Fingers | None
    place: Tensor  # [3] of the tool
    best_place: Tensor  # [3] where the energy towards this goal was lowest
    reach: float  # metres around it that the next step may end in


def stay_in_reach(plan: Tensor, now: Situation) -> Tensor:
    """End the step within reach of where the energy was lowest: a trust region."""
    away = now.place + plan[0, POSITION] - now.best_place
    distance = float(away.norm())
    if distance > now.reach:
        plan[0, POSITION] -= away * (1 - now.reach / distance)
    return plan


def rest_if_no_better(plan: Tensor, now: Situation) -> Tensor:
    """Stay where the plan is no better than staying: the mean of good candidates may be bad."""
    if now.fingers is not None and now.energy >= now.fingers.at_rest:
        plan[:, POSITION] = 0.0
    return plan


def still_fingers(plan: Tensor, now: Situation) -> Tensor:
    """Leave the fingers alone in a step that goes far."""
    if plan[0, POSITION].abs().max() > now.config.still_above:
        plan[0, GRIPPER] = 0.0
    return plan


def upright_descent(plan: Tensor, now: Situation) -> Tensor:
    """Do not go down in a step that goes far sideways, and hardly sideways in one that goes
    down, where it would land on what it should enclose.
    """
    x, y, z = plan[0, POSITION].tolist()
    sideways = max(abs(x), abs(y))
    if sideways > now.config.descent_gate:
        plan[0, 2] = max(0.0, z)
    elif sideways > now.config.descent_drift and -z > now.config.descent_drift:
        plan[0, :2] *= now.config.descent_drift / sideways
    return plan


def squeeze(plan: Tensor, now: Situation) -> Tensor:
    """Close further than the goal shows: fingers that shut on an object stop at its sides."""
    if plan[0, GRIPPER] > 0:
        plan[0, GRIPPER] = min(1.0, float(plan[0, GRIPPER]) + now.config.squeeze_by)
    return plan


Rule = Callable[[Tensor, Situation], Tensor]  # a plan [H, 7] of its own to change, and mended

MENDING: dict[str, Rule] = {
    "reach": stay_in_reach,
    "rest": rest_if_no_better,
    "still_fingers": still_fingers,
    "descent": upright_descent,
    "squeeze": squeeze,
}


def mended(plan: Tensor, now: Situation) -> Tensor:
    """Apply the rules that the settings list, one after the other, to a copy of the plan."""
    plan = plan.clone()
    for name in now.config.rules:
        if name in MENDING:
            plan = MENDING[name](plan, now)
    return plan
