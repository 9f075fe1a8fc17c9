"""What is watched beside the arm, and makes it hold: fingers, camera, deadman, other nodes."""

from collections.abc import Hashable

from vjepa_gate.admission import too_many
from vjepa_gate.gate_config import GateConfig
from vjepa_gate.pose import Pose
from vjepa_gate.watchdog import FrozenCamera, Watchdog


class Surroundings:
    """Is told what arrives, and asked why the arm must stay where it is."""

    def __init__(self, config: GateConfig) -> None:
        self._fingers = Watchdog("finger position", config.max_state_age)
        self._camera = Watchdog("camera image", config.max_camera_age)
        self.watches = [self._fingers, self._camera]
        self._deadman = Watchdog("deadman signal", config.max_deadman_age)
        self._needs_deadman, self._pressed = config.deadman, False
        self._frozen_camera = FrozenCamera()
        self._planners = 0

    def forget(self) -> None:
        """After a step of the clock, what was observed before has no time any more."""
        for watch in (*self.watches, self._deadman):
            watch.forget()

    def observe_fingers(self, stamp: float, now: float) -> None:
        """Note that their position was told."""
        self._fingers.feed(stamp, now)

    def observe_image(
        self, stamp: float, fingerprint: Hashable, tool: Pose | None, now: float
    ) -> None:
        """Note a picture, and where the tool was then, if that is known."""
        self._camera.feed(stamp, now)
        if tool is not None:
            self._frozen_camera.feed(fingerprint, tool.position)

    def observe_deadman(self, pressed: bool, now: float) -> None:
        """Take news of the deadman's button."""
        self._pressed = pressed
        self._deadman.feed(now, now)

    def observe_planners(self, count: int) -> None:
        """How many nodes publish actions: of two, none is right."""
        self._planners = count

    def holds(self, now: float) -> list[str]:
        """Why the arm must stay where it is."""
        found = [watch.complaint(now) for watch in self.watches]
        found.append(self._frozen_camera.complaint())
        if self._planners > 1:
            found.append(too_many(self._planners))
        if self._needs_deadman:
            released = None if self._pressed else "the deadman is released"
            found.append(self._deadman.complaint(now) or released)
        return [reason for reason in found if reason]
