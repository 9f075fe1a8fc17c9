"""What a person does in mid-task: the object is pushed away, or knocked out of the hand."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vjepa_sim.scene import Scene

_PUSH = (0.05, 0.10)  # metres
_PUSH_AT = 4  # steps into the approach
_FALL = (0.03, 0.06)  # metres beside the hand that has lost it
_CARRIED = 0.08  # metres under the object's foot
_REACHABLE = ((0.38, -0.20), (0.60, 0.20))  # corners of where it is left, metres
_STREAM = 3000  # of a seed's random numbers


def disturbing(name: str, scene: Scene) -> Callable[[int], None]:
    """What is to be called with the number of each step of a trial in this scene."""
    rng = np.random.default_rng((scene.seed, _STREAM))
    kinds: dict[str, Callable[[int], None]] = {
        "none": lambda step: None,
        "push": _Push(scene, rng),
        "drop": _Drop(scene, rng),
    }
    return kinds[name]


class _Push:
    """Moves the object along the table, once."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._scene, self._rng = scene, rng

    def __call__(self, step: int) -> None:
        if step == _PUSH_AT:
            push(self._scene, self._rng)


class _Drop:
    """Takes the object out of the hand and lays it beside, once, when it is carried."""

    def __init__(self, scene: Scene, rng: np.random.Generator) -> None:
        self._scene, self._rng, self._done = scene, rng, False

    def __call__(self, step: int) -> None:
        thing = self._scene.truth()[self._scene.placed[0].name]
        aloft = thing.position[2] - thing.body.height / 2 > _CARRIED
        if self._done or not aloft or "fingers" not in thing.touches:
            return
        self._done = True
        _lay(self._scene, thing.position[:2], _FALL, self._rng)


def push(scene: Scene, rng: np.random.Generator) -> None:
    """Move the object of the task along the table, as a person would; it stays within reach."""
    _lay(scene, scene.truth()[scene.placed[0].name].position[:2], _PUSH, rng)


def _lay(
    scene: Scene,
    place: NDArray[np.float64],
    distances: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """Somewhere at one of these distances around a place, within reach."""
    low, high = (np.array(corner) for corner in _REACHABLE)
    for _ in range(100):
        angle, way = rng.uniform(-np.pi, np.pi), rng.uniform(*distances)
        there = place + way * np.array((np.cos(angle), np.sin(angle)))
        if (there > low).all() and (there < high).all():
            break
    x, y = np.clip(there, low, high).tolist()
    scene.move_object(scene.placed[0].name, (x, y))
