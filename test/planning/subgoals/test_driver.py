"""Where sub-goals meet the planner: what it decides for one aim is what is carried out."""

from dataclasses import replace

import pytest
import torch
from table_world import latent
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.subgoals.driver import PlannerDriver, towards
from vjepa_ros.planning.subgoals.way import Aim
from vjepa_ros.planning.world_model import Context, Goal

HERE, THERE = torch.tensor((0.40, 0.0, 0.30)), torch.tensor((0.55, 0.0, 0.30))
THING = torch.tensor((0.50, -0.10, 0.02))


class Exact:
    """A world model that knows where actions lead; remembers how fingers moved in candidates."""

    def __init__(self) -> None:
        self.scored: list[Tensor] = []
        self.populations: list[Tensor] = []

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        def energies(actions: Tensor) -> Tensor:
            self.scored.append(actions[..., GRIPPER].flatten())
            self.populations.append(actions.flatten(1))
            way = actions.sum(1)
            reached = context.latents[-1].expand(len(actions), 1, 8).clone()
            reached[:, 0, :3] += way[:, POSITION]
            reached[:, 0, 3] += way[:, GRIPPER]
            return objective.distance(reached, goal.latents)

        return energies


def drive(
    planner: str,
    *,
    fingers: int,
    closedness: float,
    position: Tensor = THERE,
    seen_at: Tensor | None = None,
    model: Exact | None = None,
) -> tuple[Tensor | None, Tensor]:
    """The first action towards an aim that is more closed, and all that the fingers might do."""
    model = model or Exact()
    driver = PlannerDriver(config=PLANNERS[planner], world_model=model, seed=7)
    state = torch.zeros(7)
    state[POSITION], state[GRIPPER] = HERE, 0.3
    context = Context(latents=latent(HERE, 0.3, THING, held=False)[None], states=state[None])
    aim = Aim(
        latents=latent(position if seen_at is None else seen_at, closedness, THING, held=False),
        position=position,
        closedness=closedness,
        fingers=fingers,
        last=False,
        key_frame=0,
    )
    driver.aim(aim, context)
    action = driver.step(context)
    return action, torch.cat(model.scored)


@pytest.mark.parametrize("planner", ["tiny", "plain"])
def test_fingers_that_stay_do_so_in_all_that_is_scored(planner: str):
    action, scored = drive(planner, fingers=0, closedness=0.9)
    assert action is not None
    assert action[0] > 0.04
    assert action[GRIPPER] == 0
    assert not scored.any()


@pytest.mark.parametrize("fingers", [1, -1])
def test_the_hand_stays_while_its_fingers_work(fingers: int):
    """What is seen from there would have it elsewhere, and pushes away what they should hold."""
    near = HERE + torch.tensor((0.01, 0.0, 0.0))
    action, _ = drive("tiny", fingers=fingers, closedness=0.6, position=near, seen_at=HERE - 0.04)
    assert action is not None
    assert action[POSITION].abs().max() <= 0.005 + 1e-6


def test_nothing_is_scored_twice_because_fingers_are_held():
    """All changes that they might be asked for are the same one there."""
    model = Exact()
    drive("tiny", fingers=0, closedness=0.9, model=model)
    for population in model.populations:
        assert len(population.unique(dim=0)) == len(population)


@pytest.mark.parametrize("planner", ["tiny", "plain"])
@pytest.mark.parametrize(("fingers", "closedness"), [(1, 0.9), (-1, 0.0)])
def test_fingers_move_one_way_only(planner: str, fingers: int, closedness: float):
    action, scored = drive(planner, fingers=fingers, closedness=closedness, position=HERE)
    assert action is not None
    assert float(action[GRIPPER]) * fingers > 0
    assert (scored * fingers).min() >= 0


class Blind(Exact):
    """One to which everything looks alike."""

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        return lambda actions: torch.ones(len(actions))


def test_where_nothing_looks_nearer_the_straight_way_is_gone(monkeypatch):
    monkeypatch.setattr("vjepa_ros.planning.planner.energy_nearby", lambda *_: 0.1)
    config = replace(PLANNERS["tiny"], rules=("effort",))
    driver = PlannerDriver(config=config, world_model=Blind(), seed=7)
    state = torch.zeros(7)
    state[POSITION] = HERE
    context = Context(latents=latent(HERE, 0.0, THING, held=False)[None], states=state[None])
    aim = Aim(latents=latent(THERE, 0.9, THING, held=False), position=THERE, closedness=0.0,
              fingers=0, last=False, key_frame=0)  # fmt: skip
    driver.aim(aim, context)
    action = driver.step(context)
    straight = towards(aim, state, config.max_step)
    assert action[:3].tolist() == pytest.approx(straight[:3].tolist(), abs=0.01)


@pytest.mark.parametrize("planner", ["tiny", "plain"])
def test_while_fingers_work_the_hand_stays(planner: str):
    """Though another place look nearer."""
    action, _ = drive(planner, fingers=1, closedness=0.9, position=HERE, seen_at=THERE)
    assert action is not None
    assert action[GRIPPER] > 0
    assert action[POSITION].abs().max() <= 0.0051


@pytest.mark.parametrize("planner", ["tiny", "plain"])
def test_the_hand_does_not_go_away_from_where_it_shall_be(planner: str):
    """Though what it comes from look nearer, as with something in the hand it may."""
    behind = 2 * HERE - THERE
    action, _ = drive(planner, fingers=0, closedness=0.3, position=THERE, seen_at=behind)
    assert action is not None
    assert float((THERE - HERE - action[POSITION]).norm()) < float((THERE - HERE).norm())


def test_an_aim_that_is_reached_ends():
    action, _ = drive("tiny", fingers=0, closedness=0.3, position=HERE)
    assert action is None


def test_every_aim_is_searched_for_with_numbers_of_its_own():
    model = Exact()
    config = replace(PLANNERS["plain"], goal_steps=(2,))
    driver = PlannerDriver(config=config, world_model=model, seed=7)
    state = torch.zeros(7)
    state[POSITION] = HERE
    context = Context(latents=latent(HERE, 0.0, THING, held=False)[None], states=state[None])
    aim = Aim(
        latents=latent(THERE, 0.0, THING, held=False),
        position=THERE,
        closedness=0.0,
        fingers=0,
        last=False,
        key_frame=0,
    )
    driver.aim(aim, context)
    assert driver.step(context) is not None
    assert driver.step(context) is not None
    assert driver.step(context) is None
    assert driver.seed == 9
