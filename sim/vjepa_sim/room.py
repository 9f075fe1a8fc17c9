"""The table and the room around it, drawn by casting a ray through every pixel.

What does not move is drawn so and not by PyBullet: a fixed camera needs it once a reset, and
the frame rate is left to what moves.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vjepa_sim import textures
from vjepa_sim.appearance import Light, RoomLook, Surface
from vjepa_sim.cameras import Camera

TABLE = np.array(((-0.30, -0.75, -0.04), (0.95, 0.75, 0.0)))  # opposite corners, metres
TABLE_TOP = np.float32(TABLE[1, 2])
FLOOR_HEIGHT = -0.75
_ROOM = np.array(((-1.2, -2.2, FLOOR_HEIGHT), (3.2, 2.2, 1.9)))
_CEILING = 240.0
_PANELS = 4  # cupboards, boards and posters on the walls


@dataclass(frozen=True)
class Backdrop:
    """A picture of the room without robot and objects."""

    rgb: np.ndarray  # float32 [H, W, 3], 0..255
    depth: np.ndarray  # float32 [H, W], metres along the optical axis
    table: np.ndarray  # float32 [H, W], 1 where the table top is seen


@dataclass(frozen=True)
class _Panel:
    """A framed rectangle on a wall: axis and side of the wall, extent, colours."""

    axis: int
    side: int
    low: np.ndarray  # (2,) along the wall and height
    high: np.ndarray
    colour: np.ndarray

    def paint(
        self,
        rgb: np.ndarray,
        wall: np.ndarray,
        along: np.ndarray,
        height: np.ndarray,
        lit: np.ndarray,
    ) -> None:
        inside = np.minimum(
            np.minimum(along - self.low[0], self.high[0] - along),
            np.minimum(height - self.low[1], self.high[1] - height),
        )
        rgb[wall & (inside > 0)] = 0.55 * 255 * self.colour * lit
        rgb[wall & (inside > 0.02)] = 255 * self.colour * lit


class Room:
    def __init__(self, look: RoomLook, light: Light, rng: np.random.Generator) -> None:
        self.light = light
        self._table = _Covering(look.table, 0.9, rng)
        self._wall = _Covering(look.wall, 1.4, rng)
        self._floor = _Covering(look.floor, 1.0, rng)
        self._panels = [_draw_panel(rng) for _ in range(_PANELS)]

    def backdrop(self, camera: Camera, smooth: bool) -> Backdrop:
        """What the camera sees of the room; smooth takes four rays a pixel."""
        rgb, depth, table = self._cast(camera)
        if smooth:
            fine, _, fine_table = self._cast(camera.scaled(2))
            size = (camera.width, camera.height)
            rgb = cv2.resize(fine, size, interpolation=cv2.INTER_AREA)
            table = cv2.resize(fine_table, size, interpolation=cv2.INTER_AREA)
        return Backdrop(rgb, depth, table)

    def _cast(self, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        eye, rays = camera.pose[:3, 3].astype(np.float32), camera.rays()
        depth = (TABLE_TOP - eye[2]) / rays[2]
        x, y = (eye[axis] + depth * rays[axis] for axis in (0, 1))
        top = (depth > 0) & _between(x, TABLE[:, 0]) & _between(y, TABLE[:, 1])
        rgb = self._table.colour(x, y, self._lit((0, 0, 1)))
        if not top.all():  # the wrist camera seldom sees anything else
            depth = np.where(top, depth, self._cast_around(eye, rays, rgb, ~top))
        return rgb, depth, top.astype(np.float32)

    def _cast_around(
        self, eye: np.ndarray, rays: np.ndarray, rgb: np.ndarray, around: np.ndarray
    ) -> np.ndarray:
        """Colour what is not table top: its edges and the room; returns the depth [H, W]."""
        entry, leave = _cross_box(eye, rays, TABLE)
        edge = around & (entry < leave) & (entry > 0)
        depth = self._cast_room(eye, rays, rgb, around & ~edge)
        depth = np.where(edge, entry, depth)
        x, y = (eye[axis] + depth * rays[axis] for axis in (0, 1))
        _colour(rgb, edge, self._table, x, y, 0.5 * self._lit((1, 0, 0)))
        return depth

    def _cast_room(
        self, eye: np.ndarray, rays: np.ndarray, rgb: np.ndarray, open_view: np.ndarray
    ) -> np.ndarray:
        """Colour floor, ceiling and walls; returns their depth [H, W]."""
        faces = [_cross_axis(eye[axis], rays[axis], _ROOM[:, axis])[1] for axis in range(3)]
        depth = np.minimum(np.minimum(faces[0], faces[1]), faces[2])
        x, y, height = (eye[axis] + depth * rays[axis] for axis in range(3))
        flat = open_view & (depth == faces[2])
        _colour(rgb, flat, self._floor, x, y, self._lit((0, 0, 1)))
        rgb[flat & (rays[2] > 0)] = _CEILING
        for axis, along in ((0, y), (1, x)):
            for side in (0, 1):
                seen = open_view & (depth == faces[axis]) & ((rays[axis] > 0) == side)
                normal = np.zeros(3)
                normal[axis] = 1 - 2 * side
                lit = self._lit(normal)
                _colour(rgb, seen, self._wall, along, height, lit)
                for panel in self._panels:
                    if (panel.axis, panel.side) == (axis, side):
                        panel.paint(rgb, seen, along, height, lit)
        return depth

    def shade(self) -> np.ndarray:
        """What is left of the table's colour where the lamp is hidden, per channel."""
        return self.light.ambient / self._lit((0, 0, 1)).max() * np.ones(3, np.float32)

    def _lit(self, normal: tuple[float, float, float] | np.ndarray) -> np.ndarray:
        lamp = np.array(self.light.direction)
        slant = max(0.0, float(np.dot(normal, lamp / np.linalg.norm(lamp))))
        brightness = self.light.ambient + self.light.diffuse * slant
        return (brightness * np.array(self.light.colour)).astype(np.float32)


