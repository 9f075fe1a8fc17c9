"""Which measured poses are believed."""

import numpy as np
import pytest

from vjepa_gate.plausibility import FASTEST, SETTLED, Plausibility

PERIOD = 0.001  # as franka_ros2 publishes


@pytest.fixture
def judge(make_pose):
    """Gives the doubts of poses at y, and their stamps, one after the other."""
    plausibility = Plausibility()
    return lambda ys, stamps: [
        plausibility.doubt(stamp, make_pose(y=y)) for y, stamp in zip(ys, stamps, strict=True)
    ]


@pytest.mark.parametrize("period", [PERIOD, 0.02, 0.2])
def test_a_fast_arm_is_believed_at_every_rate(judge, period):
    stamps = np.arange(0, 1, period)
    assert not any(judge(0.9 * FASTEST * stamps, stamps))


def test_a_glitch_is_doubted_while_it_lasts_however_small_and_long(judge):
    """After 0.1 s an arm could be 0.2 m away, but not at once."""
    stamps = np.arange(0, 0.6, PERIOD)
    jumped = (stamps >= 0.1) & (stamps < 0.1 + 0.9 * SETTLED)
    doubts = judge(np.where(jumped, 0.05, 0.0), stamps)
    assert [bool(doubt) for doubt in doubts] == jumped.tolist()
    assert "jumped by 0.05 m and 0.00 rad within" in doubts[110]


def test_noise_is_believed(judge):
    stamps = np.arange(0, 1, PERIOD)
    noise = np.random.default_rng(0).normal(0, 0.001, len(stamps))
    assert not any(judge(noise, stamps))


def test_what_lasts_is_believed_and_the_earlier_place_was_wrong(judge):
    stamps = np.arange(0, 1, PERIOD)
    doubts = judge(np.where(stamps < 0.1, 1.0, 0.0), stamps)
    doubted = stamps[np.array([bool(doubt) for doubt in doubts])]
    assert (doubted[0], doubted[-1]) == pytest.approx((0.1, 0.1 + SETTLED), abs=0.002)


def test_random_places_are_never_believed(judge):
    places = np.random.default_rng(0).uniform(-1, 1, 5000)
    doubts = judge(np.concatenate(([5.0], places)), PERIOD * np.arange(5001))
    assert all(doubts[1:])


def test_turns_are_judged_too(make_pose):
    plausibility = Plausibility()
    assert not plausibility.doubt(0.0, make_pose())
    assert not plausibility.doubt(0.1, make_pose(yaw=0.4))
    assert "0.80 rad" in plausibility.doubt(0.11, make_pose(yaw=1.2))
