"""A smooth stream of targets towards a goal, never outside its limits.

Every step changes the velocity by no more than the acceleration allows, and is only taken
if braking straight afterwards would keep the tool in the workspace and its tilt in bounds;
else the step is to brake, which the step before has made safe. So the limits hold whatever
goals come, and whenever.

Targets lie on a time grid, one a period. A late caller skips one, and what it sends still has
the speed and the acceleration that its stamps say; what it misses beyond that is not made good:
the arm has stood at the last target meanwhile, and must not be pulled over the whole way at once.
"""

import math
from dataclasses import dataclass

import numpy as np

from vjepa_gate.limits import shortened, tilt
from vjepa_gate.pose import Pose, apart
from vjepa_gate.robots import Limits
from vjepa_gate.rotations import between, from_vector, multiply, z_axis

# The controller has seen an unchanged target for so long that the arm stands still.
_STALL = 0.1  # seconds
MADE_GOOD = 2  # periods' way, at most, from one target to the next
_SLOWEST = 0.1  # of full speed
_STILL = 1e-6  # m/s and rad/s
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Target:
    """What the arm is told at one moment."""

    stamp: float  # seconds
    pose: Pose
    velocity: np.ndarray  # (3,) m/s
    turn_velocity: np.ndarray  # (3,) rad/s about the base axes


class TargetStream:
    """Starts at rest in a pose that is within the limits.

    settle is the time constant, in seconds, of the last bit of way: None for targets that
    are reached exactly, longer than the arm's latency where measured poses close the loop.
    """

    def __init__(
        self, limits: Limits, period: float, start: Pose, now: float, settle: float | None = None
    ) -> None:
        self._limits, self._period, self._settle = limits, period, settle or period
        self._commanded: Pose | None = None  # beside a measured pose
        self._stamp, self._pose = now, start
        self._stop()
        self._goal: Pose | None = None
        self._speed, self._turn_speed = limits.speed, limits.turn_speed

    @property
    def pose(self) -> Pose:
        """Of the last target."""
        return self._pose

    @property
    def at_rest(self) -> bool:
        """Whether it stands still."""
        speeds = (*self._velocity.tolist(), *self._turn_velocity.tolist())
        return max(map(abs, speeds)) <= _STILL

    @property
    def has_goal(self) -> bool:
        """Whether it heads for a goal."""
        return self._goal is not None

    def as_told_to_turn(self, measured: Pose) -> Pose:
        """The measured pose, with the turn that is headed for, or stood at, if it only lags."""
        told = Pose(measured.position, (self._goal or self._pose).rotation)
        return told if apart(told, measured)[1] <= self._limits.turn_lag else measured

    def aim(self, goal: Pose, duration: float) -> None:
        """Go there, in that many seconds or as soon as the limits allow."""
        limits = self._limits
        way = goal.position - self._pose.position
        turn = between(self._pose.rotation, goal.rotation)
        self._goal = goal
        self._speed = _cruise(way, duration, limits.speed, limits.acceleration)
        self._turn_speed = _cruise(turn, duration, limits.turn_speed, limits.turn_acceleration)

    def hold(self) -> None:
        """Brake, and stay."""
        self._goal = None

    def correct(self, measured: Pose, commanded: Pose) -> None:
        """Go on from where the arm is: for controllers that take velocities.

        commanded is where it is if it did all that it was told, in case what is measured is
        wrong: that too must stay within the limits.
        """
        self._pose, self._commanded = measured, commanded

    def advance(self, now: float) -> Target:
        """The newest target that is due."""
        if abs(now - self._stamp) > _STALL:  # also a clock that was set
            self._stamp = now
            self._stop()
        steps = int((now - self._stamp) / self._period + _ROUNDING)
        if steps > MADE_GOOD:
            steps, self._stamp = MADE_GOOD, now - MADE_GOOD * self._period
        for _ in range(steps):
            self._velocity, self._turn_velocity = self._next_velocity(), self._next_turn_velocity()
            self._step(self._velocity * self._period, self._turn_velocity * self._period)
        self._stamp += max(0, steps) * self._period
        return Target(self._stamp, self._pose, self._velocity, self._turn_velocity)

    def _stop(self) -> None:
        self._velocity = self._turn_velocity = np.zeros(3)

    def _next_velocity(self) -> np.ndarray:
        limits = self._limits
        if self._goal is not None:
            offset = self._goal.position - self._pose.position
            towards = self._approach(self._velocity, offset, self._speed, limits.acceleration)
            if self._stays_inside(towards):
                return towards
        return _braked(self._velocity, limits.acceleration * self._period)

    def _next_turn_velocity(self) -> np.ndarray:
        limits = self._limits
        if self._goal is not None:
            towards = self._approach(
                self._turn_velocity,
                between(self._pose.rotation, self._goal.rotation),
                self._turn_speed,
                limits.turn_acceleration,
            )
            if self._stays_upright(towards):
                return towards
        return _braked(self._turn_velocity, limits.turn_acceleration * self._period)

    def _step(self, way: np.ndarray, turn: np.ndarray) -> None:
        turned = from_vector(turn)
        self._pose = Pose(self._pose.position + way, multiply(turned, self._pose.rotation))
        if self._commanded is not None:
            position, rotation = self._commanded.position, self._commanded.rotation
            self._commanded = Pose(position + way, multiply(turned, rotation))

    def _approach(
        self, velocity: np.ndarray, offset: np.ndarray, cruise: float, acceleration: float
    ) -> np.ndarray:
        """The next velocity, on the way to stand still at the offset."""
        period = self._period
        distance = math.sqrt(offset @ offset)
        # Solves s²/2a + s·period/2 = distance: this step, then braking by a·period a step.
        half = acceleration * period / 2
        braking = math.sqrt(half * half + 2 * acceleration * distance) - half
        speed = min(cruise, braking, distance / self._settle)
        wanted = offset * (speed / distance) if distance > 0 else offset
        return velocity + shortened(wanted - velocity, acceleration * period)

    def _stays_inside(self, velocity: np.ndarray) -> bool:
        """Whether a step at this velocity, and braking from it, end in the workspace."""
        limits = self._limits
        way = self._period + _braking_time(velocity, limits.acceleration, self._period)
        for start in self._places():
            for at, speed, low, high in zip(
                start.position.tolist(),
                velocity.tolist(),
                limits.workspace_low,
                limits.workspace_high,
                strict=True,
            ):
                end = at + speed * way
                # An arm that has left it, pushed or late, may always move inwards.
                too_high = speed > 0 and end > high + _ROUNDING
                if too_high or (speed < 0 and end < low - _ROUNDING):
                    return False
        return True

    def _stays_upright(self, velocity: np.ndarray) -> bool:
        """Whether the tilt is allowed at each moment of the step and of braking from it."""
        limits = self._limits
        rate = math.sqrt(velocity @ velocity)
        if rate == 0:
            return True
        way = self._period + _braking_time(velocity, limits.turn_acceleration, self._period)
        about = (velocity / rate).tolist()
        for start in self._places():
            axis = z_axis(start.rotation)
            allowed = max(limits.max_tilt, tilt(axis))  # a tool that leans too far may come back
            if _greatest_tilt(axis, about, rate * way) > allowed + _ROUNDING:
                return False
        return True

    def _places(self) -> tuple[Pose, ...]:
        """Where the arm may be."""
        return (self._pose,) if self._commanded is None else (self._pose, self._commanded)


