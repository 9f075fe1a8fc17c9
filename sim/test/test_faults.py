"""What can go wrong with pictures and messages, without ROS."""

import numpy as np
import pytest

from vjepa_sim.faults import Faults, Line, PictureFaults

GREY = np.full((8, 10, 3), 100, np.uint8)


def sent_through(faults: Faults, count: int, seed: int = 0) -> list[int]:
    arrived: list[int] = []
    line = Line[int](arrived.append, seed)
    for number in range(count):
        line.send(number, float(number), faults)
    return arrived


def test_a_healthy_line_is_none():
    assert sent_through(Faults(), 20) == list(range(20))


@pytest.mark.parametrize("seed", range(5))
def test_reordering_loses_nothing_and_moves_by_one(seed):
    arrived = sent_through(Faults(message_reorder=0.4), 100, seed)
    assert arrived != sorted(arrived)
    assert sorted(arrived)[:99] == list(range(99))  # the last may still be held back
    assert max(abs(place - number) for place, number in enumerate(arrived)) <= 1


def test_chances_are_those_of_the_seed():
    faults = Faults(message_reorder=0.4, message_duplicate=0.4)
    assert sent_through(faults, 50, seed=1) == sent_through(faults, 50, seed=1)
    assert sent_through(faults, 50, seed=1) != sent_through(faults, 50, seed=2)


def test_a_delay_keeps_the_order_and_the_clock_decides():
    arrived: list[str] = []
    line = Line[str](arrived.append, 0)
    line.send("slow", 0.0, Faults(), delay=1.0)
    line.send("quick", 0.1, Faults())
    assert arrived == []
    line.arrive(0.9, Faults())
    assert arrived == []
    line.arrive(1.0, Faults())
    assert arrived == ["slow", "quick"]


def test_the_first_picture_cannot_be_frozen():
    faults = PictureFaults(seed=0)
    frozen = Faults(camera_freeze=True)
    assert (faults.spoil(GREY, frozen) == GREY).all()
    assert (faults.spoil(GREY // 2, frozen) == GREY).all()


def test_faults_add_up_and_leave_the_original_alone():
    both = Faults(camera_black=True, camera_wrong_size=True)
    spoilt = PictureFaults(seed=0).spoil(GREY, both)
    assert spoilt.shape == (4, 5, 3)
    assert not spoilt.any()
    assert (GREY == 100).all()


def test_noise_stays_in_range():
    bright = np.full((64, 64, 3), 250, np.uint8)
    noisy = PictureFaults(seed=0).spoil(bright, Faults(camera_noise=30.0))
    assert noisy.dtype == np.uint8
    assert noisy.max() == 255
    assert noisy.min() > 100  # nothing has wrapped around
