"""Which feature of a LeRobot set is what, and in which units and signs.

LeRobot's format says how numbers are stored and not what they mean. A feature map says it; what
it leaves open is taken as in lerobot/droid_1.0.1, and looked at: numbers that look like another
unit or sign are refused by their feature, with the line of the map that would settle it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vjepa_gate.settings import setting
from vjepa_gate.units import ARM_REACH
from vjepa_ros import conventions

Rows = Mapping[str, NDArray[Any]]  # a row for each step, by feature
Orientation = Literal["euler", "quaternion_xyzw", "quaternion_wxyz", "rotation_vector"]

DROID_IMAGE = "observation.images.exterior_1_left"
DROID_POSE, DROID_GRIPPER = (
    "observation.state.cartesian_position",
    "observation.state.gripper_position",
)
DROID_TARGET, DROID_TARGET_GRIPPER = "action.cartesian_position", "action.gripper_position"
STAMP = "stamp"  # of sets that we write: seconds, as the recording had them
_WIDTHS = {"euler": 6, "rotation_vector": 6, "quaternion_xyzw": 7, "quaternion_wxyz": 7}


@dataclass(frozen=True, kw_only=True)
class FeatureMap:
    """What the features of a set mean; NAME[2:5] is a part of one."""

    image: str | None = setting(
        None, "the camera's, video or image [DROID's exterior_1_left, or the only one]"
    )
    pose: str = setting(DROID_POSE, "of the tool in the base frame: position, orientation")
    orientation: Orientation | None = setting(
        None, "how it is written; euler: extrinsic xyz [euler where the feature's names say so]"
    )
    angles: Literal["radians", "degrees"] = setting("radians", "of the orientation")
    length: Literal["metres", "millimetres"] = setting("metres", "of the position")
    gripper: str = setting(DROID_GRIPPER, "one number: a closedness, a width, whatever")
    gripper_open: float | None = setting(None, "what it is with the fingers open [0]")
    gripper_closed: float | None = setting(None, "what it is with the fingers closed [1]")
    action_pose: str | None = setting(None, "the pose commanded [DROID's, where there]")
    action_gripper: str | None = setting(None, "the gripper commanded [DROID's, where there]")
    stamp: str | None = setting(None, "seconds [timestamp]")

    def __post_init__(self) -> None:
        if (self.action_pose is None) != (self.action_gripper is None):
            raise ValueError("action_pose and action_gripper belong together, expected both")
        if self.fingers[0] == self.fingers[1]:
            raise ValueError(f"gripper_open and gripper_closed are {self.fingers[0]:g}, both")

    @property
    def fingers(self) -> tuple[float, float]:
        """What the gripper says open, and closed."""
        open_, closed = self.gripper_open, self.gripper_closed
        return 0.0 if open_ is None else open_, 1.0 if closed is None else closed

    @property
    def gripper_is_said(self) -> bool:
        """Whether somebody has thought of its sign."""
        return self.gripper_open is not None or self.gripper_closed is not None


class FeatureError(ValueError):
    """What is wrong with one feature."""

    def __init__(self, feature: str, problem: str) -> None:
        super().__init__(problem)
        self.feature = feature


@dataclass(frozen=True)
class Part:
    """A feature, or some of its columns."""

    feature: str
    columns: slice

    @classmethod
    def of(cls, text: str) -> Self:
        """Read `NAME`, `NAME[6]` or `NAME[0:6]`."""
        found = re.fullmatch(r"(.+?)(?:\[(\d+)(?::(\d+))?\])?", text)
        assert found is not None
        name, start, stop = found.groups()
        if start is None:
            return cls(name, slice(None))
        return cls(name, slice(int(start), int(stop or int(start) + 1)))

    def take(self, rows: Rows) -> NDArray[np.float64]:
        """Give its numbers [T, columns]."""
        values = np.asarray(rows[self.feature], np.float64)
        return values.reshape(len(values), -1)[:, self.columns]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """A feature map that fits the features of a set."""

    map: FeatureMap
    image: str
    orientation: Orientation
    pose: Part
    gripper: Part
    targets: tuple[Part, Part] | None
    stamp: str

    @classmethod
    def of(cls, features: Mapping[str, Any], map_: FeatureMap) -> Self:
        """Settle what the map leaves open; FeatureError where that is ambiguous."""
        pose, gripper = Part.of(map_.pose), Part.of(map_.gripper)
        targets = _targets(features, map_)
        roles = ("pose", "gripper", "action_pose", "action_gripper")
        for role, part in zip(roles, (pose, gripper, *(targets or ())), strict=False):
            if part.feature not in features:
                raise FeatureError(
                    part.feature,
                    f"found no such feature; expected one of {', '.join(features)} as {role} in a "
                    "feature map (--features FILE.yaml)",
                )
        stamp = map_.stamp or (STAMP if STAMP in features else "timestamp")
        if stamp not in features:
            raise FeatureError(
                stamp, f"found no such feature; expected one of {', '.join(features)}"
            )
        return cls(
            map=map_,
            image=_image(features, map_.image),
            orientation=_orientation(features, map_, pose),
            pose=pose,
            gripper=gripper,
            targets=targets,
            stamp=stamp,
        )

    @property
    def features(self) -> list[str]:
        """Those whose numbers are needed."""
        parts = (self.pose, self.gripper, *(self.targets or ()))
        return list(dict.fromkeys([*(part.feature for part in parts), self.stamp]))

    def states(self, rows: Rows) -> NDArray[np.float64]:
        """States [T, 7] of what was measured."""
        return self._states(rows, self.pose, self.gripper)

    def commanded(self, rows: Rows, states: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """From each state to the pose that was commanded there, [T - 1, 7]."""
        if self.targets is None:
            return None
        targets = torch.from_numpy(self._states(rows, *self.targets)[:-1])
        return conventions.action_between(torch.from_numpy(states[:-1]), targets).numpy()

    def _states(self, rows: Rows, pose: Part, gripper: Part) -> NDArray[np.float64]:
        poses = pose.take(rows)
        if poses.shape[1] != _WIDTHS[self.orientation]:
            raise FeatureError(
                pose.feature,
                f"found {poses.shape[1]} numbers; expected {_WIDTHS[self.orientation]}: position "
                f"and orientation as {self.orientation} (choose with NAME[FROM:TO])",
            )
        if not np.isfinite(poses).all():
            raise FeatureError(pose.feature, "found NaN or infinite numbers")
        return np.column_stack(
            (
                self._position(pose, poses),
                self._angles(pose, poses),
                self.closedness(rows, gripper),
            )
        )

    def _position(self, pose: Part, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        position = poses[:, :3] / (1000 if self.map.length == "millimetres" else 1)
        if (worst := np.abs(position).max()) > ARM_REACH:
            raise FeatureError(
                pose.feature,
                f"found a position of {worst:.4g} m, farther than {ARM_REACH:g} m; expected metres "
                "in the robot's base frame (length: millimetres says otherwise)",
            )
        return position

    def _angles(self, pose: Part, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        rest = poses[:, 3:]
        if self.orientation.startswith("quaternion"):
            order = [1, 2, 3, 0] if self.orientation == "quaternion_wxyz" else [0, 1, 2, 3]
            return _euler(conventions.quaternion_to_matrix(torch.from_numpy(rest[:, order])))
        if self.map.angles == "degrees":
            rest = np.deg2rad(rest)
        elif (worst := np.abs(rest).max()) > 2 * np.pi + 1e-4:
            raise FeatureError(
                pose.feature,
                f"found an angle of {worst:.4g}; expected radians, and these look like degrees "
                "(angles: degrees says so)",
            )
        if self.orientation == "rotation_vector":
            return _euler(torch.from_numpy(Rotation.from_rotvec(rest).as_matrix()))
        return rest

    def closedness(self, rows: Rows, gripper: Part | None = None) -> NDArray[np.float64]:
        """0 open, 1 closed [T]; a real hand reads a little past its stops."""
        part = gripper or self.gripper
        found = part.take(rows)
        if found.shape[1] != 1 or not np.isfinite(found).all():
            raise FeatureError(
                part.feature, f"found {found.shape[1]} columns or NaN; expected a number a step"
            )
        open_, closed = self.map.fingers
        values = (found[:, 0] - open_) / (closed - open_)
        if values.min() < -0.02 or values.max() > 1.02:
            raise FeatureError(
                part.feature,
                f"found {found.min():.4g} to {found.max():.4g}; expected numbers from that of an "
                f"open hand, {open_:g}, to that of a closed one, {closed:g} (say others as "
                "gripper_open and gripper_closed)",
            )
        return values.clip(0, 1)


def check_gripper(meaning: Meaning, episodes: Sequence[Rows]) -> None:
    """Refuse a gripper of which nobody said the sign, where it looks inverted or like metres.

    An arm that is about to do something has its hand open, as a rule.
    """
    if meaning.map.gripper_is_said or not episodes:
        return
    closedness = [meaning.closedness(rows) for rows in episodes]
    most, starts = max(one.max() for one in closedness), [one[0] for one in closedness]
    name, closed = meaning.gripper.feature, sum(start > 0.5 for start in starts)
    if 0.02 < most < 0.15:
        raise FeatureError(
            name,
            f"found nothing above {most:.3g}; expected 0 for open and 1 for closed, and this looks "
            f"like metres between the fingers: say gripper_open: {most:.2g} and gripper_closed: 0 "
            "(or gripper_open: 0, if the hand never closes)",
        )
    if closed > len(starts) / 2:
        raise FeatureError(
            name,
            f"found {closed} of {len(starts)} episodes that begin with closed fingers, where 1 is "
            "closed: the sign looks inverted. Say gripper_open: 1 and gripper_closed: 0, or "
            "gripper_open: 0 if they do begin so",
        )


def _targets(features: Mapping[str, Any], map_: FeatureMap) -> tuple[Part, Part] | None:
    if map_.action_pose is not None and map_.action_gripper is not None:
        return Part.of(map_.action_pose), Part.of(map_.action_gripper)
    droid = (map_.pose, map_.gripper) == (DROID_POSE, DROID_GRIPPER)
    if droid and DROID_TARGET in features and DROID_TARGET_GRIPPER in features:
        return Part.of(DROID_TARGET), Part.of(DROID_TARGET_GRIPPER)
    return None


def _image(features: Mapping[str, Any], wanted: str | None) -> str:
    cameras = [name for name, about in features.items() if about["dtype"] in ("video", "image")]
    if wanted is None and len(cameras) == 1:
        return cameras[0]
    chosen = DROID_IMAGE if wanted is None else wanted
    if chosen not in cameras:
        kind = features[chosen]["dtype"] if chosen in features else "no such feature"
        raise FeatureError(
            chosen,
            f"found {kind}; expected one of the cameras of this set as `image` in a feature map "
            f"(--features FILE.yaml): {', '.join(cameras) or 'it has none'}",
        )
    return chosen


def _orientation(features: Mapping[str, Any], map_: FeatureMap, pose: Part) -> Orientation:
    if map_.orientation is not None:
        return map_.orientation
    names = str(features[pose.feature].get("names")).lower()
    if "roll" in names or pose.feature == DROID_POSE:
        return "euler"
    raise FeatureError(
        pose.feature,
        f"found columns named {names}, which do not tell how the orientation is written; say "
        "`orientation` in a feature map (--features FILE.yaml): euler (extrinsic xyz), "
        "quaternion_xyzw, quaternion_wxyz or rotation_vector",
    )


def _euler(matrix: torch.Tensor) -> NDArray[np.float64]:
    return conventions.matrix_to_euler(matrix).numpy()
