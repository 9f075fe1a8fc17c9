"""Many recordings replayed by as many processes as wanted."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.conventions import POSITION
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.library import find_episodes, open_episode
from vjepa_ros.episodes.workers import Workers, run_all
from vjepa_ros.planning.axes import Axes, load_axes
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.replay import metrics
from vjepa_ros.replay.actions import tracking_of
from vjepa_ros.replay.clocks import CLOCKS, Clock, at_steps, frames_by
from vjepa_ros.replay.figures import figures_of
from vjepa_ros.replay.metrics import Method, Scores
from vjepa_ros.replay.results import (
    Broken,
    ClockFigures,
    Clocks,
    EpisodeResult,
    Replay,
    ReplaySettings,
)

_CLOCK_STEPS = 50  # of an episode, on which its two clocks are compared


@dataclass(frozen=True, kw_only=True)
class ReplayConfig:
    """What is asked for; None takes what the weights were trained with."""

    weights: Path
    device: str = "cpu"
    seed: int = 0
    clock: Clock = "stamped"
    step_period: float | None = None  # seconds
    nominal_rate: float | None = None  # frames a second by the nominal clock; None: one a step
    ahead: int | None = None  # steps that are predicted
    samples_ranked: int = 64
    plan_every: int | None = 1  # steps; None: nothing is planned or ranked
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    planner_name: str | None = None  # of the one that `planner` started from
    axes: Path | None = None  # a file of `vjepa-ros calibrate`
    opening: dict[str, Any] = field(default_factory=dict)  # of open_episode

    def settings(self) -> ReplaySettings:
        """Load the weights and name all that determines the figures."""
        loaded = load_world_model(self.weights, self.device)
        axes = self._axes()
        dtype = str(loaded.world_model.dtype).removeprefix("torch.")
        return ReplaySettings(
            weights=loaded.identity,
            arithmetic=f"{dtype} on {self.device}",
            seed=self.seed,
            clock=self.clock,
            step_period=self.step_period or loaded.config.step_period,
            nominal_rate=self.nominal_rate,
            horizon=self.ahead or loaded.world_model.reach,
            samples_ranked=self.samples_ranked,
            plan_every=self.plan_every,
            planner={"name": self.planner_name, **asdict(self.planner)},
            axes=None if axes is None else [list(row) for row in axes.matrix],
        )

    def _axes(self) -> Axes | None:
        if self.axes is None:
            return None
        axes = load_axes(self.axes)
        axes.check_weights(load_world_model(self.weights, self.device).identity)
        return axes

    def method(self) -> Method:
        """Give what each episode is scored with."""
        return Method(
            horizon=self.settings().horizon,
            plan_every=self.plan_every,
            planner=self.planner,
            axes=self._axes(),
            samples_ranked=self.samples_ranked,
            seed=self.seed,
        )


def replay(config: ReplayConfig, sources: Sequence[Path], *, workers: Workers = None) -> Replay:
    """Every episode at or under the sources; those that cannot be scored are told apart."""
    _check(config)
    paths = named_episodes(sources)
    results = dict(
        run_all(partial(_replay_one, config), list(paths), workers=workers, title="replay")
    )
    good, broken = [], []
    for path, name in paths.items():
        result = results[path]
        if isinstance(result, EpisodeError):
            broken.append(Broken(name=name, path=str(path), reason=str(result)))
        else:
            good.append(replace(result, name=name))
    return Replay(
        settings=config.settings(), episodes=good, broken=broken, figures=figures_of(good)
    )


def named_episodes(sources: Sequence[Path]) -> dict[Path, str]:
    """Each episode at or under some paths, and its path below what they have in common."""
    found = {source: list(find_episodes(source)) or [source] for source in sources}
    bases = [source.parent if paths == [source] else source for source, paths in found.items()]
    common = os.path.commonpath([base.absolute() for base in bases])
    return {
        path: os.path.relpath(path.absolute(), common) for paths in found.values() for path in paths
    }


def _check(config: ReplayConfig) -> None:
    """What is wrong with the settings is not to be told of every episode."""
    loaded = load_world_model(config.weights, config.device)
    steps = {"ahead": config.settings().horizon}
    if config.plan_every is not None:
        steps["horizon"] = config.planner.horizon
    for name, count in steps.items():
        if count > loaded.world_model.reach:
            raise ValueError(
                f"{name} is {count}, but {loaded.identity} was trained for "
                f"{loaded.world_model.reach} steps"
            )


# --- one episode -------------------------------------------------------------------------


def _replay_one(config: ReplayConfig, path: Path) -> EpisodeResult:
    torch.set_num_threads(1)  # the bits of a sum may depend on how many threads share it
    recording = open_episode(path, **config.opening)
    try:
        return _score(config, recording)
    except ValueError as error:
        raise EpisodeError(path, "replay", str(error)) from error


def _score(config: ReplayConfig, recording: EpisodeReader) -> EpisodeResult:
    loaded = load_world_model(config.weights, config.device)
    period = config.step_period or loaded.config.step_period
    frames = frames_by(config.clock, recording.trajectory.stamps, period, config.nominal_rate)
    reader = at_steps(recording, frames)
    scores = metrics.score(reader, loaded.world_model, config.method())
    episode = EpisodeResult(
        name=recording.path.name,
        path=str(recording.path),
        task=recording.trajectory.task,
        frames=frames.tolist(),
        stamps=reader.trajectory.stamps.tolist(),
        goal=len(frames) - 1,
        goal_energy=scores.goal_energy,
        prediction=scores.prediction,
        plan=scores.plan,
        surprise=scores.surprise,
        tracking=tracking_of(reader.trajectory),
        clocks=_clocks(config, recording, frames, scores),
        figures={},
    )
    return replace(episode, figures=figures_of([episode]))


def _clocks(
    config: ReplayConfig, recording: EpisodeReader, scored: NDArray[np.int64], scores: Scores
) -> Clocks:
    figures = {clock: _clock(clock, config, recording, scored, scores) for clock in CLOCKS}
    return Clocks(frame_period=recording.trajectory.step_period, **figures)


def _clock(
    clock: Clock,
    config: ReplayConfig,
    recording: EpisodeReader,
    scored: NDArray[np.int64],
    scores: Scores,
) -> ClockFigures | None:
    """The first steps by one clock; None where it finds no steps."""
    loaded = load_world_model(config.weights, config.device)
    period = config.step_period or loaded.config.step_period
    try:
        frames = frames_by(clock, recording.trajectory.stamps, period, config.nominal_rate)
        reader = at_steps(recording, frames[: _CLOCK_STEPS + 1])
    except ValueError:
        return None
    if not np.array_equal(frames, scored):
        method = replace(config.method(), horizon=1, plan_every=None)
        scores = metrics.score(reader, loaded.world_model, method)
    steps = len(reader) - 1
    model, copy_last = (
        sum(errors[0][:steps]) for errors in (scores.prediction.model, scores.prediction.copy_last)
    )
    ways = np.linalg.norm(reader.trajectory.actions[:, POSITION], axis=1)
    return ClockFigures(
        steps=steps,
        step_cm=100 * float(np.median(ways)),
        ratio_to_copy_last=model / copy_last if copy_last > 0 else None,
    )
