"""Clips of what can happen in the simulation, and of what cannot, in IntPhys 2's pairing.

Of each kind there are two runs, whose objects go ways of their own: after a while one is pushed,
and the other is not. What the arm of one does with the object of the other cannot be. So every arm
and every object is seen as often in possible clips as in impossible ones: by itself neither tells.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.episodes.sensing import state_of
from vjepa_sim.expert import PERIOD, Waypoint, follow, grasp_path
from vjepa_sim.geometry import pointing_down
from vjepa_sim.layout import REACHABLE, free_spot
from vjepa_sim.robot import MAX_WIDTH
from vjepa_sim.scene import Arrangement, ObjectTruth, Scene
from vjepa_sim.tasks import GRASPABLE, make_task

AFTER = 8  # steps from where the runs part
_BEFORE = 12  # steps until then, of what vanishes or teleports
_WANDERING = 8  # steps before the arm goes to an object
_STREAM = 4000  # of a seed's random numbers
_ALOFT = ((0.36, -0.20, 0.20), (0.60, 0.20, 0.32))  # corners of where the tool wanders, metres
_AWAY = (50.0, 50.0, 0.0)  # where what has vanished is, metres
_JUMP = 0.10  # metres, of what teleports, at least
_BESIDE, _BEYOND, _OVER = 0.13, 0.08, 0.16  # metres, of the hand that pushes or passes over


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Frames a control step apart, and the arm's states."""

    frames: NDArray[np.uint8]  # [T, H, W, 3]
    states: Tensor  # [T, 7]
    parting: int  # the last frame that a pair shares


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The same arm with what can come of it, and with what cannot."""

    possible: Clip
    impossible: Clip


@dataclass(frozen=True, kw_only=True)
class _Moment:
    arrangement: Arrangement
    state: Tensor  # [7]


_Run = list[_Moment]


def pairs_of(kind: str, scene: Scene, seed: int) -> list[Pair]:
    """Both pairs of one kind, in the scene of this seed."""
    first, second = KINDS[kind](scene, seed)
    return [_pair(scene, first, second), _pair(scene, second, first)]


def _pair(scene: Scene, run: _Run, other: _Run) -> Pair:
    parting = len(run) - 1 - AFTER

    def shown(things: Iterable[_Moment], arm: Iterable[_Moment]) -> list[NDArray[np.uint8]]:
        frames = []
        for moment, thing in zip(arm, things, strict=True):
            scene.arrange(replace(moment.arrangement, objects=thing.arrangement.objects))
            frames.append(scene.render())
        return frames

    def clip(after: _Run) -> Clip:
        frames = np.stack(before + shown(after[parting + 1 :], run[parting + 1 :]))
        return Clip(frames=frames, states=states, parting=parting)

    states = torch.stack([moment.state for moment in run]).float()
    before = shown(run[: parting + 1], run[: parting + 1])
    return Pair(possible=clip(run), impossible=clip(other))


# --- what vanishes, or is elsewhere --------------------------------------------------------


def _vanishes(scene: Scene, seed: int) -> tuple[_Run, _Run]:
    """It is there, or it is not; it does not go at once, nor come from nowhere."""
    run, _, _ = _wandered(scene, seed, _BEFORE + AFTER)
    return run, _with_object_at(run, _AWAY)


def _teleports(scene: Scene, seed: int) -> tuple[_Run, _Run]:
    """It is here, or it is there, and not elsewhere at the next look."""
    run, thing, rng = _wandered(scene, seed, _BEFORE + AFTER)
    x, y, z = thing.position.tolist()
    while True:
        spot = free_spot(thing.body.radius, REACHABLE, [], rng)
        if np.hypot(spot[0] - x, spot[1] - y) > _JUMP:
            return run, _with_object_at(run, (*spot, z))


def _with_object_at(run: _Run, place: tuple[float, float, float]) -> _Run:
    def moved(moment: _Moment) -> _Moment:
        there = {
            name: (np.array(place), turned)
            for name, (_, turned) in moment.arrangement.objects.items()
        }
        return replace(moment, arrangement=replace(moment.arrangement, objects=there))

    return [moved(moment) for moment in run]


# --- what the hand does, and what it does not do ---------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Plot:
    """Where the arm goes first, and the two ways it goes on from there."""

    first: list[Waypoint]
    ways: tuple[list[Waypoint], list[Waypoint]]


def _passes_through(thing: ObjectTruth) -> _Plot:
    """Pushed along, or passed over; the hand does not go through it, nor does it go by itself."""
    x, y, z = thing.position
    away = 1.0 if y > 0 else -1.0  # from the middle: the arm reaches there
    grip = z - thing.body.height / 2 + thing.body.grip_height
    beside = Waypoint(
        name="beside",
        position=np.array((x, y - away * _BESIDE, grip)),
        quaternion_xyzw=pointing_down(),
        width=0.0,
    )
    beyond = _shifted(beside, y=away * (_BESIDE + _BEYOND))
    over = [_shifted(one, z=_OVER) for one in (beside, beyond)]
    return _Plot(first=[over[0], beside], ways=([beyond], over))


def _does_not_fall(thing: ObjectTruth) -> _Plot:
    """Let go it falls, held it does not."""
    *path, lifted = grasp_path(thing)
    return _Plot(first=[*path, lifted], ways=([replace(lifted, width=MAX_WIDTH)], []))


def _does_not_follow(thing: ObjectTruth) -> _Plot:
    """Gripped it comes along; open fingers leave it."""
    above, around, closed, lifted = grasp_path(thing)
    return _Plot(first=[above, around], ways=([closed, lifted], [replace(lifted, width=MAX_WIDTH)]))


def _shifted(waypoint: Waypoint, *, y: float = 0.0, z: float = 0.0) -> Waypoint:
    return replace(waypoint, position=waypoint.position + np.array((0.0, y, z)))


def _acted(plot: Callable[[ObjectTruth], _Plot]) -> Callable[[Scene, int], tuple[_Run, _Run]]:
    def run(scene: Scene, seed: int, way: int) -> _Run:
        run, thing, _ = _wandered(scene, seed, _WANDERING)
        acts = plot(thing)
        _record(run, scene, _along(scene, acts.first))
        _record(run, scene, islice(chain(_along(scene, acts.ways[way]), _stays(scene)), AFTER))
        return run

    return lambda scene, seed: (run(scene, seed, 0), run(scene, seed, 1))


KINDS: dict[str, Callable[[Scene, int], tuple[_Run, _Run]]] = {
    "vanishes": _vanishes,
    "teleports": _teleports,
    "passes_through": _acted(_passes_through),
    "does_not_fall": _acted(_does_not_fall),
    "does_not_follow": _acted(_does_not_follow),
}


# --- moving the arm ------------------------------------------------------------------------


def _wandered(scene: Scene, seed: int, steps: int) -> tuple[_Run, ObjectTruth, np.random.Generator]:
    """A scene of a single object with the tool wandering about above; where the object is."""
    rng = np.random.default_rng((seed, _STREAM))
    make_task("grasp", str(rng.choice(GRASPABLE))).start(scene, seed)
    run = [_now(scene)]
    _record(run, scene, islice(_wandering(scene, rng), steps))
    (thing,) = scene.truth().values()
    return run, thing, rng


def _wandering(scene: Scene, rng: np.random.Generator) -> Iterator[None]:
    while True:
        place = Waypoint(
            name="aloft",
            position=rng.uniform(*np.array(_ALOFT)),
            quaternion_xyzw=pointing_down(),
            width=MAX_WIDTH,
        )
        yield from follow(scene, place)


def _along(scene: Scene, path: Iterable[Waypoint]) -> Iterator[None]:
    return chain.from_iterable(follow(scene, waypoint) for waypoint in path)


def _stays(scene: Scene) -> Iterator[None]:
    while True:
        scene.step(PERIOD)
        yield


def _record(run: _Run, scene: Scene, steps: Iterator[None]) -> None:
    run += [_now(scene) for _ in steps]


def _now(scene: Scene) -> _Moment:
    return _Moment(arrangement=scene.arrangement(), state=state_of(scene.state()))
