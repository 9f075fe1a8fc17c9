"""Simulated time: when things are due, how it follows the wall clock, how it is stamped.

Time is counted in ticks of the physics, 1/240 s: whole numbers, so that nothing drifts and
two runs agree.
"""

import time

from builtin_interfaces.msg import Time

from vjepa_sim.scene import PHYSICS_RATE

LONGEST_LEAP = 0.2  # simulated seconds made up for at once, when the machine was too slow
_BREAK = PHYSICS_RATE  # ticks that the clock moves on at a reset


class Rhythm:
    """Something that is due `rate` times a simulated second, the first time at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._count = 0

    @property
    def due(self) -> int:
        """The tick, counted from the reset."""
        return round(self._count * PHYSICS_RATE / self._rate)

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

    def __init__(self, *, wall: bool) -> None:
        self._wall = wall
        self._ticks_before = 0  # of the scenes before this one
        self._last = 0  # nanoseconds

    def restart(self, ticks: int) -> None:
        """A reset, that many ticks after the one before it."""
        self._ticks_before += ticks + _BREAK

    def seconds(self, tick: int) -> float:
        """Simulated time, which passes in the same way with either kind of stamp."""
        return (self._ticks_before + tick) / PHYSICS_RATE

    def stamp(self, tick: int) -> Time:
        if self._wall:
            nanoseconds = max(time.time_ns(), self._last + 1)  # wall clocks may be set back
        else:
            nanoseconds = (self._ticks_before + tick) * 1_000_000_000 // PHYSICS_RATE
        self._last = nanoseconds
        return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)
