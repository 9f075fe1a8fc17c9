"""Results made by hand, to compare and to hold to gates."""

from dataclasses import replace

import pytest

from vjepa_ros.replay.figures import figures_of
from vjepa_ros.replay.results import (
    Clocks,
    EpisodeResult,
    Plan,
    Prediction,
    Replay,
    ReplaySettings,
    Surprises,
)


@pytest.fixture
def make_episode():
    return made_episode


@pytest.fixture
def make_plan():
    return made_plan


@pytest.fixture
def make_replay():
    return made_replay


def made_episode(name="one", model=(0.5, 0.6, 0.4), copy_last=(1.0, 1.0, 1.0), plan=None):
    """An episode of which only the errors one step ahead are told."""
    steps = len(model) + 1
    episode = EpisodeResult(
        name=name,
        path=name,
        task="test",
        frames=[2 * step for step in range(steps)],
        stamps=[0.25 * step for step in range(steps)],
        goal=steps - 1,
        goal_energy=[float(steps - step) for step in range(steps)],
        prediction=Prediction(
            model=[list(model)], copy_last=[list(copy_last)], zero_action=[list(copy_last)]
        ),
        plan=plan,
        surprise=Surprises(values=list(model), thresholds=[None] * len(model), outliers=[]),
        clocks=Clocks(frame_period=0.25, stamped=None, nominal=None),
        figures={},
    )
    return replace(episode, figures=figures_of([episode]))


def made_replay(*episodes, **changes):
    settings = ReplaySettings(
        weights="tiny-0",
        arithmetic="float32 on cpu",
        seed=0,
        clock="stamped",
        step_period=0.25,
        nominal_rate=None,
        horizon=1,
        samples_ranked=64,
        plan_every=None,
        planner={"name": "paper", "samples": 800},
    )
    return Replay(
        settings=replace(settings, **changes),
        episodes=list(episodes),
        figures=figures_of(episodes),
    )


def made_plan(error):
    """A plan at each step that ends so many metres beyond what was recorded."""
    count, action = len(error), [0.01, 0, 0, 0, 0, 0, 0]
    return Plan(
        steps=list(range(count)),
        planned=[action] * count,
        recorded=[action] * count,
        error_cm=[100 * one for one in error],
        angle_deg=[None] * count,
        gripper_agrees=[True] * count,
        gripper_moves=[False] * count,
        action_error=list(error),
        energy=[0.1] * count,
        rank=[0.0] * count,
    )
