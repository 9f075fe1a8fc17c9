"""What a set of episodes holds: figures, a sheet of frames, histograms of the actions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vjepa_gate.conventions import ACTION_NAMES, STATE_NAMES
from vjepa_ros.episodes.episode import EpisodeReader

_ROWS, _COLUMNS = 10, 10  # of the contact sheet
_UNITS = ("m", "m", "m", "rad", "rad", "rad", "")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One episode without its frames, but for a few small ones."""

    path: Path
    task: str
    motion: str
    success: bool | None
    states: NDArray[np.float64]
    actions: NDArray[np.float64]
    step_period: float
    frame_size: tuple[int, int]  # width, height
    calibrated: bool
    film: NDArray[np.uint8]  # [columns, height, width, 3]


def summarise(path: Path, reader: EpisodeReader) -> Summary:
    """Decodes every frame, so that a damaged one is found."""
    trajectory = reader.trajectory
    wanted = set(np.linspace(0, len(reader) - 1, _COLUMNS).round().astype(int).tolist())
    film = [frame for step, frame in enumerate(reader.frames()) if step in wanted]
    calibration = trajectory.calibration
    return Summary(
        path=path,
        task=trajectory.task or "none",
        motion=str(trajectory.provenance.get("motion", "none")),
        success=trajectory.provenance.get("success"),
        states=trajectory.states,
        actions=trajectory.actions,
        step_period=trajectory.step_period,
        frame_size=(film[0].shape[1], film[0].shape[0]),
        calibrated=calibration is not None
        and calibration.intrinsics is not None
        and calibration.camera_to_base is not None,
        film=np.stack(film),
    )


def describe(summaries: Sequence[Summary]) -> str:
    """The figures, as a page of text."""
    states = np.concatenate([one.states for one in summaries])
    actions = np.concatenate([one.actions for one in summaries])
    periods = np.array([one.step_period for one in summaries])
    seconds = sum(one.step_period * len(one.actions) for one in summaries)
    known = [one.success for one in summaries if one.success is not None]
    lines = [
        f"episodes     {len(summaries)}",
        f"frames       {len(states)}, {len(states) / len(summaries):.1f} an episode",
        f"time         {seconds / 60:.1f} min",
        f"step period  {np.median(periods):.3f} s on the median ({periods.min():.3f} to "
        f"{periods.max():.3f})",
        f"frame size   {_counted(f'{one.frame_size[0]}×{one.frame_size[1]}' for one in summaries)}",
        f"calibrated   {sum(one.calibrated for one in summaries)} of {len(summaries)}",
        f"motion       {_counted(one.motion for one in summaries)}",
        f"task         {_counted(one.task for one in summaries)}",
    ]
    if known:
        lines.append(f"success      {sum(known)} of {len(known)} that say")
    return "\n".join([*lines, "", _table(STATE_NAMES, states), "", _table(ACTION_NAMES, actions)])


def _counted(values: Any) -> str:
    return ", ".join(f"{value} ({count})" for value, count in Counter(values).most_common())


def _table(names: Sequence[str], rows: NDArray[np.float64]) -> str:
    header = f"{'':14}" + "".join(
        f"{name:>9}" for name in ("mean", "std", "min", "p05", "p95", "max")
    )
    lines = [header]
    for name, unit, values in zip(names, _UNITS, rows.T, strict=True):
        low, high = np.percentile(values, (5, 95))
        figures = (values.mean(), values.std(), values.min(), low, high, values.max())
        lines.append(f"{name:<10} {unit:<3}" + "".join(f"{figure:>9.3f}" for figure in figures))
    return "\n".join(lines)


# --- pictures ----------------------------------------------------------------------------


def contact_sheet(summaries: Sequence[Summary], path: Path) -> None:
    """A row of frames for each of some episodes, from the whole set."""
    chosen = np.linspace(0, len(summaries) - 1, min(_ROWS, len(summaries))).round().astype(int)
    shown = [summaries[index] for index in chosen]
    columns = max(len(one.film) for one in shown)
    figure = Figure(figsize=(1.3 * columns, 1.45 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), columns, squeeze=False)
    for row, one in zip(grid, shown, strict=True):
        for axes in row:
            axes.axis("off")
        for axes, frame in zip(row, one.film, strict=False):
            axes.imshow(frame)
        row[0].set_title(f"{one.path.stem}: {one.task}", fontsize=8, loc="left")
    figure.savefig(path, dpi=110)


def action_histograms(summaries: Sequence[Summary], path: Path) -> None:
    """How often each action was taken, on a logarithmic scale: rare ones matter."""
    actions = np.concatenate([one.actions for one in summaries])
    figure = Figure(figsize=(13, 6), layout="constrained")
    grid = figure.subplots(2, 4)
    for axes, name, unit, values in zip(grid.flat, ACTION_NAMES, _UNITS, actions.T, strict=False):
        axes.hist(values, bins=61, log=True, color="#33658a")
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(unit or "1 = open to closed", fontsize=9)
        axes.axvline(0, color="#aaaaaa", linewidth=0.8)
        axes.margins(x=0.01)
    length = np.linalg.norm(actions[:, :3], axis=1)
    axes = grid.flat[7]
    axes.hist(length, bins=61, log=True, color="#f26419")
    axes.set_title("length of the translation", fontsize=10)
    axes.set_xlabel("m", fontsize=9)
    figure.suptitle(f"{len(actions)} actions of {len(summaries)} episodes", fontsize=11)
    figure.savefig(path, dpi=110)