class _Covering:
    """A surface's tile, ready to be looked up by metres."""

    def __init__(self, surface: Surface, period: float, rng: np.random.Generator) -> None:
        self._tile = textures.tile(surface.texture, rng)
        self._tint = 255 * np.array(surface.tint, np.float32)
        self._scale = np.float32(textures.SIZE / period)

    def colour(self, u: np.ndarray, v: np.ndarray, lit: np.ndarray) -> np.ndarray:
        """Colours [H, W, 3] in the light at the points (u, v) [H, W] in metres."""
        columns, rows = u * self._scale, v * self._scale
        brightness = cv2.remap(
            self._tile, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        return brightness[..., None] * (self._tint * lit)


def _colour(
    rgb: np.ndarray,
    mask: np.ndarray,
    covering: _Covering,
    u: np.ndarray,
    v: np.ndarray,
    lit: np.ndarray,
) -> None:
    if mask.any():
        np.copyto(rgb, covering.colour(u, v, lit), where=mask[..., None])


def _draw_panel(rng: np.random.Generator) -> _Panel:
    axis, side = (0, 0) if rng.random() < 0.6 else (1, int(rng.integers(2)))
    size = rng.uniform((0.3, 0.4), (1.0, 1.0))
    low = np.array((rng.uniform(-1.4, 1.4 - size[0]), rng.uniform(-0.6, 0.5)))
    grey = rng.uniform(0.35, 0.92)
    colour = np.clip(grey + rng.uniform(-0.06, 0.06, 3), 0, 1).astype(np.float32)
    return _Panel(axis, side, low, low + size, colour)


def _cross_axis(eye: float, ray: np.ndarray, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances [H, W] at which rays enter and leave the slab between two parallel planes."""
    inverse = 1 / np.where(np.abs(ray) < 1e-9, np.float32(1e-9), ray)
    low, high = (np.float32(limit - eye) * inverse for limit in limits)
    return np.minimum(low, high), np.maximum(low, high)


def _cross_box(eye: np.ndarray, rays: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances [H, W] at which rays enter and leave a box; they miss it if entry > leave."""
    (x0, x1), (y0, y1), (z0, z1) = (
        _cross_axis(eye[axis], rays[axis], box[:, axis]) for axis in range(3)
    )
    return np.maximum(np.maximum(x0, y0), z0), np.minimum(np.minimum(x1, y1), z1)


def _between(values: np.ndarray, limits: np.ndarray) -> np.ndarray:
    return (values > limits[0]) & (values < limits[1])
