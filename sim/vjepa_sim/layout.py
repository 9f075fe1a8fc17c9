"""Where a seed puts the objects, and how the rest of the scene is drawn from it."""

from dataclasses import dataclass, replace

import numpy as np

from vjepa_sim import appearance
from vjepa_sim.objects import DISTRACTORS, KINDS, Body, draw_dimensions

ASPECTS = ("positions", "sizes", "colours", "textures", "light", "camera", "start")

Area = tuple[tuple[float, float], tuple[float, float]]
REACHABLE: Area = ((0.38, 0.60), (-0.20, 0.20))  # x and y where objects are put, metres
_AROUND: Area = ((0.28, 0.72), (-0.34, 0.34))  # where distractors are put
_CLEARANCE = 0.05  # metres between objects, room for a finger
_WIDE_CLEARANCE = 0.09  # around what may be taller than the palm is high in a grasp


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An object as it stands on the table at the reset."""

    name: str
    kind: str
    body: Body
    spot: tuple[float, float]
    yaw: float  # radians
    colour: appearance.Rgb


@dataclass(frozen=True)
class Seed:
    """One stream of random numbers per aspect: switching one leaves the others as they are."""

    number: int
    randomise: frozenset[str]

    def stream(self, aspect: str) -> np.random.Generator | None:
        """None where the aspect is not randomised."""
        if aspect not in self.randomise:
            return None
        return np.random.default_rng((self.number, ASPECTS.index(aspect)))


def place_objects(
    kinds: tuple[str, ...], yaw_limit: float, palette: appearance.Palette, seed: Seed
) -> list[Placed]:
    """The objects of the task; yaw_limit in degrees."""
    sizes, positions = seed.stream("sizes"), seed.stream("positions")
    paints = appearance.draw_colours(palette, len(kinds), seed.stream("colours"))
    placed: list[Placed] = []
    for index, (kind, colour) in enumerate(zip(kinds, paints, strict=True)):
        body = KINDS[kind].build(draw_dimensions(kind, sizes))
        if positions is None:
            spot, yaw = (0.50, 0.15 * (index - (len(kinds) - 1) / 2)), 0.0
        else:
            spot = free_spot(body.radius, REACHABLE, placed, positions)
            yaw = float(np.radians(positions.uniform(-yaw_limit, yaw_limit)))
        placed.append(Placed(name=kind, kind=kind, body=body, spot=spot, yaw=yaw, colour=colour))
    return placed


def place_distractors(
    count: int, palette: appearance.Palette, seed: int, placed: list[Placed]
) -> list[Placed]:
    """Things that no task is about, between those that are placed."""
    rng = np.random.default_rng((seed, len(ASPECTS)))
    added: list[Placed] = []
    for index, colour in enumerate(appearance.draw_colours(palette, count, rng)):
        kind = DISTRACTORS[rng.integers(len(DISTRACTORS))]
        body = KINDS[kind].build(draw_dimensions(kind, rng))
        spot = free_spot(body.radius, _AROUND, [*placed, *added], rng, _WIDE_CLEARANCE)
        yaw = float(rng.uniform(-np.pi, np.pi))
        name = f"distractor_{index}"
        added.append(Placed(name=name, kind=kind, body=body, spot=spot, yaw=yaw, colour=colour))
    return added


def rearranged(
    placed: list[Placed], yaw_limit: float, palette: appearance.Palette, rng: np.random.Generator
) -> list[Placed]:
    """The same things in other places and colours; yaw_limit in degrees, of those of a task."""
    moved: list[Placed] = []
    for thing, colour in zip(
        placed, appearance.draw_colours(palette, len(placed), rng), strict=True
    ):
        of_task = thing.name == thing.kind
        area, clearance = (REACHABLE, _CLEARANCE) if of_task else (_AROUND, _WIDE_CLEARANCE)
        spot = free_spot(thing.body.radius, area, moved, rng, clearance)
        most = np.radians(yaw_limit) if of_task else np.pi
        yaw = float(rng.uniform(-most, most))
        moved.append(replace(thing, spot=spot, yaw=yaw, colour=colour))
    return moved


def free_spot(
    radius: float,
    area: Area,
    placed: list[Placed],
    rng: np.random.Generator,
    clearance: float = _CLEARANCE,
) -> tuple[float, float]:
    """A random spot of the area that keeps clear of all that is placed."""
    low, high = np.array(area).T
    for _ in range(1000):
        x, y = rng.uniform(low, high).tolist()
        if all(
            np.hypot(x - other.spot[0], y - other.spot[1]) > radius + other.body.radius + clearance
            for other in placed
        ):
            return x, y
    raise ValueError(
        f"no room for {len(placed) + 1} objects on the table: ask for fewer objects or distractors"
    )
