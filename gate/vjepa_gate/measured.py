"""What is known of the arm: where it is, where it was, what mode it is in."""

from vjepa_gate.plausibility import Plausibility
from vjepa_gate.pose import Pose, PoseHistory, apart
from vjepa_gate.watchdog import Watchdog

# franka_msgs/FrankaRobotState: robot_mode.
MOVING_MODE = 2
MODES = {
    0: "other",
    1: "idle",
    2: "move",
    3: "guiding",
    4: "reflex",
    5: "user stop",
    6: "error recovery",
}
_REST, _STILL, _STILL_TURN = 0.5, 0.005, 0.03  # seconds in which an arm at rest moves less

# What a measured pose and TF may differ by and still be of one point.
SAME, SAME_TURN = 0.01, 0.05  # metres and radians


class MeasuredArm:
    """Poses that are late, doubled, from the future or implausible are no news of it."""

    def __init__(self, max_age: float, memory: float, *, watch_mode: bool) -> None:
        """Seconds that a pose or mode is good for, and that poses are remembered."""
        self.mode = MOVING_MODE
        self._max_age = max_age
        self._history, self._plausibility = PoseHistory(memory), Plausibility()
        self._pose_watch = Watchdog("measured pose", max_age)
        self._mode_watch = Watchdog("robot mode", max_age)
        self.watches = [self._pose_watch, *([self._mode_watch] if watch_mode else [])]
        self._fault = self._other_point = ""
        self.doubt = ""  # why the newest pose is not believed
        self.doubted: Pose | None = None  # that pose
        self._sources: list[str] = []
        self._rest_start: tuple[float, Pose] | None = None
        self.pose: Pose  # the newest that was believed, once there was one

    def forget(self) -> None:
        """After a step of the clock, what was measured before has no time any more."""
        for watch in self.watches:
            watch.forget()
        self._history.forget()
        self._plausibility.forget()
        self._rest_start = None
        self.doubt, self.doubted = "", None

    def observe_pose(self, pose: Pose, stamp: float, now: float) -> None:
        """Note a pose, if an arm can have it."""
        if not self._pose_watch.is_news(stamp, now):
            return
        self.doubt = self._fault = self._plausibility.doubt(stamp, pose)
        self.doubted = pose if self.doubt else None
        if self.doubt:
            return
        self._pose_watch.feed(stamp, now)
        self._history.add(stamp, pose)
        self.pose = pose
        if self._rest_start is None or _moved(self._rest_start[1], pose):
            self._rest_start = stamp, pose

    def observe_bad_pose(self, why: str) -> None:
        """A pose that cannot be used: it is no news of the arm."""
        self._fault = why

    def observe_sources(self, names: list[str]) -> None:
        """Who publishes measured poses: of two, none is right."""
        self._sources = names

    def observe_tool(self, pose: Pose, stamp: float, tool_frame: str) -> bool:
        """Where TF says that the tool was; whether that is what was measured then."""
        measured = self._history.at(stamp, self._max_age)
        if measured is None:
            return False
        way, turn = apart(measured, pose)
        self._other_point = ""
        if way > SAME or turn > SAME_TURN:
            self._other_point = (
                f"the measured pose {_place(measured)} is {way:.3f} m and {turn:.2f} rad from "
                f"{tool_frame} in TF {_place(pose)}: give both the same point, the robot's own "
                "end effector frame or tool_frame"
            )
        return not self._other_point

    def observe_mode(self, mode: int, stamp: float, now: float) -> None:
        """Note the robot's mode."""
        self.mode = mode
        self._mode_watch.feed(stamp, now)

    def pose_at(self, stamp: float) -> Pose | None:
        """Give the pose at a time, None where it is not known."""
        return self._history.at(stamp, self._max_age)

    def at_rest(self, now: float) -> bool:
        """Tell whether the arm has stood still for a while."""
        return self._rest_start is not None and now - self._rest_start[0] >= _REST

    def complaints(self, now: float) -> list[str]:
        """Why nothing can be said of the arm, or nothing may be sent to it."""
        reasons = [complaint for watch in self.watches if (complaint := watch.complaint(now))]
        if reasons and self._fault:
            reasons.append(self._fault)
        if self.mode != MOVING_MODE:
            reasons.append(f"the robot is in mode {MODES.get(self.mode, self.mode)}")
        if len(self._sources) > 1:
            reasons.append(
                f"{len(self._sources)} nodes publish the measured pose, expected one: "
                f"{', '.join(self._sources)}"
            )
        if self._other_point:
            reasons.append(self._other_point)
        return reasons


def _moved(start: Pose, pose: Pose) -> bool:
    way, turn = apart(start, pose)
    return way > _STILL or turn > _STILL_TURN


def _place(pose: Pose) -> str:
    x, y, z = pose.position
    return f"({x:.3f}, {y:.3f}, {z:.3f})"
