"""What a simulation knows and a recording shows: labels that latents are trained to tell."""

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.episodes.episode import Trajectory

# Which of several things a picture is asked for: the first of these kinds that is there.
_ORDER = ("cube", "box", "cup")
_LIKE = {"box": "block"}  # what a camera may take for the other


def object_of_the_task(trajectory: Trajectory) -> NDArray[np.float64]:
    """Where the object that a task would be about is, and 1 where the fingers touch it [T, 4].

    NaN where that cannot be told from a picture: no such thing there, or two that look alike.
    """
    kinds = _kinds(trajectory)
    for kind in _ORDER:
        alike = [name for name, other in kinds.items() if other in (kind, _LIKE.get(kind))]
        if not alike:
            continue
        if len(alike) > 1:
            break
        (name,) = alike
        untold = np.full(len(trajectory), np.nan)
        held = trajectory.truth.get(f"{name}/held", untold)
        return np.column_stack((trajectory.truth[f"{name}/position"], held))
    return np.full((len(trajectory), 4), np.nan)


def is_about_it(trajectory: Trajectory) -> bool:
    """Is the task of a recording about the very object that `object_of_the_task` tells? True where
    nobody knows.
    """
    true = trajectory.truth.get(f"{trajectory.provenance.get('object')}/position")
    return true is None or np.array_equal(true, object_of_the_task(trajectory)[:, :3])


def _kinds(trajectory: Trajectory) -> dict[str, str]:
    """The kind of each thing whose place was recorded, by its name."""
    suffix = "/position"
    names = [name.removesuffix(suffix) for name in trajectory.truth if name.endswith(suffix)]
    told = {one["name"]: one["kind"] for one in trajectory.provenance.get("objects", ())}
    return {name: told.get(name, name) for name in names}
