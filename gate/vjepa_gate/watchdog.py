"""Says when something that should keep arriving does not, or arrives without news."""

from collections.abc import Hashable

import numpy as np

CLOCK_TOLERANCE = 0.05  # seconds that a stamp may lie in the future


class Watchdog:
    """Messages are as old as their stamp says; one that is not later than the last is no news.

    Neither is one from the future: what it tells may be long past, by a clock that is wrong.
    """

    def __init__(self, what: str, max_age: float) -> None:
        self.what, self.max_age = what, max_age
        self.forget()

    def forget(self) -> None:
        """Begin anew: after a step of the clock, ages mean nothing."""
        self._stamp: float | None = None
        self._time = self._ahead = 0.0

    def is_news(self, stamp: float, now: float) -> bool:
        """Tell whether a stamp is later than those before and not of the future."""
        self._ahead = stamp - now
        late = self._stamp is not None and stamp <= self._stamp
        return self._ahead <= CLOCK_TOLERANCE and not late

    def feed(self, stamp: float, now: float) -> bool:
        """Whether a message with that stamp is news."""
        if not self.is_news(stamp, now):
            return False
        self._stamp = stamp
        self._time = min(stamp, now)  # a stamp in the future must not stay fresh for longer
        return True

    def age(self, now: float) -> float | None:
        """Give the seconds since the last news, None before the first."""
        return None if self._stamp is None else now - self._time

    def complaint(self, now: float) -> str | None:
        """Say what is wrong, None where nothing is."""
        age = self.age(now)
        if age is not None and age <= self.max_age:
            return None
        if self._ahead > CLOCK_TOLERANCE:
            return (
                f"the {self.what} is stamped {self._ahead:.2f} s ahead of this clock: "
                "synchronise the clocks"
            )
        if age is None:
            return f"no {self.what} yet"
        return f"newest {self.what} is {age:.2f} s old, limit {self.max_age:g} s"


class FrozenCamera:
    """A camera that looks at a moving arm and still shows the same, pixel by pixel.

    At rest nothing may change, in simulation; a real camera's noise makes each picture new.
    """

    _FAR = 0.02  # metres that the tool cannot move unseen

    def __init__(self) -> None:
        self._fingerprint: Hashable = None
        self._start = np.zeros(3)
        self._moved = 0.0  # at most, since the picture changed

    def feed(self, fingerprint: Hashable, tool: np.ndarray) -> None:
        """tool is its position (3,) when the picture was taken."""
        if fingerprint != self._fingerprint:
            self._fingerprint, self._start, self._moved = fingerprint, tool, 0.0
        self._moved = max(self._moved, float(np.linalg.norm(tool - self._start)))

    def complaint(self) -> str | None:
        """Say that the picture is frozen, None where it is not."""
        if self._moved <= self._FAR:
            return None
        return (
            f"the camera image has not changed while the tool moved {self._moved:.2f} m: "
            "is the camera frozen?"
        )
