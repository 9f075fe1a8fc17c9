"""What a planner is measured against, and what success is: floors, strictness, disturbances."""

import numpy as np
import pytest

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

from vjepa_gate.errors import UserError
from vjepa_gate.robots import load_robot
from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.evaluation.disturbances import disturbing
from vjepa_ros.evaluation.runs import Evaluation, evaluate
from vjepa_ros.evaluation.trials import run_expert
from vjepa_sim.expert import follow
from vjepa_sim.scene import SceneConfig
from vjepa_sim.tasks import Outcome, make_task

ROBOT = load_robot("sim")


@pytest.mark.parametrize(("driver", "successes"), [("expert", 1), ("stay", 0), ("random", 0)])
def test_the_floors_are_what_they_should_be(random_weights, driver: str, successes: int):
    about = Evaluation(
        task="pick_place", goals="single", driver=driver, episodes=1, seed=5000,
        weights=random_weights,
    )  # fmt: skip
    report = evaluate(about, workers=1)
    assert report.successes == successes
    assert report.as_json()["driver"] == driver
    assert report.trials[0].steps > 10


def test_servo_needs_sub_goals(random_weights):
    about = Evaluation(
        task="grasp", goals="single", driver="servo", episodes=1, seed=5000, weights=random_weights
    )
    with pytest.raises((UserError, ValueError), match="driver servo needs sub-goals"):
        evaluate(about, workers=1)


def test_a_lifted_object_has_to_stay_up(scene, monkeypatch):
    """The expert's grasp is judged a second later, too."""
    task = make_task("grasp")
    episode = CONDITIONS["plain"].begin(scene, task, 5001, "single")
    assert run_expert(episode, robot=ROBOT).success
    episode = CONDITIONS["plain"].begin(scene, task, 5001, "single")
    given = []

    def judge(*_) -> Outcome:
        given.append(len(given))
        return Outcome(success=len(given) > 2, distance=0.0, reason="only at the end")

    monkeypatch.setattr(type(task), "judge", judge)
    assert not run_expert(episode, robot=ROBOT).success


def test_what_was_never_lifted_was_not_placed(scene, monkeypatch):
    episode = CONDITIONS["plain"].begin(scene, make_task("pick_place"), 5001, "single")

    def slide(scene, waypoint):
        scene.move_object("cube", tuple(episode.target[:2]))
        yield from ()

    monkeypatch.setattr("vjepa_ros.evaluation.trials.follow", slide)
    trial = run_expert(episode, robot=ROBOT)
    assert (trial.success, trial.reason) == (False, "the object was not lifted")


def test_a_start_that_is_the_goal_already_does_not_count(random_weights, monkeypatch):
    task = type(make_task("grasp"))
    done = Outcome(success=True, distance=0.0, reason="done")
    monkeypatch.setattr(task, "judge", lambda *_: done)
    about = Evaluation(
        task="grasp", goals="single", driver="stay", episodes=1, seed=5000, weights=random_weights
    )
    with pytest.raises(ValueError, match="all 1 starts are the goal already"):
        evaluate(about, workers=1)


def test_a_push_moves_the_object_once_and_leaves_it_on_the_table(scene):
    for seed in range(3):
        scene.config = SceneConfig()
        scene.reset(seed)
        before = scene.truth()["cube"].position
        disturb = disturbing("push", scene)
        for step in range(8):
            disturb(step)
        scene.step(0.25)
        after = scene.truth()["cube"].position
        assert 0.04 < np.linalg.norm((after - before)[:2]) < 0.11
        assert after[2] == pytest.approx(before[2], abs=0.002)


def test_what_is_carried_is_lost_once(scene):
    task = make_task("grasp")
    task.start(scene, 5000)
    disturb = disturbing("drop", scene)
    disturb(0)
    assert scene.truth()["cube"].position[2] < 0.03
    for waypoint in task.path(scene, None):
        for _ in follow(scene, waypoint):
            pass
    assert scene.truth()["cube"].position[2] > 0.1
    disturb(1)
    scene.step(0.5)
    assert scene.truth()["cube"].position[2] < 0.03
