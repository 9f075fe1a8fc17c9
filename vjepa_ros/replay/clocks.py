"""Which recorded frames are the steps of a replay.

A model knows one length of a step. By the `stamped` clock the frames nearest to that grid are
chosen. Stamps can lie, as those of DROID's videos do: the `nominal` clock counts frames instead,
taken at a rate that the user knows, or one a step.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.episodes.episode import EpisodeReader, steps_every

Clock = Literal["stamped", "nominal"]
CLOCKS: tuple[Clock, ...] = get_args(Clock)


def frames_by(
    clock: Clock, stamps: NDArray[np.float64], step_period: float, nominal_rate: float | None
) -> NDArray[np.int64]:
    """The recorded frames, rising, at a step period each; ValueError where there is a gap."""
    if clock == "stamped":
        return steps_every(stamps, step_period)
    counted = np.arange(len(stamps))
    return counted if nominal_rate is None else steps_every(counted / nominal_rate, step_period)


def at_steps(reader: EpisodeReader, frames: NDArray[np.int64]) -> EpisodeReader:
    """Select these frames; raise ValueError where they make no step."""
    if len(frames) < 2:
        raise ValueError(
            f"{len(reader)} frames in {np.ptp(reader.trajectory.stamps):.3g} s: expected at least "
            "two that are a step period apart (wrong stamps? see --clock nominal)"
        )
    return reader.select(frames)
