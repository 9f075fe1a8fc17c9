"""Whether a recorded stream of targets kept its limits, from nothing but what was sent."""

import numpy as np
from scipy.spatial.transform import Rotation

from vjepa_gate.robots import Limits

# After such a gap, in seconds, the stream starts anew, at rest where the arm is then.
STALL = 0.1
# After so many periods it goes on as it was, but has not made good what it missed.
_LATE = 2

_ROUNDING = 1e-6
_SPEED_SLACK, _ACCELERATION_SLACK = 1.001, 1.01  # stamps are rounded to fractions of a µs


def violations(
    stamps: np.ndarray,
    positions: np.ndarray,
    quaternions: np.ndarray,
    limits: Limits,
    period: float = 0.01,
) -> list[str]:
    """What was outside the limits, empty if nothing was: seconds [T], [T, 3], xyzw [T, 4].

    Speeds are differences of what was sent, accelerations differences of those. Over a gap,
    however long, the way is that of two periods at most.
    """
    periods = np.diff(stamps)
    numbers = np.hstack((stamps[:, None], positions, quaternions))
    if not np.isfinite(numbers).all() or (periods <= 0).any():
        return ["numbers that are not finite, or stamps that do not increase"]
    rotations = Rotation.from_quat(quaternions)
    down = -rotations.apply((0.0, 0.0, 1.0))[:, 2]
    measured = {
        "metres below the workspace": ((limits.workspace_low - positions).max(), 0.0),
        "metres above the workspace": ((positions - limits.workspace_high).max(), 0.0),
        "tilt": (np.arccos(np.clip(down, -1, 1)).max(), limits.max_tilt),
    }
    found = [
        _excess(name, *pair) for name, pair in measured.items() if pair[0] > pair[1] + _ROUNDING
    ]

    ways = np.diff(positions, axis=0)
    turnings = (rotations[1:] * rotations[:-1].inv()).as_rotvec()
    gapless = periods <= STALL
    prompt = periods <= _LATE * period * _SPEED_SLACK
    awake = prompt[1:] & prompt[:-1]
    counted = np.minimum(periods, _LATE * period)  # a stall is made good no further
    velocities, turns = ways / counted[:, None], turnings / counted[:, None]
    # Rotation vectors of unequal periods do not add up.
    even = awake & np.isclose(periods[1:], periods[:-1], rtol=1e-3)
    for name, rates, speed, acceleration, fair in (
        ("", velocities, limits.speed, limits.acceleration, awake),
        ("turn_", turns, limits.turn_speed, limits.turn_acceleration, even),
    ):
        fastest = _longest(rates[gapless])
        changes = np.diff(rates, axis=0) / ((periods[1:] + periods[:-1]) / 2)[:, None]
        sharpest = _longest(changes[fair])
        if fastest > speed * _SPEED_SLACK:
            found.append(_excess(f"{name}speed", fastest, speed))
        if sharpest > acceleration * _ACCELERATION_SLACK:
            found.append(_excess(f"{name}acceleration", sharpest, acceleration))
    return found


def _longest(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=1).max(initial=0.0))


def _excess(name: str, found: float, limit: float) -> str:
    return f"{name} {found:.4g}, limit {limit:g}"
