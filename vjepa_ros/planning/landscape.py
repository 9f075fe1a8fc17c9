"""The energy of one step over a grid of actions, and a picture of it.

A model that understands the scene has a single valley, and it lies at the action that the
robot really took. It is the first thing to look at when a plan goes wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, check_action
from vjepa_ros.planning.solvers.base import Cost, Search

AXES = {"dx": 0, "dy": 1, "dz": 2, "gripper": GRIPPER}

_LABELS = {
    "dx": "dx [cm], base frame",
    "dy": "dy [cm], base frame",
    "dz": "dz [cm], base frame (up)",
    "gripper": "gripper [closedness], + closes",
}


class _Style(NamedTuple):
    name: str
    marker: str
    size: int
    colour: str
    line: str


_STYLES = {
    "stay": _Style("staying where it is", "P", 10, "darkgrey", "-"),
    "recorded": _Style("the recorded action", "o", 14, "limegreen", "-"),
    "planned": _Style("the planned action", "*", 18, "tab:orange", "--"),
    "least": _Style("the least on this grid", "X", 9, "tab:red", ":"),
}


@dataclass(frozen=True, kw_only=True)
class Landscape:
    """Energies where one or two dimensions of an action vary, the others being those of `at`."""

    axes: tuple[str, ...]
    grid: tuple[Tensor, ...]  # the values along each axis, metres or closedness
    energies: Tensor  # [n] or [n, m] in the order of the axes, infinite where dropped
    at: Tensor  # [7]
    dropped: int  # grid points whose energy is not finite

    @property
    def least(self) -> Tensor:
        """The action [7] of the least energy on the grid."""
        index = torch.unravel_index(self.energies.argmin(), self.energies.shape)
        action = self.at.clone()
        for axis, values, i in zip(self.axes, self.grid, index, strict=True):
            action[AXES[axis]] = values[i]
        return action


@torch.no_grad()
def measure_landscape(
    cost: Cost, axes: Sequence[str], extents: Sequence[float], points: int, at: Tensor
) -> Landscape:
    """Energies of `points` values from -extent to extent along each axis, in one step."""
    if len(axes) not in (1, 2) or len(set(axes)) != len(axes) or not set(axes) <= set(AXES):
        raise ValueError(f"axes is {', '.join(axes)}, expected one or two of {', '.join(AXES)}")
    if len(extents) != len(axes) or not all(0 < extent <= 1 for extent in extents):
        raise ValueError(
            f"extents is {list(extents)}, expected one for each axis, "
            "metres or closedness in (0, 1]"
        )
    if points < 2:
        raise ValueError(f"points is {points}, expected at least 2")
    if at.shape != (7,):
        raise ValueError(f"at has shape {list(at.shape)}, expected one action [7]")
    check_action(at)

    grid = tuple(torch.linspace(-extent, extent, points) for extent in extents)
    actions = at.float().repeat(points ** len(axes), 1)  # [N, 7]
    for axis, values in zip(axes, torch.meshgrid(*grid, indexing="ij"), strict=True):
        actions[:, AXES[axis]] = values.flatten()
    search = Search(cost, keep_samples=False)
    energies = search.evaluate(actions[:, None])
    return Landscape(
        axes=tuple(axes),
        grid=grid,
        energies=energies.cpu().view([points] * len(axes)),
        at=at.float().cpu(),
        dropped=search.dropped,
    )


# --- the picture -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Mark:
    """An action [7] to show on the landscape, and the energy of this very action."""

    kind: str  # one of those in _STYLES
    action: Tensor
    energy: float

    @property
    def label(self) -> str:
        """Name the mark and its energy, for a legend."""
        return f"{_STYLES[self.kind].name}: {self.energy:.4f}"


def plot_landscape(
    landscape: Landscape,
    path: Path,
    *,
    marks: Sequence[Mark],
    pictures: Mapping[str, NDArray[np.uint8]],
    title: str,
    energy_name: str,
) -> None:
    """A PNG of the landscape with actions marked on it, beside pictures [H, W, 3] by caption."""
    figure = Figure(figsize=(11, 6), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    grid = figure.add_gridspec(len(pictures), 2, width_ratios=(1, 2.4))
    for row, (caption, picture) in enumerate(pictures.items()):
        axes = figure.add_subplot(grid[row, 0])
        axes.imshow(picture)
        axes.set_title(caption, fontsize=10)
        axes.set_axis_off()

    axes = figure.add_subplot(grid[:, 1])
    if len(landscape.axes) == 1:
        axes.set(xlabel=_LABELS[landscape.axes[0]], ylabel=energy_name)
        _draw_line(axes, landscape, marks)
    else:
        colours = draw_map(axes, landscape, marks)
        figure.colorbar(colours, ax=axes, label=f"{energy_name} (dark: close to the goal)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, title="energy of")
    figure.savefig(path, dpi=110)


def _draw_line(axes: Axes, landscape: Landscape, marks: Sequence[Mark]) -> None:
    (axis,), (values,) = landscape.axes, landscape.grid
    axes.plot(_shown(axis, values), _drawable(landscape.energies), ".-", color="tab:blue")
    for mark in marks:
        style = _STYLES[mark.kind]
        place = float(_shown(axis, mark.action[AXES[axis]]))
        axes.axvline(place, color=style.colour, linestyle=style.line, label=mark.label)
    axes.grid(alpha=0.3)


def draw_map(axes: Axes, landscape: Landscape, marks: Sequence[Mark]) -> QuadMesh:
    """A landscape of two axes, and actions marked on it; gives the colours for a colour bar."""
    axes.set(xlabel=_LABELS[landscape.axes[0]], ylabel=_LABELS[landscape.axes[1]])
    x, y = (_shown(*pair) for pair in zip(landscape.axes, landscape.grid, strict=True))
    energies = _drawable(landscape.energies).T
    colours = axes.pcolormesh(x, y, energies, cmap="viridis", shading="nearest")
    if energies.max() > energies.min():
        axes.contour(x, y, energies, levels=12, colors="white", linewidths=0.5, alpha=0.6)
    for mark in marks:
        style = _STYLES[mark.kind]
        place = [float(_shown(axis, mark.action[AXES[axis]])) for axis in landscape.axes]
        axes.plot(
            *place,
            linestyle="none",
            marker=style.marker,
            markersize=style.size,
            color=style.colour,
            markeredgecolor="black",
            label=mark.label,
        )
    if "gripper" not in landscape.axes:
        axes.set_aspect("equal")
    return colours


def _shown(axis: str, values: Tensor) -> NDArray[np.float32]:
    """Values on an axis in the unit of its label."""
    return (values if axis == "gripper" else 100 * values).numpy()


def _drawable(energies: Tensor) -> "np.ma.MaskedArray":
    """Dropped points stay blank."""
    return np.ma.masked_invalid(energies.numpy())
