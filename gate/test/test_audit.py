"""The audit finds what is wrong in a stream, each limit by itself."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from audit import violations

PERIOD = 0.01
STAMPS = PERIOD * np.arange(200)


def audit(limits, *, y=0.0, z=0.3, roll=math.pi, yaw=0.0, stamps=STAMPS):
    """Of a stream along y, with everything else a number or one number a target."""
    columns = np.broadcast_arrays(0.5, y, z, roll, yaw, stamps)[:5]
    x, y, z, roll, yaw = columns
    turns = Rotation.from_euler("xyz", np.stack((roll, 0 * roll, yaw), 1))
    return violations(stamps, np.stack((x, y, z), 1), turns.as_quat(), limits)


def smooth(way):
    """From 0 to `way` in 2 s, at most way·π/4 a second."""
    return way * (1 - np.cos(np.pi * STAMPS / 2)) / 2


def test_a_good_stream_has_no_violations(limits):
    assert audit(limits, y=smooth(0.3), yaw=smooth(0.8)) == []


@pytest.mark.parametrize(
    ("stream", "found"),
    [
        ({"z": -0.01}, ["metres below the workspace 0.015, limit 0"]),
        ({"y": 0.41}, ["metres above the workspace 0.01, limit 0"]),
        ({"roll": math.pi - 0.6}, ["tilt 0.6, limit 0.5"]),
        ({"y": 0.35 * STAMPS - 0.35}, ["speed 0.35, limit 0.3"]),
        ({"y": 0.001 * (STAMPS > 1)}, ["acceleration 10, limit 1.5"]),
        ({"yaw": 1.2 * STAMPS}, ["turn_speed 1.2, limit 1"]),
        ({"yaw": 0.002 * (STAMPS > 1)}, ["turn_acceleration 20, limit 5"]),
    ],
)
def test_each_violation_is_told(limits, stream, found):
    assert audit(limits, **stream) == found


def test_after_a_gap_the_stream_may_start_from_rest_and_elsewhere(limits):
    gap = STAMPS + 0.5 * (STAMPS > 1)
    moving = np.where(STAMPS > 1, 0.25, 0.25 * STAMPS)
    assert audit(limits, y=moving, stamps=gap) == []
    assert audit(limits, y=moving) == ["acceleration 25, limit 1.5"]
    lifted_by_hand = 0.2 * (STAMPS > 1)
    assert audit(limits, y=lifted_by_hand, stamps=gap) == []
    assert audit(limits, y=lifted_by_hand) == [
        "speed 20, limit 0.3",
        "acceleration 2000, limit 1.5",
    ]


@pytest.mark.parametrize("index", [0, 1])
def test_numbers_that_cannot_be_judged_are_a_violation(limits, index):
    doubled = STAMPS.copy()
    doubled[5] = doubled[4]
    streams = ({"y": np.where(np.arange(200) == 7, np.nan, 0.0)}, {"stamps": doubled})
    (found,) = audit(limits, **streams[index])
    assert "not finite" in found
