"""The figures of a replay by name, each a sum over steps divided by another.

Kept as their terms, one pair a step, figures of an episode and of a whole run are formed alike,
the step that is most to blame can be named, and runs can be compared step by step.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from vjepa_ros.replay.actions import action_score
from vjepa_ros.replay.clocks import CLOCKS
from vjepa_ros.replay.results import ClockFigures, EpisodeResult, Figures

Better = Literal["low", "high", "same"]  # than before
Numbers = TypeVar("Numbers", float, NDArray[np.float64])

# By their names after `prediction.H.`, H steps ahead.
_PREDICTION: dict[str, Better] = {
    "error": "low",
    "ratio_to_copy_last": "low",
    "ratio_to_zero_action": "low",
}
_OTHERS: dict[str, Better] = {
    "energy.rank": "low",
    "energy.monotony": "high",
    "plan.error_cm": "low",
    "plan.angle_deg": "low",
    "plan.gripper_agreement": "high",
    "plan.gripper_moves_agreement": "high",
    "plan.score": "high",
    "surprise.outliers": "low",
    "tracking.error_cm": "low",
    "tracking.turn_deg": "low",
    "clock.frame_period": "same",
    "clock.stamped.step_cm": "same",
    "clock.stamped.ratio_to_copy_last": "low",
    "clock.nominal.step_cm": "same",
    "clock.nominal.ratio_to_copy_last": "low",
}


def better(name: str) -> Better | None:
    """Which way a figure should move; None where there is none of that name."""
    match name.split(".", 2):
        case ["prediction", ahead, kind] if ahead.isdecimal() and int(ahead) > 0:
            return _PREDICTION.get(kind)
    return _OTHERS.get(name)


def names() -> list[str]:
    """For a person to read."""
    return [f"prediction.H.{kind}" for kind in _PREDICTION] + list(_OTHERS)


@dataclass(frozen=True, eq=False)
class Terms:
    """A figure is over.sum() / under.sum()."""

    steps: NDArray[np.int64]  # [N] to which the terms belong
    over: NDArray[np.float64]  # [N]
    under: NDArray[np.float64]  # [N]

    @property
    def value(self) -> float:
        """The figure itself."""
        return float(self.over.sum() / self.under.sum())

    def worst(self, bound: float, *, above: bool) -> tuple[float, int]:
        """How far the worst step takes the figure above, or below, a bound; and which it is."""
        excess = (self.over - bound * self.under) * (1 if above else -1)
        worst = int(excess.argmax())
        return float(excess[worst]), int(self.steps[worst])


def terms_of(episode: EpisodeResult) -> dict[str, Terms]:
    """Of every figure that this episode has."""
    pairs = {name: list(pairs) for name, pairs in _all_pairs(episode)}
    return {
        name: Terms(*(np.array(column) for column in zip(*rows, strict=True)))
        for name, rows in pairs.items()
        if sum(under for _, _, under in rows) > 0
    }


def figures_of(episodes: Sequence[EpisodeResult]) -> Figures:
    """Of one episode, or of all of a run together: every step counts the same."""
    sums: dict[str, NDArray[np.float64]] = {}
    for episode in episodes:
        for name, terms in terms_of(episode).items():
            both = np.array((terms.over.sum(), terms.under.sum()))
            sums[name] = sums.get(name, np.zeros(2)) + both
    return {name: float(figure(name, *both)) for name, both in sums.items()}


def figure(name: str, over: Numbers, under: Numbers) -> Numbers:
    """From its two sums; the score alone has a floor."""
    value = over / under
    return np.maximum(0.0, value) if name == "plan.score" else value


# --- terms -------------------------------------------------------------------------------

Row = tuple[int, float, float]  # step, over, under


def _all_pairs(episode: EpisodeResult) -> Iterator[tuple[str, Iterator[Row]]]:
    found = episode.prediction
    baselines = {"copy_last": found.copy_last, "zero_action": found.zero_action}
    for ahead, errors in enumerate(found.model):
        name = f"prediction.{ahead + 1}"
        yield f"{name}.error", _mean(range(len(errors)), errors)
        for baseline, rows in baselines.items():
            row = zip(range(len(errors)), errors, rows[ahead], strict=True)
            yield f"{name}.ratio_to_{baseline}", row
    yield "energy.monotony", _once(*_monotony(episode.goal_energy))
    yield from _of_plans(episode)
    yield from _of_surprise(episode)
    if (tracking := episode.tracking) is not None:
        steps = range(len(tracking.turn_deg))
        yield "tracking.error_cm", _mean(steps, tracking.error_cm)
        yield "tracking.turn_deg", _mean(steps, tracking.turn_deg)
    yield from _of_clocks(episode)


def _mean(steps: Sequence[int], values: Sequence[float | None]) -> Iterator[Row]:
    """Steps without a value do not count."""
    for step, value in zip(steps, values, strict=True):
        if value is not None:
            yield step, float(value), 1.0


def _once(step: int, value: float | None) -> Iterator[Row]:
    """A figure of the whole episode, and the step that tells most about it."""
    return _mean([step], [value])


def _monotony(energies: Sequence[float]) -> tuple[int, float | None]:
    """1 when the energy to the goal falls at every step, -1 when it rises (Spearman's rho)."""
    steepest_rise = int(np.diff(energies).argmax())
    if len(energies) < 3 or min(energies) == max(energies):
        return steepest_rise, None
    return steepest_rise, -float(spearmanr(range(len(energies)), energies).statistic)


def _of_plans(episode: EpisodeResult) -> Iterator[tuple[str, Iterator[Row]]]:
    plan = episode.plan
    if plan is None:
        return
    moved = [
        float(agrees) if moves else None
        for agrees, moves in zip(plan.gripper_agrees, plan.gripper_moves, strict=True)
    ]
    yield "energy.rank", _mean(plan.steps, plan.rank)
    yield "plan.error_cm", _mean(plan.steps, plan.error_cm)
    yield "plan.angle_deg", _mean(plan.steps, plan.angle_deg)
    yield "plan.gripper_agreement", _mean(plan.steps, [float(one) for one in plan.gripper_agrees])
    yield "plan.gripper_moves_agreement", _mean(plan.steps, moved)
    yield "plan.score", _mean(plan.steps, [action_score(one) for one in plan.action_error])


def _of_surprise(episode: EpisodeResult) -> Iterator[tuple[str, Iterator[Row]]]:
    surprise = episode.surprise
    judged = [step for step, threshold in enumerate(surprise.thresholds) if threshold is not None]
    stand_out = set(surprise.outliers)
    yield "surprise.outliers", _mean(judged, [float(step in stand_out) for step in judged])


def _of_clocks(episode: EpisodeResult) -> Iterator[tuple[str, Iterator[Row]]]:
    longest = int(np.diff(episode.stamps).argmax())
    yield "clock.frame_period", _once(longest, episode.clocks.frame_period)
    for name in CLOCKS:
        clock: ClockFigures | None = getattr(episode.clocks, name)
        if clock is not None:
            yield f"clock.{name}.step_cm", _once(longest, clock.step_cm)
            yield f"clock.{name}.ratio_to_copy_last", _once(longest, clock.ratio_to_copy_last)
