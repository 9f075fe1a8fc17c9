"""Whether a measured pose can be: an arm moves, it does not jump."""

from vjepa_gate.pose import Pose, apart

FASTEST, FASTEST_TURN = 2.0, 6.0  # m/s and rad/s; an arm led by hand stays well below
_NOISE, _TURN_NOISE = 0.01, 0.05  # metres and radians between two poses of an arm at rest
SETTLED = 0.5  # seconds for which poses at another place must agree, to be believed after all


class Plausibility:
    """Judges each pose by the one before it.

    After a jump, poses that go on from it are doubted, too: a glitch lasts longer than one
    message. If they agree for SETTLED seconds, it was the earlier place that was wrong.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, with the next pose."""
        self._believed: tuple[float, Pose] | None = None
        self._doubted: tuple[float, Pose] | None = None
        self._doubted_since = 0.0

    def doubt(self, stamp: float, pose: Pose) -> str:
        """Why the pose is not believed, or nothing. Stamps must increase."""
        new = stamp, pose
        goes_on = self._doubted is not None and _reachable(self._doubted, new)
        if goes_on and stamp - self._doubted_since < SETTLED:
            self._doubted = new
        elif self._believed is None or goes_on or _reachable(self._believed, new):
            self._believed, self._doubted = new, None
            return ""
        else:
            self._doubted, self._doubted_since = new, stamp
        assert self._believed is not None
        then, known = self._believed
        way, turn = apart(pose, known)
        return (
            f"measured poses jumped by {way:.2f} m and {turn:.2f} rad within {stamp - then:.2f} s, "
            "faster than an arm can move"
        )


def _reachable(start: tuple[float, Pose], end: tuple[float, Pose]) -> bool:
    seconds = min(end[0] - start[0], SETTLED)  # after a longer gap, poses must agree first
    way, turn = apart(end[1], start[1])
    return way <= FASTEST * seconds + _NOISE and turn <= FASTEST_TURN * seconds + _TURN_NOISE
