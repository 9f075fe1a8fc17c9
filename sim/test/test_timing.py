"""Simulated time: rhythms without drift, stamps that never go back."""

import pytest

from vjepa_sim.ros import timing
from vjepa_sim.ros.timing import LONGEST_LEAP, Pace, Rhythm, Stamps


@pytest.mark.parametrize("rate", [0.1, 1.0, 7.0, 15.0, 30.0, 100.0, 239.0, 240.0])
def test_a_rhythm_beats_at_its_rate_for_minutes(rate):
    rhythm = Rhythm(rate)
    tick, beats, last = 0, 0, 300 * 240
    while rhythm.due < last:
        tick = rhythm.due
        assert rhythm.beats(tick)
        assert not rhythm.beats(tick)
        beats += 1
    assert beats == pytest.approx(300 * rate, abs=1)
    assert abs(tick - (beats - 1) * 240 / rate) <= 0.5


def test_stamps_go_on_at_a_reset():
    stamps = Stamps(wall=False)
    seen = []
    for ticks in (0, 1000, 3):
        stamps.restart(ticks)
        seen += [stamps.stamp(0), stamps.stamp(1)]
    nanoseconds = [stamp.sec * 10**9 + stamp.nanosec for stamp in seen]
    assert nanoseconds == sorted(set(nanoseconds))
    assert nanoseconds[0] == 10**9  # a stamp of zero means none


def test_wall_stamps_do_not_follow_a_clock_that_is_set_back(monkeypatch):
    stamps = Stamps(wall=True)
    stamp = stamps.stamp(0)
    monkeypatch.setattr(timing.time, "time_ns", lambda: 5)
    after = stamps.stamp(1)
    assert (after.sec, after.nanosec) == (stamp.sec, stamp.nanosec + 1)


def test_a_slow_machine_leaves_time_out(monkeypatch):
    now = 100.0
    monkeypatch.setattr(timing.time, "monotonic", lambda: now)
    pace = Pace(speed=2.0)
    now += 0.01
    assert pace.due() == (pytest.approx(0.02), 0.0)
    now += 5.0
    assert pace.due() == (LONGEST_LEAP, pytest.approx(10.0 - LONGEST_LEAP))
    assert pace.due() == (0.0, 0.0)
