"""Where one frame is in another, from the transforms of a bag."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vjepa_ros import conventions


class MovingFrames:
    """The newest transform of each frame, of `/tf` and `/tf_static` as they came."""

    def __init__(self) -> None:
        self._parents: dict[str, Any] = {}
        self._moving: set[str] = set()

    def add(self, transforms: Iterable[Any], *, moving: bool) -> None:
        """Take the transforms of one message in."""
        for one in transforms:
            self._parents[one.child_frame_id] = one
            if moving:
                self._moving.add(one.child_frame_id)

    def pose(self, base: str, tool: str) -> tuple[list[float], Any] | None:
        """Position and quaternion (x, y, z, w) of the tool in the base frame, and their stamp:
        the oldest of what moves between the two. None while that is not known.
        """
        matrix, root = to_root(tool, self._parents, base)
        stamps = []
        frame = tool
        while frame != base and frame in self._parents:
            if frame in self._moving:
                stamps.append(self._parents[frame].header.stamp)
            frame = self._parents[frame].header.frame_id
        if root != base or not stamps:
            return None
        quaternion = Rotation.from_matrix(matrix[:3, :3]).as_quat()
        oldest = min(stamps, key=lambda stamp: (stamp.sec, stamp.nanosec))
        return [*matrix[:3, 3].tolist(), *quaternion.tolist()], oldest


def to_root(
    frame: str, parents: Mapping[str, Any], end: str = ""
) -> tuple[NDArray[np.float64], str]:
    """The transform [4, 4] from a frame to the root of its tree, and the root's name; no farther
    than to `end`, where that is on the way.
    """
    matrix, seen = np.eye(4), {frame}
    while frame in parents and frame != end:
        matrix = _matrix(parents[frame].transform) @ matrix
        frame = parents[frame].header.frame_id
        if frame in seen:
            raise ValueError(f"transforms that lead back to {frame}")
        seen.add(frame)
    return matrix, frame


def _matrix(transform: Any) -> NDArray[np.float64]:
    t, q = transform.translation, transform.rotation
    matrix = np.eye(4)
    quaternion = torch.tensor([q.x, q.y, q.z, q.w], dtype=torch.float64)
    matrix[:3, :3] = conventions.quaternion_to_matrix(quaternion).numpy()
    matrix[:3, 3] = t.x, t.y, t.z
    return matrix
