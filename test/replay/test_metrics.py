"""What is measured along an episode, with a world model that is always right."""

import math
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vjepa_ros.conventions import GRIPPER, POSITION, apply_action
from vjepa_ros.episodes.episode import EpisodeReader, Trajectory
from vjepa_ros.planning.axes import Axes
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.replay import actions
from vjepa_ros.replay.clocks import at_steps, frames_by
from vjepa_ros.replay.metrics import Method, judge, score

METHOD = Method(
    horizon=3,
    plan_every=2,
    planner=replace(PLANNERS["tiny"], samples=256, iterations=5),
    samples_ranked=50,
    seed=0,
)


class RightWorld:
    """Its latents [4, 1] are the tool's position in decimetres and the closedness.

    It reads them off a picture by looking up what the first pixel numbers.
    """

    def __init__(self, states):
        self.states = torch.from_numpy(states).float()

    def encode(self, rgb):
        return self._latents(self.states[rgb[:, 0, 0].long() @ torch.tensor([1, 256, 0])])

    def rollout(self, context, actions):
        state, along = context.states[-1].expand(len(actions), 7), []
        for action in actions.unbind(1):
            state = apply_action(state, action)
            along.append(self._latents(state))
        return torch.stack(along, 1)

    def cost(self, context, goal, objective):
        return lambda actions: objective.distance(
            self.rollout(context, actions)[:, -1], goal.latents
        )

    def _latents(self, state):
        return torch.cat((10 * state[..., POSITION], state[..., GRIPPER:]), -1)[..., None]


def numbered(steps):
    """Pictures whose first pixel says which step they are of."""
    for step in steps:
        frame = np.zeros((2, 2, 3), np.uint8)
        frame[0, 0, :2] = step % 256, step // 256
        yield frame


def reader_of(states, period=0.25, decode=numbered, commanded=None):
    stamps = 1000.0 + period * np.arange(len(states))
    trajectory = Trajectory(states=states, stamps=stamps, commanded=commanded, task="test")
    return EpisodeReader(path=Path("numbered"), trajectory=trajectory, decode=decode)


