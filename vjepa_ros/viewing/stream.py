"""ROS messages to Rerun, whoever read them: rclpy from a topic, or rosbags from a bag."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import rerun as rr
import rerun.blueprint as rrb
from numpy.typing import NDArray

from vjepa_ros.images import compressed_to_rgb, to_rgb

APPLICATION = "vjepa_ros"
RECORDED = ("camera", "goal")  # pictures that are shown of a recording
PICTURES = (*RECORDED, "latents", "imagined")
_EYE = rrb.EyeControls3D(position=(0.9, 0.35, 0.4), look_target=(0.5, 0.0, 0.2), eye_up=(0, 0, 1))
_COLOURS = {  # of curves, by view
    "energy": {"now": (220, 170, 60), "imagined": (70, 190, 150)},
    "surprise": {"energy": (220, 90, 90)},
    "planning": {
        "seconds": (110, 160, 240),
        "sub_goal": (150, 150, 150),
        "closedness": (120, 200, 90),
    },
}
_TRAIL = 300  # places of the tool that stay to be seen
_POSE_RATE = 15.0  # Hz, of those that a robot tells a thousand of in a second
_AXIS = 0.05  # metres, of the tool's axes
_THIN = 0.002  # metres, of lines
_JPEG = 85


def layout(pictures: Sequence[str] = PICTURES) -> rrb.Blueprint:
    """Pictures beside the arm, figures below it."""
    views = [rrb.Spatial2DView(origin=name, name=name) for name in pictures]
    figures = [
        rrb.TimeSeriesView(origin=name, name=name, overrides=_coloured(name, curves))
        for name, curves in _COLOURS.items()
    ]
    arm = rrb.Spatial3DView(origin="arm", name="arm", eye_controls=_EYE)
    right = rrb.Vertical(arm, rrb.Horizontal(*figures), row_shares=[2, 1])
    both = rrb.Horizontal(rrb.Vertical(*views), right, column_shares=[1, 2])
    return rrb.Blueprint(both, collapse_panels=True)


def _coloured(view: str, curves: Mapping[str, tuple[int, int, int]]) -> dict[Any, Any]:
    return {f"{view}/{name}": rr.SeriesLines(colors=[colour]) for name, colour in curves.items()}


class Stream:
    """A Rerun recording, which messages of each kind are shown in."""

    def __init__(self, recording: rr.RecordingStream) -> None:
        self._recording = recording
        self._trail: list[list[float]] = []
        self._now, self._posed = 0.0, -math.inf  # seconds
        colours = [[220, 60, 60], [60, 180, 60], [60, 90, 220]]
        axes = rr.Arrows3D(vectors=_AXIS * np.eye(3), colors=colours, radii=2 * _THIN)
        recording.log("arm", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        recording.log("arm/tool/axes", axes, static=True)

    def at(self, seconds: float) -> None:
        """All that follows is of this time."""
        self._now = seconds
        self._recording.set_time("time", timestamp=seconds)

    # --- pictures --------------------------------------------------------------------------

    def camera(self, message: Any) -> None:
        """What the camera sees."""
        self.picture("camera", _rgb(message))

    def goal(self, message: Any) -> None:
        """A goal picture; its frame says which of the sub-goals it is."""
        self.picture("goal", _rgb(message))
        self._recording.log("goal/name", rr.TextLog(message.header.frame_id))

    def latents(self, message: Any) -> None:
        """What the encoder saw, and its latents as colours."""
        self.picture("latents", _rgb(message))

    def imagined(self, message: Any) -> None:
        """What was imagined of the last step, and what came, drawn alike."""
        self.picture("imagined", _rgb(message))

    def picture(self, name: str, rgb: NDArray[np.uint8]) -> None:
        """Any picture, as JPEG."""
        self._recording.log(name, rr.Image(rgb).compress(jpeg_quality=_JPEG))

    # --- the arm ---------------------------------------------------------------------------

    def pose(self, message: Any) -> None:
        """Where the tool is, if it was not told a moment ago."""
        if 0 <= self._now - self._posed < 1 / _POSE_RATE:
            return
        self._posed = self._now
        p, q = message.pose.position, message.pose.orientation
        self.tool([p.x, p.y, p.z], [q.x, q.y, q.z, q.w])

    def tool(self, position: Sequence[float], xyzw: Sequence[float]) -> None:
        """Likewise, in numbers."""
        place = rr.Transform3D(translation=position, quaternion=rr.Quaternion(xyzw=xyzw))
        self._recording.log("arm/tool", place)
        self._trail = [*self._trail[1 - _TRAIL :], list(position)]
        self._recording.log(
            "arm/trail", rr.LineStrips3D([self._trail], colors=[130, 130, 130], radii=_THIN)
        )

    def plan(self, message: Any) -> None:
        """Candidates as arrows from the tool, green to red by their energy; the plan's way."""
        way = [[one.position.x, one.position.y, one.position.z] for one in message.path]
        ends = np.array([[one.x, one.y, one.z] for one in message.end_points]).reshape(-1, 3)
        log = self._recording.log
        if way:
            log("arm/plan", rr.LineStrips3D([way], colors=[250, 200, 40], radii=2 * _THIN))
        if way and len(ends):
            colours = _by_energy(np.asarray(message.end_point_energies, np.float64))
            arrows = rr.Arrows3D(
                origins=np.tile(way[0], (len(ends), 1)),
                vectors=ends - way[0],
                colors=colours,
                radii=_THIN,
            )
            log("arm/candidates", arrows)
        log("energy/now", rr.Scalars([message.energy_now]))
        if len(message.energy_best) and math.isfinite(message.energy_best[-1]):
            log("energy/imagined", rr.Scalars([message.energy_best[-1]]))
        log("planning/seconds", rr.Scalars([message.seconds]))
        log("planning/sub_goal", rr.Scalars([message.subgoal + 1]))

    def surprise(self, message: Any) -> None:
        """How far what was seen is from what was imagined."""
        if math.isfinite(message.data):
            self._recording.log("surprise/energy", rr.Scalars([message.data]))

    def closedness(self, value: float) -> None:
        """Of the fingers."""
        self._recording.log("planning/closedness", rr.Scalars([value]))


def _rgb(message: Any) -> NDArray[np.uint8]:
    return compressed_to_rgb(message) if hasattr(message, "format") else to_rgb(message)


def _by_energy(energies: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colours [N, 4], from green, the least, to red; grey where there is none."""
    finite = np.isfinite(energies)
    colours = np.full((len(energies), 4), 128, np.uint8)
    if finite.any():
        low, high = energies[finite].min(), energies[finite].max()
        share = (energies[finite] - low) / max(high - low, 1e-12)
        colours[finite, 0], colours[finite, 1] = 255 * share, 255 * (1 - share)
        colours[finite, 2] = 25
    return colours
