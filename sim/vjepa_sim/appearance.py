"""What a scene looks like: colours, surfaces and light, drawn from a seed.

There are two palettes without a common colour or surface. `train` is for collecting data,
`held_out` for asking what a model does with colours and tables that it has never seen. `broad`
is `train` with objects of any colour, that of a table too, but those of `held_out`.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """The name of a tile (textures.py) and the colour that it is multiplied with."""

    texture: str
    tint: Rgb


@dataclass(frozen=True, kw_only=True)
class Palette:
    objects: tuple[Rgb, ...]
    tables: tuple[Surface, ...]
    walls: tuple[Surface, ...]
    floors: tuple[Surface, ...]


# The first of each is what a scene shows when it is not randomised.
PALETTES = {
    "train": Palette(
        objects=(
            (0.10, 0.30, 0.70),
            (0.75, 0.12, 0.12),
            (0.10, 0.50, 0.22),
            (0.90, 0.75, 0.12),
            (0.88, 0.88, 0.86),
            (0.15, 0.15, 0.17),
        ),
        tables=(
            Surface("wood", (0.80, 0.62, 0.42)),
            Surface("wood", (0.50, 0.34, 0.22)),
            Surface("laminate", (0.78, 0.78, 0.76)),
            Surface("laminate", (0.46, 0.50, 0.54)),
            Surface("cloth", (0.24, 0.36, 0.30)),
        ),
        walls=(
            Surface("plaster", (0.80, 0.79, 0.75)),
            Surface("plaster", (0.66, 0.72, 0.76)),
            Surface("plaster", (0.58, 0.56, 0.52)),
        ),
        floors=(
            Surface("laminate", (0.42, 0.42, 0.42)),
            Surface("laminate", (0.56, 0.52, 0.46)),
        ),
    ),
    "held_out": Palette(
        objects=(
            (0.50, 0.18, 0.58),
            (0.10, 0.62, 0.64),
            (0.92, 0.52, 0.62),
            (0.48, 0.30, 0.16),
        ),
        tables=(
            Surface("concrete", (0.62, 0.60, 0.57)),
            Surface("bamboo", (0.86, 0.76, 0.54)),
            Surface("concrete", (0.30, 0.34, 0.42)),
        ),
        walls=(
            Surface("brick", (0.66, 0.44, 0.36)),
            Surface("brick", (0.80, 0.80, 0.78)),
        ),
        floors=(Surface("concrete", (0.36, 0.38, 0.36)),),
    ),
}


def _broad() -> Palette:
    """Colours all over, and low contrasts; none within reach of a held-out one's."""
    train, held_out = PALETTES["train"], PALETTES["held_out"]
    tables = [table.tint for table in train.tables]
    levels = (0.12, 0.36, 0.60, 0.84)
    grid: list[Rgb] = [(red, green, blue) for red, green, blue in product(levels, repeat=3)]
    colours: tuple[Rgb, ...] = (*train.objects, *tables, *grid)
    unseen = np.array(held_out.objects)
    apart = [np.linalg.norm(unseen - colour, axis=1).min() for colour in np.array(colours)]
    far = tuple(colour for colour, gap in zip(colours, apart, strict=True) if gap > _APART)
    return replace(train, objects=far)


_APART = 0.2  # between a colour and every held-out one; both are drawn up to 0.06 a channel off
PALETTES["broad"] = _broad()


@dataclass(frozen=True, kw_only=True)
class RoomLook:
    table: Surface
    wall: Surface
    floor: Surface


@dataclass(frozen=True, kw_only=True)
class Light:
    """The renderer's one lamp, far away, plus what comes from everywhere."""

    direction: tuple[float, float, float] = (0.6, -0.9, 1.8)  # from the table to the lamp
    colour: Rgb = (1.0, 0.98, 0.95)
    ambient: float = 0.55
    diffuse: float = 0.50
    specular: float = 0.15


def draw_colours(palette: Palette, count: int, rng: np.random.Generator | None) -> list[Rgb]:
    """Colours of as many objects, all different while the palette lasts; a little off each."""
    if rng is None:
        return [palette.objects[i % len(palette.objects)] for i in range(count)]
    order = rng.permutation(len(palette.objects))
    colours = []
    for index in range(count):
        base = np.array(palette.objects[order[index % len(order)]])
        colours.append(tuple(np.clip(base + rng.uniform(-0.06, 0.06, 3), 0, 1).tolist()))
    return colours


def draw_room(palette: Palette, rng: np.random.Generator | None) -> RoomLook:
    def pick(surfaces: tuple[Surface, ...]) -> Surface:
        if rng is None:
            return surfaces[0]
        surface = surfaces[rng.integers(len(surfaces))]
        tint = np.clip(np.array(surface.tint) * rng.uniform(0.9, 1.1), 0, 1)
        return Surface(surface.texture, tuple(tint.tolist()))

    return RoomLook(
        table=pick(palette.tables), wall=pick(palette.walls), floor=pick(palette.floors)
    )


def draw_light(rng: np.random.Generator | None) -> Light:
    if rng is None:
        return Light()
    around, up = rng.uniform(-np.pi, np.pi), rng.uniform(1.2, 2.6)
    warmth = rng.uniform(-0.06, 0.06)
    return Light(
        direction=(float(np.cos(around)), float(np.sin(around)), float(up)),
        colour=(float(min(1.0, 0.97 + warmth)), 0.96, float(min(1.0, 0.97 - warmth))),
        ambient=float(rng.uniform(0.50, 0.65)),
        diffuse=float(rng.uniform(0.40, 0.60)),
        specular=float(rng.uniform(0.05, 0.25)),
    )