def straight_line(steps, way=0.03):
    """States [T, 7] of a tool that moves along x, open, and shuts its fingers half way."""
    states = np.tile([0.4, 0.0, 0.3, np.pi, 0.0, 0.0, 0.0], (steps, 1))
    states[:, 0] += way * np.arange(steps)
    states[steps // 2 :, GRIPPER] = 0.5
    return states


@pytest.fixture(scope="module")
def scores():
    states = straight_line(12)
    return score(reader_of(states), RightWorld(states), METHOD)


def test_a_right_model_errs_at_no_step_ahead(scores):
    for ahead, errors in enumerate(scores.prediction.model, 1):
        assert len(errors) == 12 - ahead
        assert errors == pytest.approx([0.0] * len(errors), abs=1e-5)


@pytest.mark.parametrize("baseline", ["copy_last", "zero_action"])
def test_baselines_err_by_all_that_moved(scores, baseline):
    """0.3 dm a step in one of four numbers, and half a closedness once."""
    for ahead, errors in enumerate(getattr(scores.prediction, baseline), 1):
        moved = [0.3 * ahead / 4 + (0.125 if k < 6 <= k + ahead else 0) for k in range(12 - ahead)]
        assert errors == pytest.approx(moved, abs=1e-5)


def test_the_energy_falls_to_the_goal_which_is_the_last_frame(scores):
    assert scores.goal_energy == sorted(scores.goal_energy, reverse=True)
    assert scores.goal_energy[-1] == 0


def test_no_sampled_action_is_better_than_the_recorded_one(scores):
    assert scores.plan.steps == [0, 2, 4, 6, 8, 10]
    assert scores.plan.rank == [0.0] * 6
    assert scores.plan.energy == pytest.approx([0.0] * 6, abs=1e-5)


def test_an_action_that_did_not_happen_is_ranked_behind_others():
    states = straight_line(4)
    moved = states.copy()
    moved[:, 0] -= 2 * 0.03 * np.arange(4)  # the pictures say that it went the other way
    found = score(reader_of(states), RightWorld(moved), replace(METHOD, plan_every=1))
    assert min(found.plan.rank) > 0


def test_a_right_model_plans_what_was_recorded(scores):
    assert max(scores.plan.error_cm) < 1
    assert max(scores.plan.angle_deg) < 15
    assert all(scores.plan.gripper_agrees)
    assert np.array(scores.plan.recorded)[:, 0] == pytest.approx(0.03, abs=1e-6)
    assert np.array(scores.plan.planned)[:, 0] == pytest.approx(0.03, abs=0.01)


def test_a_planner_corrects_the_axes_that_the_camera_turns():
    class TurnedWorld(RightWorld):
        """Takes a motion along x for one along y, and one along y for one along -x."""

        def rollout(self, context, actions):
            x, y, *others = actions.unbind(-1)
            return super().rollout(context, torch.stack((-y, x, *others), -1))

    about = {"weights": "", "robot": "", "camera": "", "date": ""}
    axes = Axes(matrix=((0.0, 1.0), (-1.0, 0.0)), moves=40, residual=0.0, r2=1.0, **about)
    states = straight_line(6)
    world = TurnedWorld(states)
    deceived = score(reader_of(states), world, METHOD).plan
    corrected = score(reader_of(states), world, replace(METHOD, axes=axes)).plan
    assert min(deceived.error_cm) > 3
    assert max(corrected.error_cm) < 0.5
    assert max(corrected.rank) == 0


def test_fingers_that_shut_are_planned_to_shut():
    states = straight_line(12, way=0.02)  # in longer steps they are left alone
    found = score(reader_of(states), RightWorld(states), replace(METHOD, plan_every=5))
    assert found.plan.steps == [0, 5, 10]
    assert found.plan.gripper_moves == [False, True, False]
    assert found.plan.gripper_agrees == [True, True, True]


def test_plans_of_several_steps_are_scored_by_where_they_lead():
    states = straight_line(6)
    # Many plans lead there: an even one is found by noise that is correlated along the horizon.
    search = {"solver": "icem", "samples": 512, "iterations": 6, "elites": 4, "decay": 1.25}
    planner = replace(PLANNERS["tiny"], horizon=2, **search)
    found = score(reader_of(states), RightWorld(states), replace(METHOD, planner=planner)).plan
    assert found.steps == [0, 2]  # from 4 on, no frame is two steps ahead
    assert max(found.action_error) < 0.03


def test_without_planning_there_is_no_plan():
    states = straight_line(4)
    found = score(reader_of(states), RightWorld(states), replace(METHOD, plan_every=None))
    assert found.plan is None
    assert len(found.prediction.model[0]) == 3


def test_the_same_seed_gives_the_same_bits_and_another_gives_others():
    states = straight_line(4)

    def planned(seed):
        reader, method = reader_of(states), replace(METHOD, seed=seed)
        return score(reader, RightWorld(states), method).plan.planned

    assert planned(3) == planned(3) != planned(4)


def test_a_step_that_nobody_could_foresee_stands_out():
    states = straight_line(40, way=0.01)
    states[:, 1] = 0.002 * np.random.default_rng(0).standard_normal(40)
    seen = states.copy()
    seen[25, 2] += 0.2  # one picture jumps, the arm does not
    found = score(reader_of(states), RightWorld(seen), replace(METHOD, plan_every=None))
    assert found.surprise.outliers == [24]
    assert found.surprise.values == found.prediction.model[0]


def test_nothing_stands_out_before_there_is_enough_to_judge_by():
    verdict = judge([1.0, 9.0, 1.0])
    assert (verdict.thresholds, verdict.outliers) == ([None] * 3, [])


def test_frames_are_let_go_as_the_replay_goes_on():
    alive, most = [], 0

    class Frame(np.ndarray):
        """An array that can be watched."""

    def decode(steps):
        nonlocal alive, most
        for frame in numbered(steps):
            watched = frame.view(Frame)
            alive = [one for one in alive if one() is not None] + [weakref.ref(watched)]
            most = max(most, len(alive))
            yield watched

    states = straight_line(300, way=0.001)
    score(reader_of(states, decode=decode), RightWorld(states), replace(METHOD, plan_every=None))
    assert most < 50


# --- actions -----------------------------------------------------------------------------


def test_translation_error_and_angle():
    one, other = torch.zeros(7), torch.zeros(7)
    one[0], other[1] = 0.03, 0.04
    assert actions.translation_error(one, other) == pytest.approx(0.05)
    assert actions.translation_angle(one, other) == pytest.approx(90)
    assert actions.translation_angle(one, -2 * one) == pytest.approx(180)
    assert actions.translation_angle(one, torch.zeros(7)) is None


def test_the_score_of_jepa_wms():
    """|sum of what was planned - sum of what was recorded|, over the axes; 80 is perfect."""
    recorded = torch.tensor([[0.05, 0, 0, 0, 0, 0, 0], [0.05, 0, 0, 0, 0, 0, 0]])
    assert actions.action_error(recorded.flip(0), recorded) == pytest.approx(0)
    planned = recorded + torch.tensor([0.01, -0.02, 0.005, 0.3, 0, 0, 0.7])
    assert actions.action_error(planned, recorded) == pytest.approx(0.07)
    assert actions.action_score(0.0) == pytest.approx(80)
    assert actions.action_score(0.1) == pytest.approx(0)


def test_tracking_tells_turns_about_the_wrong_axis():
    states = straight_line(3)
    states[1:, 5] = 0.2
    told = np.zeros((2, 7))
    told[:, 0], told[0, 5] = 0.03, 0.2
    found = actions.tracking_of(reader_of(states, commanded=told).trajectory)
    assert found.error_cm == pytest.approx([0, 0], abs=1e-6)
    assert found.turn_deg == pytest.approx([0, 0], abs=1e-3)

    told[0, 3:6] = 0.2, 0, 0
    wrong = actions.tracking_of(reader_of(states, commanded=told).trajectory)
    assert wrong.turn_deg[0] == pytest.approx(math.degrees(0.2 * math.sqrt(2)), rel=0.01)
    assert actions.tracking_of(reader_of(states).trajectory) is None


# --- clocks ------------------------------------------------------------------------------


def test_stamped_frames_are_the_nearest_and_nominal_ones_are_counted():
    stamps = np.arange(9) / 15
    assert frames_by("stamped", stamps, 4 / 15, None).tolist() == [0, 4, 8]
    assert frames_by("nominal", stamps, 4 / 15, None).tolist() == list(range(9))
    assert frames_by("nominal", stamps, 4 / 60, 60.0).tolist() == [0, 4, 8]


def test_stamps_too_far_apart_are_refused():
    reader = reader_of(straight_line(5), period=1.0)
    with pytest.raises(ValueError, match="the recording has 1 s"):
        frames_by("stamped", reader.trajectory.stamps, 0.25, None)
    with pytest.raises(ValueError, match="5 frames in 4 s"):
        at_steps(reader, np.array([0]))
