"""Says when something that should keep arriving does not."""


class Watchdog:
    """Messages are as old as their stamp says; the same stamp again is no news."""

    def __init__(self, what: str, max_age: float) -> None:
        self.what, self.max_age = what, max_age
        self._stamp: float | None = None
        self._time = 0.0

    def feed(self, stamp: float, now: float) -> None:
        if stamp != self._stamp:
            self._stamp = stamp
            self._time = min(stamp, now)  # a stamp in the future must not stay fresh for longer

    def age(self, now: float) -> float | None:
        return None if self._stamp is None else now - self._time

    def complaint(self, now: float) -> str | None:
        age = self.age(now)
        if age is None:
            return f"no {self.what} yet"
        if age > self.max_age:
            return f"newest {self.what} is {age:.2f} s old, limit {self.max_age:g} s"
        return None
