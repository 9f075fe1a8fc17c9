"""What goes wrong in laboratories, on request: parameters of the robot node, at run time.

ros2 param set /vjepa_sim_robot fault.camera_drop 0.3
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from vjepa_sim.ros.parameters import setting

PREFIX = "fault."

Message = TypeVar("Message")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """All of them can be set together; none is the default."""

    camera_freeze: bool = setting(False, "the driver repeats its last picture, with new stamps")
    camera_drop: float = setting(
        0.0, "share of the pictures that are lost; 1 stops the camera", low=0.0, high=1.0
    )
    camera_delay: float = setting(
        0.0, "seconds that pictures come late, stamped when they were taken", low=0.0, high=10.0
    )
    camera_noise: float = setting(
        0.0, "standard deviation of the noise in grey levels of 0 to 255", low=0.0, high=128.0
    )
    camera_black: bool = setting(False, "pictures are black, as with the lens cap on")
    camera_wrong_size: bool = setting(
        False, "pictures have half the width and height that camera_info tells"
    )
    state_stop: bool = setting(False, "no tool pose and no joint states, as if a cable were out")
    gripper_refuse: bool = setting(False, "the hand rejects all goals")
    gripper_slip: bool = setting(False, "the fingers have no force to hold anything")
    controller_reject: bool = setting(False, "the arm's controller takes no target pose")
    arm_reflex: bool = setting(
        False, "the arm stops and takes no target pose until error_recovery is called"
    )
    user_stop: bool = setting(False, "the user stop is pressed; robot fr3 only")
    pose_offset: float = setting(
        0.0, "metres in x that the measured pose is wrong by", low=-2.0, high=2.0
    )
    pose_freeze: bool = setting(False, "the measured pose repeats itself, with new stamps")
    clock_offset: float = setting(
        0.0, "seconds that the robot's clock, not the camera's, is ahead", low=-100.0, high=100.0
    )
    message_duplicate: float = setting(
        0.0, "share of states and pictures that arrive twice", low=0.0, high=1.0
    )
    message_reorder: float = setting(
        0.0,
        "share of states and pictures that arrive after the one that follows",
        low=0.0,
        high=1.0,
    )


class PictureFaults:
    """Spoils pictures as the faults say; remembers the last one, to freeze at."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng((seed, 0))
        self._last: np.ndarray | None = None

    def lost(self, faults: Faults) -> bool:
        return _happens(faults.camera_drop, self._rng)

    def spoil(self, rgb: np.ndarray, faults: Faults) -> np.ndarray:
        """uint8 RGB [H, W, 3] in and out."""
        if faults.camera_freeze and self._last is not None:
            return self._last
        if faults.camera_black:
            rgb = np.zeros_like(rgb)
        if faults.camera_noise > 0:
            noise = self._rng.normal(0, faults.camera_noise, rgb.shape)
            rgb = (rgb + noise).round().clip(0, 255).astype(np.uint8)
        if faults.camera_wrong_size:
            rgb = np.ascontiguousarray(rgb[::2, ::2])
        self._last = rgb
        return rgb


class Line(Generic[Message]):
    """One topic's way out of the node, on which messages come late, twice or in a new order."""

    def __init__(self, publish: Callable[[Message], None], *seed: int) -> None:
        self._publish = publish
        self._rng = np.random.default_rng(seed)
        self._travelling: deque[tuple[float, Message]] = deque()  # when they arrive
        self._overtaken: Message | None = None

    def send(self, message: Message, now: float, faults: Faults, delay: float = 0.0) -> None:
        """Times are simulated seconds."""
        self._travelling.append((now + delay, message))
        self.arrive(now, faults)

    def arrive(self, now: float, faults: Faults) -> None:
        """Publish what has travelled long enough."""
        while self._travelling and self._travelling[0][0] <= now:
            self._deliver(self._travelling.popleft()[1], faults)

    def _deliver(self, message: Message, faults: Faults) -> None:
        if self._overtaken is None and _happens(faults.message_reorder, self._rng):
            self._overtaken = message
            return
        for _ in range(2 if _happens(faults.message_duplicate, self._rng) else 1):
            self._publish(message)
        if self._overtaken is not None:
            self._publish(self._overtaken)
            self._overtaken = None


def _happens(probability: float, rng: np.random.Generator) -> bool:
    return probability > 0 and rng.random() < probability
