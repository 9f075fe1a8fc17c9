"""Which object a frame is labelled with: one that a picture can tell from all others."""

from dataclasses import replace

import numpy as np
import pytest

from vjepa_ros.episodes.episode import Trajectory
from vjepa_ros.training.labels import is_about_it, object_of_the_task


def trajectory(**kinds: str) -> Trajectory:
    """Two steps with things of these kinds, each at a place of its own."""
    truth: dict[str, np.ndarray] = {}
    for index, name in enumerate(kinds):
        truth[f"{name}/position"] = np.full((2, 3), 0.1 * (index + 1))
        truth[f"{name}/held"] = np.array([False, True])
    states = np.zeros((2, 7))
    return Trajectory(
        states=states,
        stamps=np.array([0.0, 0.25]),
        truth=truth,
        provenance={"objects": [{"name": n, "kind": k} for n, k in kinds.items()]},
    )


@pytest.mark.parametrize(
    ("kinds", "place"),
    [
        ({"cube": "cube"}, 0.1),
        ({"cube": "cube", "distractor_0": "cup", "distractor_1": "block"}, 0.1),
        ({"box": "box", "bowl": "bowl", "distractor_0": "cup"}, 0.1),
        ({"distractor_0": "can", "cup": "cup"}, 0.2),
    ],
)
def test_the_object_is_the_first_of_its_kind(kinds: dict[str, str], place: float):
    told = object_of_the_task(trajectory(**kinds))
    assert told == pytest.approx(np.array([[place] * 3 + [0], [place] * 3 + [1]]))


@pytest.mark.parametrize(
    "kinds",
    [
        {"cup": "cup", "distractor_0": "cup"},
        {"box": "box", "distractor_0": "block"},
        {"bowl": "bowl", "distractor_0": "can"},
        {},
    ],
)
def test_what_no_picture_can_tell_is_not_asked(kinds: dict[str, str]):
    assert np.isnan(object_of_the_task(trajectory(**kinds))).all()


@pytest.mark.parametrize(
    ("kinds", "meant", "told"),
    [
        ({"cup": "cup", "distractor_0": "can"}, "cup", True),
        ({"cup": "cup", "cube": "cube"}, "cup", False),  # the cube is told
        ({"box": "box", "distractor_0": "block"}, "box", False),  # nothing is
        ({}, "cup", True),  # a recording without truth
    ],
)
def test_a_task_may_be_about_another_object(kinds: dict[str, str], meant: str, told: bool):
    about = trajectory(**kinds)
    assert is_about_it(replace(about, provenance={**about.provenance, "object": meant})) is told
