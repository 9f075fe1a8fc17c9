"""Which actions are taken at all: from one planner, in order, of the right frame and in time."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from vjepa_gate.conventions import check_action
from vjepa_gate.watchdog import CLOCK_TOLERANCE


class Refused(ValueError):
    """An action that is not carried out; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Delta:
    """vjepa_msgs/EndEffectorDelta, stamps in seconds."""

    action: Sequence[float]  # 7
    frame: str
    image_stamp: float
    sequence: int
    duration: float


class Admission:
    """Which actions are let in, by who sent them, when, and from which image."""

    def __init__(self, base_frame: str, max_image_age: float, max_duration: float) -> None:
        self._base_frame, self._max_image_age = base_frame, max_image_age
        self._max_duration = max_duration
        self._publisher: Hashable = None
        self._sequence = 0
        self._image_stamp = float("-inf")

    def forget_time(self) -> None:
        """After a step of the clock, an earlier image is no older one."""
        self._image_stamp = float("-inf")

    def check(self, delta: Delta, publishers: Sequence[Hashable], now: float) -> None:
        """Raises Refused. publishers are all that could have sent it."""
        if len(publishers) != 1:
            raise Refused(too_many(len(publishers)))
        known = publishers[0] == self._publisher
        last = self._sequence if known else 0
        if delta.sequence <= last:
            raise Refused(f"sequence {delta.sequence} after {last}: a doubled or late action")
        if known and delta.image_stamp < self._image_stamp:
            raise Refused("its image is older than that of the last action")
        if delta.frame != self._base_frame:
            raise Refused(f"frame_id is '{delta.frame}', expected '{self._base_frame}'")
        try:
            check_action(delta.action)
        except ValueError as error:
            raise Refused(str(error)) from error
        if not 0 <= delta.duration <= self._max_duration:
            raise Refused(
                f"duration is {delta.duration:g} s, expected 0 to {self._max_duration:g} s "
                "(max_command_age)"
            )
        age = now - delta.image_stamp
        if not -CLOCK_TOLERANCE <= age <= self._max_image_age:
            raise Refused(f"its image is {age:.2f} s old, limit {self._max_image_age:g} s")

    def admit(self, delta: Delta, publisher: Hashable) -> None:
        """What comes next must be later than this one."""
        self._publisher, self._sequence = publisher, delta.sequence
        self._image_stamp = delta.image_stamp


def too_many(planners: int) -> str:
    """Say that not one planner publishes actions, but so many."""
    return f"{planners} nodes publish actions, expected one"
