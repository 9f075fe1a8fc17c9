"""Pinhole cameras: where they stand, what they see, and where a point falls in the picture.

A camera's optical frame follows REP 103: z forward, x right, y down. Pixel (0, 0) is the
centre of the upper left pixel, as in sensor_msgs/CameraInfo and OpenCV.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from vjepa_sim.geometry import rotation_about

NEAR, FAR = 0.03, 6.0  # metres


@dataclass(frozen=True, kw_only=True)
class Viewpoint:
    """A fixed camera, by where it is and what it looks at (metres in the base frame)."""

    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    field_of_view: float = 34.0  # degrees, vertical


# 'exterior' is where DROID puts its left camera, close enough for the gripper to fill the crop.
VIEWPOINTS = {
    "exterior": Viewpoint(eye=(1.35, -0.35, 0.70), target=(0.49, 0.0, 0.17)),
    "exterior_right": Viewpoint(eye=(1.30, 0.45, 0.70), target=(0.49, 0.0, 0.17)),
    "front": Viewpoint(eye=(1.50, 0.0, 0.60), target=(0.45, 0.0, 0.17)),
    "side": Viewpoint(eye=(0.50, -1.10, 0.55), target=(0.49, 0.0, 0.17)),
    "top": Viewpoint(eye=(0.62, 0.0, 1.30), target=(0.48, 0.0, 0.0), field_of_view=40.0),
    "overview": Viewpoint(eye=(1.60, -1.00, 1.00), target=(0.32, 0.0, 0.22), field_of_view=40.0),
}
WRIST = "wrist"
CAMERAS = (*VIEWPOINTS, WRIST)

_WRIST_EYE = (0.085, 0.0, -0.075)  # metres in the tool frame: before the hand, like a D405
_WRIST_TILT = math.radians(25)  # from along the fingers towards their tips
WRIST_FIELD_OF_VIEW = 60.0  # degrees


@dataclass(frozen=True, kw_only=True)
class Displacement:
    """How far a camera has been moved from where everybody believes it to be."""

    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)  # metres, base axes
    rotation: tuple[float, float, float] = (0.0, 0.0, 0.0)  # degrees about base axes
    orbit: float = 0.0  # degrees about the vertical through what it looks at


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Intrinsics and pose of one camera at one moment."""

    name: str
    width: int
    height: int
    field_of_view: float  # degrees, vertical
    pose: np.ndarray  # (4, 4) optical frame in the base frame

    @property
    def fixed(self) -> bool:
        return self.name != WRIST

    @property
    def intrinsics(self) -> np.ndarray:
        """K (3, 3) in pixels."""
        focal = self.height / 2 / math.tan(math.radians(self.field_of_view) / 2)
        return np.array(
            (
                (focal, 0.0, (self.width - 1) / 2),
                (0.0, focal, (self.height - 1) / 2),
                (0.0, 0.0, 1.0),
            )
        )

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the base frame to pixels (..., 2): column, row; NaN if behind."""
        rotation, eye = self.pose[:3, :3], self.pose[:3, 3]
        seen = (np.asarray(points, float) - eye) @ rotation
        depth = np.where(seen[..., 2:] > NEAR, seen[..., 2:], np.nan)
        pixels = (seen / depth) @ self.intrinsics.T
        return pixels[..., :2]

    def rays(self) -> np.ndarray:
        """Directions float32 [3, H, W] in the base frame, of length 1 along the optical axis."""
        (focal, _, centre_x), (_, _, centre_y) = self.intrinsics[:2]
        right, down, forward = self.pose[:3, :3].T.astype(np.float32)[..., None, None]
        across = ((np.arange(self.width) - centre_x) / focal).astype(np.float32)
        along = ((np.arange(self.height) - centre_y) / focal).astype(np.float32)
        return right * across + down * along[:, None] + forward

    def scaled(self, factor: int) -> "Camera":
        """The same camera with that many times the pixels each way."""
        return replace(self, width=factor * self.width, height=factor * self.height)

    def view_matrix(self) -> list[float]:
        """World to OpenGL eye (x right, y up, z back), column-major."""
        flipped = self.pose.copy()
        flipped[:3, 1:3] *= -1
        return np.linalg.inv(flipped).T.ravel().tolist()

    def projection_matrix(self) -> list[float]:
        """OpenGL perspective, column-major."""
        scale = 1 / math.tan(math.radians(self.field_of_view) / 2)
        matrix = np.zeros((4, 4))
        matrix[0, 0] = scale * self.height / self.width
        matrix[1, 1] = scale
        matrix[2, 2:] = (FAR + NEAR) / (NEAR - FAR), 2 * FAR * NEAR / (NEAR - FAR)
        matrix[3, 2] = -1
        return matrix.T.ravel().tolist()


def look_at(eye: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The pose (4, 4) of an optical frame at eye that looks at target, the horizon level."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack((right, np.cross(forward, right), forward), 1)
    pose[:3, 3] = eye
    return pose


def displaced(viewpoint: Viewpoint, pose: np.ndarray, displacement: Displacement) -> np.ndarray:
    """The pose after the displacement: first the orbit, then the turn, then the move."""
    pose = pose.copy()
    around = np.array(viewpoint.target)
    orbit = rotation_about(np.radians((0.0, 0.0, displacement.orbit)))
    pose[:3, 3] = around + orbit @ (pose[:3, 3] - around) + displacement.translation
    turn = rotation_about(np.radians(displacement.rotation))
    pose[:3, :3] = turn @ orbit @ pose[:3, :3]
    return pose


def jittered(viewpoint: Viewpoint, rng: np.random.Generator) -> Viewpoint:
    """The same viewpoint as someone else would have mounted it: ±3 cm, ±1.5 cm, ±1°."""
    eye = np.array(viewpoint.eye) + rng.uniform(-0.03, 0.03, 3)
    target = np.array(viewpoint.target) + rng.uniform(-0.015, 0.015, 3)
    return replace(
        viewpoint,
        eye=tuple(eye),
        target=tuple(target),
        field_of_view=viewpoint.field_of_view + rng.uniform(-1, 1),
    )


def wrist_pose(position: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """The wrist camera's pose (4, 4) for a tool pose (rotation is 3×3)."""
    tool = np.eye(4)
    tool[:3, :3], tool[:3, 3] = rotation, position
    return tool @ _WRIST_MOUNT


def _wrist_mount() -> np.ndarray:
    """The optical frame in the tool frame: its up is away from the hand."""
    cosine, sine = math.cos(_WRIST_TILT), math.sin(_WRIST_TILT)
    mount = np.eye(4)
    mount[:3, 0] = 0, 1, 0
    mount[:3, 1] = -cosine, 0, -sine
    mount[:3, 2] = -sine, 0, cosine
    mount[:3, 3] = _WRIST_EYE
    return mount


_WRIST_MOUNT = _wrist_mount()
