"""With a world model that is right, the loop around it must bring every task to its end."""

import numpy as np
import pytest
import torch

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

from vjepa_gate.robots import load_robot
from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.evaluation.trials import run_trial
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.planner import Planner
from vjepa_sim.tasks import make_task

ROBOT = load_robot("sim")


def run(scene, world, task, seed, goals, **options):
    episode = CONDITIONS["plain"].begin(scene, task, seed, goals)
    return run_trial(
        episode,
        planner=Planner(PLANNERS["tiny"], world),
        look=world.look,
        robot=ROBOT,
        period=0.25,
        **options,
    )


@pytest.mark.parametrize("seed", [5900, 5901, 5902])
def test_a_right_model_reaches(scene, right_world, seed):
    trial = run(scene, right_world, make_task("reach"), seed, "single", tolerance=0.02)
    assert trial.success, trial
    assert trial.energies[-1] < 0.1 * trial.energies[0]
    assert len(trial.seconds) == trial.steps
    assert len(trial.energies) == len(trial.goals) == trial.steps + 1


@pytest.mark.parametrize("thing", ["cube", "cup"])
def test_a_right_model_picks_and_places(scene, right_world, thing):
    trial = run(scene, right_world, make_task("pick_place", thing), 5900, "dense")
    assert trial.success, trial
    assert set(trial.goals) == set(range(8))
    assert trial.goals == sorted(trial.goals)


def test_a_right_model_grasps_from_two_pictures(scene, right_world):
    trial = run(scene, right_world, make_task("grasp", "cube"), 5900, "paper")
    assert trial.success, trial


def test_what_is_watched_is_what_is_reported(scene, right_world):
    moments = []
    trial = run(scene, right_world, make_task("reach"), 5900, "single", watch=moments.append)
    assert [moment.energy for moment in moments] == trial.energies
    assert [moment.goal for moment in moments] == trial.goals
    assert moments[0].rgb.shape == (128, 128, 3)
    assert not np.array_equal(moments[0].rgb, moments[-1].rgb)


def test_a_failure_is_judged_by_the_truth(scene, right_world):
    """The planner is content with the place where it starts; the judge is not."""
    episode = CONDITIONS["plain"].begin(scene, make_task("grasp", "cube"), 5900, "single")
    world = right_world
    world.look = lambda observation: torch.zeros(4, 1)
    trial = run_trial(
        episode,
        planner=Planner(PLANNERS["tiny"], world),
        look=world.look,
        robot=ROBOT,
        period=0.25,
    )
    assert "within" in trial.ended
    assert trial.steps == 0
    assert not trial.success
    assert trial.reason == "object not between the fingers"
    assert trial.distance == pytest.approx(0.08, abs=1e-3)
