"""An episode: what the camera saw and where the tool was, step by step.

Everything that is learnt, replayed or measured comes as this one type, whatever file it
was recorded in. `EpisodeReader` is the same thing on disk: its trajectory is in memory,
its frames are decoded as they are asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros import conventions
from vjepa_ros.episodes.calibration import Calibration

FrameSource = Callable[[Sequence[int]], Iterator[NDArray[np.uint8]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """An episode without its frames: T steps, states and actions as in `conventions`."""

    states: NDArray[np.float64]  # [T, 7]
    stamps: NDArray[np.float64]  # [T] seconds, when each frame was taken
    commanded: NDArray[np.float64] | None = None  # [T - 1, 7] what the arm was told to do
    calibration: Calibration | None = None
    task: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)  # where it came from, as JSON has it
    truth: dict[str, NDArray[Any]] = field(default_factory=dict)  # a simulation's, [T, …] each

    def __post_init__(self) -> None:
        steps = len(self.states)
        if steps < 2:
            raise ValueError(f"an episode of {steps} steps, expected at least 2")
        _check_array("states", self.states, (steps, 7), np.float64)
        _check_array("stamps", self.stamps, (steps,), np.float64)
        conventions.check_state(torch.from_numpy(self.states))
        _check_rising(self.stamps)
        if self.commanded is not None:
            _check_array("commanded", self.commanded, (steps - 1, 7), np.float64)
            conventions.check_action(torch.from_numpy(self.commanded))
        for name, values in self.truth.items():
            if len(values) != steps or values.dtype.kind not in "biuf":
                raise ValueError(
                    f"truth {name!r} is {values.dtype} {list(values.shape)}, "
                    f"expected {steps} rows of numbers"
                )

    def __len__(self) -> int:
        return len(self.states)

    @cached_property
    def actions(self) -> NDArray[np.float64]:
        """What the arm did, [T - 1, 7]: the difference of consecutive states."""
        return conventions.actions_of(torch.from_numpy(self.states)).numpy()

    @property
    def step_period(self) -> float:
        """Seconds between frames, on the median."""
        return float(np.median(np.diff(self.stamps)))

    def with_frames(self, frames: NDArray[np.uint8]) -> "Episode":
        """Give the episode of these frames [T, height, width, 3]."""
        own = {name: getattr(self, name) for name in Trajectory.__dataclass_fields__}
        return Episode(frames=frames, **own)

    def select(self, steps: Sequence[int] | NDArray[np.int64]) -> Self:
        """The trajectory at some of its steps, in rising order."""
        return replace(self, **self._at(np.asarray(steps, np.int64)))

    def _at(self, index: NDArray[np.int64]) -> dict[str, Any]:
        return {
            "states": self.states[index],
            "stamps": self.stamps[index],
            "commanded": self._commanded_between(index),
            "truth": {name: values[index] for name, values in self.truth.items()},
        }

    def _commanded_between(self, index: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """From each kept state to the last target that was commanded before the next one."""
        if self.commanded is None:
            return None
        last = torch.from_numpy(index[1:] - 1)
        states, commanded = torch.from_numpy(self.states), torch.from_numpy(self.commanded)
        targets = conventions.apply_action(states[last], commanded[last])
        return conventions.action_between(states[torch.from_numpy(index[:-1])], targets).numpy()


@dataclass(frozen=True, kw_only=True, eq=False)
class Episode(Trajectory):
    """An episode in memory."""

    frames: NDArray[np.uint8]  # [T, height, width, 3] RGB

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames.ndim != 4 or self.frames.shape[-1] != 3 or self.frames.dtype != np.uint8:
            raise ValueError(
                f"frames are {self.frames.dtype} {list(self.frames.shape)}, "
                "expected RGB uint8 [T, height, width, 3]"
            )
        if len(self.frames) != len(self):
            raise ValueError(f"{len(self.frames)} frames, expected {len(self)}: one for each state")

    def _at(self, index: NDArray[np.int64]) -> dict[str, Any]:
        return {**super()._at(index), "frames": self.frames[index]}


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeReader:
    """An episode on disk."""

    path: Path
    trajectory: Trajectory
    decode: FrameSource  # yields the frames at rising indices

    def __len__(self) -> int:
        return len(self.trajectory)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """RGB frames [height, width, 3] of steps start … stop - 1, one at a time."""
        return self.decode(range(len(self))[start:stop])

    def select(self, steps: Sequence[int] | NDArray[np.int64]) -> Self:
        """The same episode at some of its steps, in rising order."""
        index = [int(step) for step in steps]
        return replace(
            self,
            trajectory=self.trajectory.select(index),
            decode=lambda chosen: self.decode([index[step] for step in chosen]),
        )

    def every(self, step_period: float) -> Self:
        """The same episode with a frame every `step_period` seconds."""
        return self.select(steps_every(self.trajectory.stamps, step_period))

    def load(self) -> Episode:
        """The whole episode in memory."""
        return self.trajectory.with_frames(np.stack(list(self.frames())))


def steps_every(stamps: NDArray[np.float64], step_period: float) -> NDArray[np.int64]:
    """The steps [N] whose stamps [T] come nearest to a grid of `step_period` seconds.

    A grid point without a frame of its own within half a period is a gap, and a ValueError: an
    action across it would be longer than the others.
    """
    if not step_period > 0:
        raise ValueError(f"step period is {step_period:g} s, expected more than 0")
    source_period = float(np.median(np.diff(stamps)))
    grid = np.arange(stamps[0], stamps[-1] + source_period / 2, step_period)
    after = np.searchsorted(stamps, grid).clip(1, len(stamps) - 1)
    nearest = np.where(grid - stamps[after - 1] <= stamps[after] - grid, after - 1, after)
    missed = np.abs(stamps[nearest] - grid) > step_period / 2 + 1e-6
    missed[1:] |= nearest[1:] == nearest[:-1]
    if missed.any():
        first = int(np.argmax(missed))
        raise ValueError(
            f"no frame within {step_period / 2:.3g} s of {grid[first] - stamps[0]:.3f} s after the "
            f"start: expected one every {step_period:g} s (the recording has "
            f"{source_period:.3g} s); cut the recording at the gap or raise the period"
        )
    return nearest


def _check_array(name: str, values: NDArray[Any], shape: tuple[int, ...], dtype: type) -> None:
    if values.dtype != dtype or values.shape != shape:
        raise ValueError(
            f"{name} are {values.dtype} {list(values.shape)}, "
            f"expected {np.dtype(dtype)} {list(shape)}"
        )


def _check_rising(stamps: NDArray[np.float64]) -> None:
    if not np.isfinite(stamps).all():
        raise ValueError("stamps hold NaN or infinite numbers, expected seconds")
    steps = np.diff(stamps)
    if (steps <= 0).any():
        step = int(np.argmax(steps <= 0))
        raise ValueError(
            f"stamp {step + 1} is {stamps[step + 1]:.9g} s after {stamps[step]:.9g} s: "
            "expected rising seconds"
        )
