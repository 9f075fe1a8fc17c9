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
FLOOR_HEIGHT = -0.75
_ROOM = np.array(((-1.2, -2.2, FLOOR_HEIGHT), (3.2, 2.2, 1.9)))
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
        rays = camera.rays()  # [H, W, 3], of length 1 along the optical axis
        eye = camera.pose[:3, 3].astype(np.float32)
        depth, axis, side = _leave_box(eye, rays, _ROOM)
        points = eye + depth[..., None] * rays
        rgb = np.empty_like(points)
        floor = (axis == 2) & (side == 0)
        _colour(rgb, floor, self._floor, points[..., 0], points[..., 1], self._lit((0, 0, 1)))
        for wall_axis in (0, 1):
            for wall_side in (0, 1):
                seen = (axis == wall_axis) & (side == wall_side)
                normal = np.zeros(3)
                normal[wall_axis] = 1 - 2 * wall_side
                along, height = points[..., 1 - wall_axis], points[..., 2]
                _colour(rgb, seen, self._wall, along, height, self._lit(normal))
                self._hang_panels(rgb, seen, wall_axis, wall_side, along, height, normal)
        rgb[(axis == 2) & (side == 1)] = 240.0

        entry, entry_axis = _enter_box(eye, rays, TABLE)
        hit = entry < depth
        depth = np.where(hit, entry, depth)
        points = eye + depth[..., None] * rays
        top = hit & (entry_axis == 2)
        edge = hit & ~top
        _colour(rgb, top, self._table, points[..., 0], points[..., 1], self._lit((0, 0, 1)))
        _colour(rgb, edge, self._table, points[..., 0], points[..., 1], 0.5 * self._lit((1, 0, 0)))
        return rgb, depth, top.astype(np.float32)

    def shade(self) -> np.ndarray:
        """What is left of the table's colour where the lamp is hidden, per channel."""
        return self.light.ambient / self._lit((0, 0, 1)).max() * np.ones(3, np.float32)

    def _lit(self, normal: tuple[float, float, float] | np.ndarray) -> np.ndarray:
        lamp = np.array(self.light.direction)
        slant = max(0.0, float(np.dot(normal, lamp / np.linalg.norm(lamp))))
        brightness = self.light.ambient + self.light.diffuse * slant
        return (brightness * np.array(self.light.colour)).astype(np.float32)

    def _hang_panels(
        self,
        rgb: np.ndarray,
        seen: np.ndarray,
        axis: int,
        side: int,
        along: np.ndarray,
        height: np.ndarray,
        normal: np.ndarray,
    ) -> None:
        for panel in self._panels:
            if (panel.axis, panel.side) != (axis, side):
                continue
            inside = np.minimum(
                np.minimum(along - panel.low[0], panel.high[0] - along),
                np.minimum(height - panel.low[1], panel.high[1] - height),
            )
            lit = 255 * self._lit(normal)
            rgb[seen & (inside > 0)] = 0.55 * panel.colour * lit
            rgb[seen & (inside > 0.02)] = panel.colour * lit


class _Covering:
    """A surface's tile, ready to be looked up by metres."""

    def __init__(self, surface: Surface, period: float, rng: np.random.Generator) -> None:
        self._tile = textures.tile(surface.texture, rng)
        self._tint = 255 * np.array(surface.tint, np.float32)
        self._scale = textures.SIZE / period

    def colour(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Colours [H, W, 3] at the points (u, v) [H, W] in metres."""
        columns = np.mod(u * self._scale, textures.SIZE).astype(np.float32)
        rows = np.mod(v * self._scale, textures.SIZE).astype(np.float32)
        brightness = cv2.remap(
            self._tile, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        return brightness[..., None] * self._tint


def _colour(
    rgb: np.ndarray,
    mask: np.ndarray,
    covering: _Covering,
    u: np.ndarray,
    v: np.ndarray,
    lit: np.ndarray,
) -> None:
    if mask.any():
        rgb[mask] = (covering.colour(u, v) * lit)[mask]


def _draw_panel(rng: np.random.Generator) -> _Panel:
    axis, side = (0, 0) if rng.random() < 0.6 else (1, int(rng.integers(2)))
    size = rng.uniform((0.3, 0.4), (1.0, 1.0))
    low = np.array((rng.uniform(-1.4, 1.4 - size[0]), rng.uniform(-0.6, 0.5)))
    grey = rng.uniform(0.35, 0.92)
    colour = np.clip(grey + rng.uniform(-0.06, 0.06, 3), 0, 1).astype(np.float32)
    return _Panel(axis, side, low, low + size, colour)


def _plane_distances(
    eye: np.ndarray, rays: np.ndarray, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances along the rays [H, W, 3] to each axis' nearer and farther face of a box."""
    inverse = 1 / np.where(np.abs(rays) < 1e-9, 1e-9, rays)
    low, high = (box[0] - eye) * inverse, (box[1] - eye) * inverse
    return np.minimum(low, high), np.maximum(low, high)


def _leave_box(
    eye: np.ndarray, rays: np.ndarray, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where rays from inside a box leave it: distance, axis of the face, its side (0 low)."""
    _, far = _plane_distances(eye, rays, box)
    axis = far.argmin(-1)
    distance = np.take_along_axis(far, axis[..., None], -1)[..., 0]
    side = np.take_along_axis(rays, axis[..., None], -1)[..., 0] > 0
    return distance.astype(np.float32), axis, side.astype(int)


def _enter_box(eye: np.ndarray, rays: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays from outside a box meet it: distance (inf where not) and axis of the face."""
    near, far = _plane_distances(eye, rays, box)
    axis = near.argmax(-1)
    entry = near.max(-1)
    missed = (entry > far.min(-1)) | (entry <= 0)
    return np.where(missed, np.inf, entry).astype(np.float32), axis
