"""What a replay looks like: arrows over pictures, curves, landscapes. For the report."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from markupsafe import Markup
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vjepa_ros import html
from vjepa_ros.conventions import POSITION
from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.html import COLOURS
from vjepa_ros.images import encode_png
from vjepa_ros.planning.landscape import Landscape, Mark, draw_map, measure_landscape
from vjepa_ros.planning.objectives import make_objective
from vjepa_ros.planning.world_model import Context, Goal, WorldModel
from vjepa_ros.replay.results import EpisodeResult, Prediction

Picture = NDArray[np.uint8]

_WIDTH = 480  # pixels of a picture with arrows
_SHOWN = 0.6  # of the camera's picture, along each side
_THUMBNAIL = 260  # pixels, of a film strip's frames
_POINTS = 13  # of a landscape along each axis
_LEAST_EXTENT = 0.075  # metres to each side, what V-JEPA 2 searches


@dataclass(frozen=True)
class Gallery:
    """Pictures for a page, each of them a PNG in a folder too where there is one."""

    folder: Path | None

    def curve(self, figure: Figure, name: str) -> Markup:
        """A figure begun by html.plot()."""
        path = self._path(name)
        if path is not None:
            figure.savefig(path, dpi=130, facecolor="white")
        return html.figure_svg(figure, name)

    def map(self, figure: Figure, name: str) -> Markup:
        """Place a figure of many points, as a PNG in the page too."""
        path = self._path(name)
        if path is not None:
            figure.savefig(path, dpi=130, facecolor="white")
        return html.figure_png(figure, name)

    def photo(self, rgb: Picture, name: str) -> Markup:
        """Place a picture."""
        path = self._path(name)
        if path is not None:
            path.write_bytes(encode_png(rgb))
        return html.photo(rgb, name)

    def _path(self, name: str) -> Path | None:
        if self.folder is None:
            return None
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / (re.sub(r"[^\w.-]+", "_", name) + ".png")


# --- over the camera's pictures ----------------------------------------------------------


def thumbnail(rgb: Picture) -> Picture:
    """Shrink a frame for a film strip."""
    return _to_width(rgb, min(_THUMBNAIL, rgb.shape[1]))


def can_project(calibration: Calibration | None) -> bool:
    """Whether a calibration says where the camera is and how it looks."""
    return (
        calibration is not None
        and calibration.intrinsics is not None
        and calibration.camera_to_base is not None
    )


def with_arrows(
    rgb: Picture,
    calibration: Calibration,
    position: NDArray[np.float64],
    actions: Mapping[str, Sequence[float]],
) -> Picture:
    """Where actions [7], by kind, lead the tool from a position [3] in the base frame; the part of
    the picture around it.
    """
    arrows = {
        kind: calibration.project(np.stack((position, position + np.asarray(action[POSITION]))))
        for kind, action in actions.items()
    }
    arrows = {kind: ends for kind, ends in arrows.items() if _is_near(ends, rgb)}
    if not arrows:
        return _to_width(rgb, _WIDTH)
    near, corner = _around(rgb, next(iter(arrows.values()))[0])
    drawn = _to_width(near, _WIDTH)
    scale = _WIDTH / near.shape[1]

    def length(kind: str) -> float:
        return float(np.linalg.norm(arrows[kind][1] - arrows[kind][0]))

    for kind in sorted(arrows, key=length, reverse=True):  # the shortest on top
        _draw_arrow(drawn, scale * (arrows[kind] - corner + 0.5), _rgb(COLOURS[kind]))
    return drawn


def _is_near(ends: NDArray[np.float64], rgb: Picture) -> bool:
    """Whether an arrow [2, 2] begins in the picture and ends somewhere about it."""
    size = np.array(rgb.shape[1::-1])
    start, tip = ends
    return bool((start > 0).all() and (start < size).all() and (np.abs(tip) < 4 * size).all())


def _around(rgb: Picture, pixel: NDArray[np.float64]) -> tuple[Picture, NDArray[np.int64]]:
    """The part of a picture about a pixel (x, y), and its top left corner."""
    size = np.array(rgb.shape[1::-1])
    width, height = shown = np.ceil(_SHOWN * size).astype(int)
    x, y = corner = np.clip(np.round(pixel - shown / 2).astype(int), 0, size - shown)
    return rgb[y : y + height, x : x + width], corner


def _draw_arrow(picture: Picture, ends: NDArray[np.float64], colour: tuple[int, int, int]) -> None:
    """From its first end to its second, [2, 2] pixels, with a dark rim."""
    head = 12 / max(float(np.linalg.norm(ends[1] - ends[0])), 12.0)
    fraction = 4  # bits
    (x, y), tip = (end.tolist() for end in np.round(ends * 2**fraction).astype(int))
    for paint, thickness in (((20, 20, 20), 6), (colour, 3)):
        cv2.circle(picture, (x, y), 4 << fraction, paint, -1, cv2.LINE_AA, fraction)
        cv2.arrowedLine(picture, (x, y), tip, paint, thickness, cv2.LINE_AA, fraction, head)


def _to_width(rgb: Picture, width: int) -> Picture:
    height = round(rgb.shape[0] * width / rgb.shape[1])
    shrinks = width < rgb.shape[1]
    resized = cv2.resize(
        rgb, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
    return np.ascontiguousarray(resized, dtype=np.uint8)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return red, green, blue


# --- curves ------------------------------------------------------------------------------


def plot_horizon(predictions: Sequence[Prediction]) -> Figure:
    """Mean error by steps ahead, over all steps of all episodes."""
    figure, axes = html.plot()
    for name, field in (
        ("model", "model"),
        ("copy last", "copy_last"),
        ("zero action", "zero_action"),
    ):
        means = horizon_means([getattr(prediction, field) for prediction in predictions])
        axes.plot(range(1, len(means) + 1), means, "o-", color=COLOURS[name], label=name)
    axes.set(xlabel="steps ahead", ylabel="mean |difference| of latents", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    return figure


def horizon_means(errors: Sequence[list[list[float]]]) -> list[float]:
    """Average errors `[H][steps]` of several episodes, without those too short for a horizon."""
    rows = zip(*errors, strict=True)
    joined = [[error for row in ahead for error in row] for ahead in rows]
    return [float(np.mean(row)) for row in joined if row]


def plot_energy(episode: EpisodeResult) -> Figure:
    """To the goal, along the episode."""
    figure, axes = html.plot()
    axes.plot(episode.goal_energy, color=COLOURS["model"])
    axes.set(xlabel="step", ylabel="energy to the goal", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def plot_surprise(episode: EpisodeResult) -> Figure:
    """Prediction errors one step ahead, and what would be usual."""
    figure, axes = html.plot()
    surprise = episode.surprise
    usual = [np.nan if value is None else value for value in surprise.thresholds]
    axes.plot(surprise.values, color=COLOURS["model"], label="model, one step ahead")
    axes.plot(episode.prediction.copy_last[0], color=COLOURS["copy last"], label="copy last")
    if np.isfinite(usual).any():
        axes.plot(usual, "--", color=COLOURS["surprise"], linewidth=1, label="usual up to here")
    axes.plot(
        surprise.outliers,
        [surprise.values[step] for step in surprise.outliers],
        "o",
        color=COLOURS["surprise"],
    )
    axes.set(xlabel="step", ylabel="surprise", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False, fontsize=8)
    return figure


# --- the landscape of a step -------------------------------------------------------------


@torch.no_grad()
def plot_step_landscape(
    world_model: WorldModel,
    objective: str,
    frames: Sequence[Picture],
    state: NDArray[np.float64],
    actions: Mapping[str, Sequence[float]],
) -> Figure:
    """Energies from the first frame towards the second, along the two axes in which the recorded
    action moves the most.
    """
    latents = world_model.encode(torch.from_numpy(np.stack(frames)))
    context = Context(latents=latents[:1], states=torch.from_numpy(state[None]).float())
    goal = Goal(latents=latents[1])
    energies = world_model.cost(context, goal, make_objective(objective))
    recorded = torch.tensor(actions["recorded"], dtype=torch.float32)

    def cost(candidates: torch.Tensor) -> torch.Tensor:
        return energies(candidates).cpu()

    most_moved = recorded[POSITION].abs().argsort(descending=True)[:2].sort().values
    axes = [("dx", "dy", "dz")[axis] for axis in most_moved.tolist()]
    shown = {kind: torch.tensor(action, dtype=torch.float32) for kind, action in actions.items()}
    furthest = max(float(action[POSITION].abs().max()) for action in shown.values())
    extent = max(_LEAST_EXTENT, 1.15 * furthest)
    landscape = measure_landscape(cost, axes, (extent, extent), _POINTS, recorded)
    shown["least"] = landscape.least
    heights = cost(torch.stack(list(shown.values()))[:, None]).tolist()
    marks = [
        Mark(kind=kind, action=action, energy=energy)
        for (kind, action), energy in zip(shown.items(), heights, strict=True)
    ]
    return _draw_landscape(landscape, marks)


def _draw_landscape(landscape: Landscape, marks: Sequence[Mark]) -> Figure:
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    axes = figure.subplots()
    figure.colorbar(draw_map(axes, landscape, marks), ax=axes, label="energy")
    figure.legend(loc="outside lower center", frameon=False, fontsize=8.5, title="energy of")
    return figure
