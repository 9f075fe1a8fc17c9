"""When the simulated arm acts and is looked at, as on the robot."""

from collections.abc import Callable

from torch import Tensor

from vjepa_ros.evaluation.arm import SETTLE, GatedArm
from vjepa_ros.planning.overlap import MOST_LEAD


class Pace:
    """Without overlap the arm rests after each action, and on while the next is planned.

    With it, the next step is planned ahead while the arm acts, and the arm is looked at so long
    before the action ends as the last correction took: the next one follows at once.

    In real time the simulation goes on while it is planned, for as many seconds as that takes by
    the clock; else planning takes no time.
    """

    def __init__(
        self,
        arm: GatedArm,
        period: float,
        *,
        overlap: bool,
        real_time: bool,
        clock: Callable[[], float],
    ) -> None:
        self._arm, self._period = arm, period
        self._overlap, self._real_time, self._clock = overlap, real_time, clock
        self._lead = self._acting = 0.0
        self._start, self._end = arm.time, arm.time  # of the task, and of the action under way

    def think(self) -> None:
        """From now on it is planned."""
        self._began = self._clock()

    def thought(self, *, ahead: bool) -> float:
        """It was planned, from a plan ahead or anew; the seconds that this took."""
        seconds = self._clock() - self._began
        if self._real_time:
            self._arm.rest(seconds)
            if ahead:
                self._lead = min(seconds, MOST_LEAD * self._period)
        return seconds

    def act(self, action: Tensor) -> None:
        """Begin an action; from now on it is planned ahead."""
        self._arm.begin(action, self._period)
        now = self._arm.time
        self._acting += self._period - max(0.0, self._end - now)
        self._end = now + self._period
        self.think()

    def wait(self) -> None:
        """Until the arm is looked at again."""
        look = self._end + SETTLE
        if self._overlap:
            look = self._end - self._lead
        spent = self._clock() - self._began if self._real_time and self._overlap else 0.0
        self._arm.rest(max(look - self._arm.time, spent))

    @property
    def idle(self) -> float:
        """The share of the time so far in which no action was under way."""
        passed = self._arm.time - self._start
        left = max(0.0, self._end - self._arm.time)
        return 1 - (self._acting - left) / passed if passed else 0.0
