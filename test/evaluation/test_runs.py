"""Evaluations through the shipped kind of model, untrained: what must hold whatever it can do."""

import json
import threading
from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

from vjepa_gate.errors import UserError
from vjepa_ros.evaluation.runs import Evaluation, Report, evaluate
from vjepa_ros.evaluation.trials import Trial
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.axes import Axes, write_axes
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.policy.server import serving
from vjepa_ros.policy.settings import PolicySettings

QUICK = PlannerConfig(samples=12, iterations=2, elites=3, goal_steps=(3,))


@pytest.fixture(scope="module")
def reach(random_weights):
    return Evaluation(
        task="reach", goals="single", episodes=2, seed=5920, weights=random_weights, planner=QUICK
    )


@pytest.fixture(scope="module")
def report(reach):
    return evaluate(reach, workers=1)


def untimed(report):
    return [replace(trial, seconds=[], cpu_seconds=[]) for trial in report.trials]


def test_two_workers_find_the_same_to_the_bit_as_one(reach, report):
    assert untimed(evaluate(reach, workers=2)) == untimed(report)


def test_an_episode_depends_on_its_own_seed_alone(reach, report):
    alone = evaluate(replace(reach, episodes=1, seed=reach.seed + 1), workers=1)
    assert untimed(alone) == untimed(report)[1:]
    assert untimed(alone) != untimed(report)[:1]


def test_a_film_shows_each_step_and_the_end(reach, report, tmp_path):
    evaluate(replace(reach, episodes=1), workers=1, videos=tmp_path)
    film = cv2.VideoCapture(str(tmp_path / "reach_5920.mp4"))
    assert film.get(cv2.CAP_PROP_FRAME_COUNT) > report.trials[0].steps
    assert film.get(cv2.CAP_PROP_FRAME_WIDTH) == 3 * 256


def axes_file(path, matrix, weights):
    about = {"robot": "sim", "camera": "camera", "date": "today"}
    figures = {"moves": 24, "residual": 0.01, "r2": 0.9}
    write_axes(path, Axes(matrix=matrix, weights=weights, **figures, **about))
    return path


def test_axes_change_the_plans_unless_nothing_is_turned(reach, tmp_path):
    """With trained weights: an untrained predictor sees no motion, turned or not."""
    plain = replace(reach, episodes=1, weights=SHIPPED_WEIGHTS)
    weights = load_world_model(SHIPPED_WEIGHTS).identity
    straight = axes_file(tmp_path / "straight.yaml", ((1.0, 0.0), (0.0, 1.0)), weights)
    turned = axes_file(tmp_path / "turned.yaml", ((0.0, 1.0), (-1.0, 0.0)), weights)
    without, same, other = (
        untimed(evaluate(replace(plain, axes=axes), workers=1)) for axes in (None, straight, turned)
    )
    assert same == without
    assert other != without


def test_axes_of_other_weights_are_refused(reach, tmp_path):
    axes = axes_file(tmp_path / "axes.yaml", ((1.0, 0.0), (0.0, 1.0)), "tiny-other")
    with pytest.raises(UserError, match="found with the weights tiny-other"):
        evaluate(replace(reach, axes=axes), workers=1)


def test_a_turned_camera_shows_something_else(reach, report):
    turned = evaluate(replace(reach, episodes=1, turn=30.0), workers=1)
    assert turned.trials[0].energies[0] != report.trials[0].energies[0]
    assert turned.as_json()["turn"] == 30.0


def trial(seed, success):
    return Trial(
        seed=seed,
        success=success,
        reason="tool 0.031 m from the goal",
        ended="its steps",
        distance=0.01 * seed,
        steps=seed,
        seconds=[0.1] * seed,
        energies=[0.5] * (seed + 1),
        goals=[0] * (seed + 1),
        wanted=[0.1],
        refused=[],
    )


def test_the_report_adds_up(reach):
    report = Report(
        evaluation=replace(reach, weights="made up"),
        weights_identity="tiny-123",
        trials=[trial(1, True), trial(2, False), trial(3, True), trial(4, True)],
    )
    found = json.loads(json.dumps(report.as_json()))
    assert found["episodes"] == 4
    assert found["successes"] == 3
    assert found["rate"] == 0.75
    assert found["interval"][0] < 0.75 < found["interval"][1]
    assert found["seconds_per_plan"] == {"median": pytest.approx(0.1), "p95": pytest.approx(0.1)}
    assert found["cpu_seconds_per_plan"] == {"median": 0.0, "p95": 0.0}
    assert found["steps"]["median"] == 2.5
    assert found["reasons"] == {"2": "tool 0.031 m from the goal; the planner ended with its steps"}
    assert found["planner"] == {"name": None, **json.loads(json.dumps(asdict(QUICK)))}
    assert [one["seed"] for one in found["trials"]] == [1, 2, 3, 4]


def test_a_policy_drives_an_episode_or_leaves_the_planner_alone(reach, report):
    chunk = np.array([[0.0, 0.02, 0.0, 0.0, 0.0, 0.0, 0.0]], np.float32)
    asked, answers = [], {"actions": chunk}

    def infer(question):
        asked.append(question)
        return answers

    with serving(infer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        told = PolicySettings(policy=url, policy_timeout=60.0, prompt="reach")
        planner = replace(QUICK, policy_mode="rank")
        one = replace(reach, episodes=1, planner=planner, policy=told)
        driven = evaluate(one, workers=1)
        answers["actions"] = chunk * np.nan
        alone = evaluate(one, workers=1)
        server.shutdown()
    steps = [one["observation/cartesian_position"][1] for one in asked[:3]]
    np.testing.assert_allclose(np.diff(steps), 0.02, atol=2e-3)
    assert (driven.trials[0].alone, asked[0]["prompt"]) == (0, "reach")
    assert driven.as_json()["policy"]["policy"] == url
    assert alone.trials[0].alone == 4  # plans, the last of which ends the task
    assert [replace(trial, alone=0) for trial in untimed(alone)] == untimed(report)[:1]
