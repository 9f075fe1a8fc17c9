"""Simulated time: when things are due, how it follows the wall clock, how it is stamped.

Time is counted in ticks, whole numbers, so that nothing drifts and two runs agree: those of
the physics, or thousandths of a second for robot fr3.
"""

import time

from builtin_interfaces.msg import Time

from vjepa_sim.scene import PHYSICS_RATE

LONGEST_LEAP = 0.2  # simulated seconds made up for at once, when the machine was too slow


class Rhythm:
    """Something that is due `rate` times a simulated second, the first time at once."""

    def __init__(self, rate: float, ticks: int = PHYSICS_RATE) -> None:
        """ticks are those of a second."""
        self._rate, self._ticks = rate, ticks
        self._count = 0

    @property
    def due(self) -> int:
        """The tick, counted from the reset."""
        return round(self._count * self._ticks / self._rate)

    def beats(self, tick: int) -> bool:
        """Whether it is due, once for each time."""
        if tick < self.due:
            return False
        self._count += 1
        return True

    def restart(self) -> None:
        self._count = 0


class Pace:
    """How much simulated time the wall clock asks for; what is too much at once is let go."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self.restart()

    def restart(self) -> None:
        self._last = time.monotonic()

    def due(self) -> tuple[float, float]:
        """Simulated seconds since the last call, and those that are given up."""
        now = time.monotonic()
        passed = (now - self._last) * self._speed
        self._last = now
        return min(passed, LONGEST_LEAP), max(0.0, passed - LONGEST_LEAP)


class Stamps:
    """Ticks since a reset to stamps that never go back, across resets too.

    In simulated time the first reset is at 1 s, because a stamp of 0 means none in ROS.
    """

    def __init__(self, *, wall: bool, ticks: int = PHYSICS_RATE) -> None:
        """ticks are those of a second."""
        self._wall, self._ticks = wall, ticks
        self._ticks_before = 0  # of the scenes before this one
        self._last = 0  # nanoseconds

    def restart(self, ticks: int) -> None:
        """A reset, that many ticks after the one before it."""
        self._ticks_before += ticks + self._ticks  # the clock moves on by a second

    def seconds(self, tick: int) -> float:
        """Simulated time, which passes in the same way with either kind of stamp."""
        return (self._ticks_before + tick) / self._ticks

    def stamp(self, tick: int, wall: int | None = None) -> Time:
        """wall: nanoseconds of the system's clock at that tick; None for now."""
        if self._wall:
            now = time.time_ns() if wall is None else wall
            self._last = max(now, self._last + 1)  # wall clocks may be set back
        else:
            self._last = (self._ticks_before + tick) * 1_000_000_000 // self._ticks
        return as_time(self._last)


def as_time(nanoseconds: int) -> Time:
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def as_nanoseconds(stamp: Time) -> int:
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def shifted(stamp: Time, seconds: float) -> Time:
    """As a clock that is ahead by that much tells it."""
    return as_time(max(0, as_nanoseconds(stamp) + round(1e9 * seconds))) if seconds else stamp
