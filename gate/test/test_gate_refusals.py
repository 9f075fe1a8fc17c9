"""Which actions the gate refuses, and that no others move the arm either."""

import math

import pytest

from vjepa_gate.admission import Refused
from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.watchdog import CLOCK_TOLERANCE


@pytest.mark.parametrize("name", ACTION_NAMES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 50.0])
def test_numbers_that_are_no_action(rig, name, value):
    with pytest.raises(Refused, match=r"NaN|metres|radians|closedness"):
        rig.send(**{name: value})


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"frame": "camera_optical_frame"}, "frame_id is 'camera_optical_frame', expected 'base'"),
        ({"frame": ""}, "frame_id is ''"),
        ({"age": 2.5}, "image is 2.50 s old, limit 2 s"),
        ({"age": -1.0}, "image is -1.00 s old"),
        ({"duration": math.nan}, "duration is nan s, expected 0 to 2 s"),
        ({"duration": -1.0}, "duration is -1 s"),
        ({"duration": 5.0}, "duration is 5 s"),
        ({"sequence": 0}, "sequence 0 after 0"),
        ({"publishers": (b"planner", b"other")}, "2 nodes publish actions, expected one"),
        ({"publishers": ()}, "0 nodes publish actions"),
    ],
)
def test_what_else_is_refused_and_counted(rig, how, why):
    with pytest.raises(Refused, match=why):
        rig.send(dx=0.05, **how)
    values = rig.status().values
    assert (values["accepted"], values["refused"]) == ("0", "1")
    assert why in values["last refusal"]
    assert rig.holds_still()
    rig.send(dx=0.05)  # and the next good one is carried out


def test_clocks_may_differ_a_little(rig):
    rig.send(dx=0.01, age=-0.9 * CLOCK_TOLERANCE)


def test_a_doubled_action_counts_once(rig):
    rig.send(dx=0.05, sequence=7)
    for late in (7, 6, 1):
        with pytest.raises(Refused, match=f"sequence {late} after 7: a doubled or late action"):
            rig.send(dx=0.05, sequence=late)
    rig.send(dx=0.05, sequence=9)


def test_an_action_from_an_older_image_comes_too_late(rig):
    rig.pass_time(0.5)
    rig.send(dx=0.05, age=0.1)
    with pytest.raises(Refused, match="older than that of the last action"):
        rig.send(dx=0.05, age=0.2)


def test_a_planner_that_was_restarted_counts_from_1_again(rig):
    rig.send(dx=0.05, sequence=1000)
    rig.send(dx=0.05, sequence=1, publishers=(b"planner, born again",))


def test_an_image_from_before_the_arm_was_seen(rig):
    with pytest.raises(Refused, match="pose at its image's time is not known"):
        rig.send(dx=0.05, age=1.0)