def _braked(velocity: np.ndarray, change: float) -> np.ndarray:
    return shortened(velocity, max(0.0, math.sqrt(velocity @ velocity) - change))


def _braking_time(velocity: np.ndarray, acceleration: float, period: float) -> float:
    """Way over velocity, in seconds, from now to rest, braking by a·period in each period."""
    speed, change = math.sqrt(velocity @ velocity), acceleration * period
    steps = math.floor(speed / change)
    return period * steps * (1 - change * (steps + 1) / (2 * speed)) if steps else 0.0


def _cruise(way: np.ndarray, duration: float, fastest: float, acceleration: float) -> float:
    """The speed at which speeding up, going on and braking take that long."""
    distance = math.sqrt(way @ way)
    # Solves distance/s + s/a = duration.
    slack = duration * duration - 4 * distance / acceleration
    if slack < 0:
        return fastest
    speed = acceleration * (duration - math.sqrt(slack)) / 2
    return min(fastest, max(speed, _SLOWEST * fastest))  # what overshoots must come back


def _greatest_tilt(
    axis: tuple[float, float, float], about: tuple[float, float, float], angle: float
) -> float:
    """Of the tool's axis, on its way when it is turned by the angle about a unit vector."""
    (x, y, z), (u, v, w) = axis, about
    # How far down it points, turned by t: still + swing·cos(t - phase), by Rodrigues' formula.
    still = -w * (u * x + v * y + w * z)
    cosine, sine = -z - still, v * x - u * y
    swing, phase = math.hypot(cosine, sine), math.atan2(sine, cosine)
    if (math.pi + phase) % (2 * math.pi) <= angle:
        down = still - swing
    else:
        down = min(-z, still + swing * math.cos(angle - phase))
    return math.acos(max(-1.0, min(1.0, down)))
