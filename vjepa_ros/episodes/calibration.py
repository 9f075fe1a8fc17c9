"""Where a camera stands and how it sees."""

from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """A fixed camera. Either half may be unknown: DROID has no intrinsics, a bag may lack tf.

    The camera's optical frame looks along +z, with x to the right and y down, as in ROS
    and OpenCV.
    """

    width: int
    height: int
    intrinsics: NDArray[np.float64] | None = None  # K [3, 3], pixels
    distortion: NDArray[np.float64] | None = None  # plumb_bob, None for a rectified image
    camera_to_base: NDArray[np.float64] | None = None  # [4, 4], optical frame to robot base

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"calibration for {self.width}×{self.height} pixels, expected >= 1×1")
        _check("intrinsics", self.intrinsics, (3, 3))
        _check("camera_to_base", self.camera_to_base, (4, 4))
        if self.intrinsics is not None and min(self.intrinsics[0, 0], self.intrinsics[1, 1]) <= 0:
            raise ValueError(f"focal length {self.intrinsics[0, 0]:g}, expected pixels > 0")
        if self.camera_to_base is not None:
            rotation = self.camera_to_base[:3, :3]
            if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
                raise ValueError(
                    "camera_to_base does not hold a rotation: rows are not orthonormal"
                )

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points [N, 3] in the robot's base frame to pixels [N, 2]; NaN behind the camera."""
        if self.intrinsics is None or self.camera_to_base is None:
            raise ValueError("projecting needs both intrinsics and camera_to_base")
        rotation, position = self.camera_to_base[:3, :3], self.camera_to_base[:3, 3]
        seen = (np.asarray(points, np.float64) - position) @ rotation
        pixels, _ = cv2.projectPoints(
            seen, np.zeros(3), np.zeros(3), self.intrinsics, self.distortion
        )
        pixels = np.asarray(pixels, np.float64).reshape(-1, 2)
        pixels[seen[:, 2] <= 0] = np.nan
        return pixels

    def to_json(self) -> dict[str, Any]:
        """Give what is known, as JSON has it."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
            if value is not None
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Read what `to_json` gave."""
        values: dict[str, Any] = {
            name: np.asarray(value, np.float64) if isinstance(value, list) else value
            for name, value in fields.items()
        }
        return cls(**values)


def _check(name: str, matrix: NDArray[np.float64] | None, shape: tuple[int, int]) -> None:
    if matrix is None:
        return
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise ValueError(f"{name} {matrix.tolist()}, expected finite numbers of shape {shape}")
