"""Pictures: PyBullet draws what moves, over the room that was drawn once, with shadows between.

A shadow is the outline of a convex piece thrown along the light onto the table. It is what
shows in one picture how high the gripper hovers.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import pybullet

from vjepa_sim.appearance import Light
from vjepa_sim.bullet import Bullet
from vjepa_sim.cameras import FAR, NEAR, Camera
from vjepa_sim.geometry import quaternion_to_matrix
from vjepa_sim.room import Backdrop, Room

_PENUMBRA = 0.012  # blur of a shadow, as a share of the picture's height
# Rows that are drawn at least; a smaller picture is averaged from them. Jagged edges can make the
# latents of places 4 mm apart differ as much as those of places 2 cm apart.
_ROWS = 256
_FRACTION_BITS = 4  # of the pixel coordinates given to OpenCV


@dataclass(frozen=True)
class ShadowCaster:
    body: int
    link: int  # -1 is the base
    points: np.ndarray  # [N, 3] of a convex piece, in the frame of body or link


class Renderer:
    """Draws one scene; made anew when the scene is reset."""

    def __init__(self, bullet: Bullet, room: Room, casters: list[ShadowCaster]) -> None:
        self._bullet = bullet
        self._room = room
        self._casters = casters
        self._backdrops: dict[tuple[str, int, int], Backdrop] = {}

    def set_light(self, light: Light) -> None:
        self._room.light = light
        self._backdrops.clear()

    def render(self, camera: Camera) -> np.ndarray:
        """A picture, uint8 RGB [H, W, 3]."""
        backdrop = self._backdrop(camera)
        shadow = self._shadow(camera) * backdrop.table
        dimming = 1 - shadow[..., None] * (1 - self._room.shade())
        behind = (backdrop.rgb * dimming).clip(0, 255)
        moving, cover = self._draw_moving(camera, backdrop.depth)
        return (moving + (1 - cover[..., None]) * behind).round().astype(np.uint8)

    def _backdrop(self, camera: Camera) -> Backdrop:
        if not camera.fixed:
            return self._room.backdrop(camera, smooth=False)
        key = (camera.name, camera.width, camera.height)
        if key not in self._backdrops:
            self._backdrops[key] = self._room.backdrop(camera, smooth=True)
        return self._backdrops[key]

    def _draw_moving(self, camera: Camera, behind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Robot and objects on black, RGB float32 [H, W, 3], and how much of each pixel they
        cover [H, W], 0..1. What is further away than `behind` [H, W], in metres, is hidden.
        """
        finer = math.ceil(_ROWS / camera.height)
        rgb, depth = self._draw(camera.scaled(finer))
        furthest = behind.repeat(finer, 0).repeat(finer, 1) + 0.01
        seen = (depth < furthest)[..., None].astype(np.float32)
        layer = np.concatenate((rgb * seen, seen), -1)
        size = (camera.width, camera.height)
        averaged = cv2.resize(layer, size, interpolation=cv2.INTER_AREA)
        return averaged[..., :3], averaged[..., 3]

    def _draw(self, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
        """RGB [H, W, 3] of robot and objects, and depth [H, W] in metres: inf where neither."""
        light = self._room.light
        _, _, rgba, buffer, _ = self._bullet.getCameraImage(
            camera.width,
            camera.height,
            camera.view_matrix(),
            camera.projection_matrix(),
            lightDirection=light.direction,
            lightColor=light.colour,
            lightAmbientCoeff=light.ambient,
            lightDiffuseCoeff=light.diffuse,
            lightSpecularCoeff=light.specular,
            shadow=0,
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
        )
        rgb = np.asarray(rgba, np.uint8).reshape(camera.height, camera.width, 4)[..., :3]
        buffer = np.asarray(buffer, np.float32).reshape(camera.height, camera.width)
        depth = FAR * NEAR / (FAR - (FAR - NEAR) * np.minimum(buffer, 1))
        return rgb, np.where(buffer < 1, depth, np.inf)

    def _shadow(self, camera: Camera) -> np.ndarray:
        """How much of the lamp's light is kept from each pixel's spot on the table, 0..1."""
        mask = np.zeros((camera.height, camera.width), np.uint8)
        pieces = [self._world_points(caster) for caster in self._casters]
        points = np.concatenate(pieces)
        lamp = np.array(self._room.light.direction)
        points[:, :2] -= points[:, 2:] * (lamp[:2] / lamp[2])
        points[:, 2] = 0.0
        pixels = camera.project(points)
        far_outside = 10 * max(camera.width, camera.height)
        for outline in np.split(pixels, np.cumsum([len(piece) for piece in pieces])[:-1]):
            # NaN, behind the camera, fails the comparison too.
            if np.abs(outline).max() < far_outside:
                fixed_point = np.round(outline * 2**_FRACTION_BITS).astype(np.int32)
                hull = cv2.convexHull(fixed_point)
                cv2.fillConvexPoly(mask, hull, 255, cv2.LINE_AA, _FRACTION_BITS)
        blur = max(0.6, _PENUMBRA * camera.height)
        return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), blur)

    def _world_points(self, caster: ShadowCaster) -> np.ndarray:
        if caster.link < 0:
            position, quaternion = self._bullet.getBasePositionAndOrientation(caster.body)
        else:
            position, quaternion = self._bullet.getLinkState(caster.body, caster.link)[4:6]
        return caster.points @ quaternion_to_matrix(np.array(quaternion)).T + position
