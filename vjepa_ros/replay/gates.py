"""Bounds that the figures of a replay must keep, and what to say where they do not.

A gate is a YAML file of up to three sections. `run` bounds the figures of all episodes together,
`episode` those of each by itself, `diff` by how much they may move between two runs:

    run:
      prediction.1.ratio_to_copy_last: {max: 0.8}
    episode:
      clock.frame_period: {min: 0.2, max: 0.3}
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vjepa_gate.errors import UserError
from vjepa_gate.fields import unknown
from vjepa_gate.settings import make, read_yaml, setting
from vjepa_ros.replay.figures import Terms, better, names, terms_of
from vjepa_ros.replay.results import EpisodeResult, Figures, Replay


@dataclass(frozen=True, kw_only=True)
class Bound:
    """What a figure must not go below or above."""

    min: float | None = setting(None, "least value")
    max: float | None = setting(None, "largest value")

    def __post_init__(self) -> None:
        if self.min is None and self.max is None:
            raise ValueError("has nothing, expected min, max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is more than max {self.max:g}")

    def broken_by(self, value: float) -> str | None:
        """Which limit a value is beyond, as a person reads it."""
        if self.max is not None and not value <= self.max:
            return f"max {self.max:g}"
        if self.min is not None and not value >= self.min:
            return f"min {self.min:g}"
        return None

    def broken_by_interval(self, low: float, high: float) -> str | None:
        """Likewise, where all of it is beyond: what chance may have done breaks no bound."""
        limits = [self.broken_by(value) for value in (low, high)]
        return limits[0] if limits[0] == limits[1] else None

    def worst_step(self, terms: Terms) -> tuple[float, int]:
        """How far beyond the limit the worst step takes the figure, and which step it is."""
        if self.max is not None and (self.min is None or terms.value > self.max):
            return terms.worst(self.max, above=True)
        assert self.min is not None
        return terms.worst(self.min, above=False)


Bounds = Mapping[str, Bound]


@dataclass(frozen=True, kw_only=True)
class ReplayGate:
    """All bounds, by section and figure."""

    run: Bounds = field(default_factory=dict)
    episode: Bounds = field(default_factory=dict)
    diff: Bounds = field(default_factory=dict)

    def __post_init__(self) -> None:
        for section, bounds in vars(self).items():
            for name in bounds:
                if better(name) is None:
                    raise ValueError(unknown(f"{section}: {name}", name, names()))


def read_gate(path: Path) -> ReplayGate:
    """Read a gate file; raise UserError where it is none."""
    return make(ReplayGate, read_yaml(ReplayGate, path), path)


# --- checking ----------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Violation:
    """A bound that was not kept, with the episode and step that are most to blame."""

    name: str
    problem: str
    episode: str | None = None
    step: int | None = None
    frame: int | None = None

    def __str__(self) -> str:
        where = "" if self.episode is None else f"{self.episode}, step {self.step} "
        where += "" if self.frame is None else f"(frame {self.frame}): "
        return f"{where}{self.name} {self.problem}"


def check(gate: ReplayGate, replay: Replay) -> list[Violation]:
    """Find the bounds of `run` and `episode` that a replay breaks."""
    terms = [(episode, terms_of(episode)) for episode in replay.episodes]
    violations: list[Violation] = []
    for name, bound in gate.run.items():
        having = [(episode, found[name]) for episode, found in terms if name in found]
        violations += _of_run(name, bound, replay.figures, having)
    for name, bound in gate.episode.items():
        having = [(episode, found[name]) for episode, found in terms if name in found]
        violations += [] if having else [_unmeasured(name)]
        violations += [one for pair in having for one in _of_episode(name, bound, *pair)]
    return violations


def _of_run(
    name: str, bound: Bound, figures: Figures, having: Sequence[tuple[EpisodeResult, Terms]]
) -> Iterator[Violation]:
    if not having:
        yield _unmeasured(name)
    elif limit := bound.broken_by(figures[name]):
        worst, terms = max(having, key=lambda pair: bound.worst_step(pair[1])[0])
        problem = f"of the run is {figures[name]:.4g}, bound {limit}"
        yield _at_worst(name, problem, bound, worst, terms)


def _of_episode(
    name: str, bound: Bound, episode: EpisodeResult, terms: Terms
) -> Iterator[Violation]:
    value = episode.figures[name]
    if limit := bound.broken_by(value):
        problem = f"of the episode is {value:.4g}, bound {limit}"
        yield _at_worst(name, problem, bound, episode, terms)


def _at_worst(
    name: str, problem: str, bound: Bound, episode: EpisodeResult, terms: Terms
) -> Violation:
    _, step = bound.worst_step(terms)
    return Violation(
        name=name, problem=problem, episode=episode.name, step=step, frame=episode.frames[step]
    )


def _unmeasured(name: str) -> Violation:
    """A bound on what nobody measures would be kept for ever."""
    return Violation(name=name, problem="has a bound, but no episode has this figure")


# --- making one --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Margin:
    """What a figure may get worse by: a share of its value and a number."""

    share: float = 0.0
    number: float = 0.0

    def around(self, name: str, low: float, high: float) -> Bound:
        """For values from low to high; a figure may get better as much as it likes."""
        below, above = low - self._of(low), high + self._of(high)
        match better(name):
            case "low":
                return Bound(max=_rounded(above))
            case "high":
                return Bound(min=_rounded(below))
        return Bound(min=_rounded(below), max=_rounded(above))

    def _of(self, value: float) -> float:
        return self.share * abs(value) + self.number


_RUN_MARGINS = {
    **{f"prediction.{ahead}.ratio_to_copy_last": _Margin(share=0.05) for ahead in range(1, 9)},
    **{f"prediction.{ahead}.error": _Margin(share=0.05) for ahead in range(1, 9)},
    "energy.monotony": _Margin(number=0.1),
    "energy.rank": _Margin(number=0.05),
    "plan.error_cm": _Margin(share=0.2),
    "plan.gripper_agreement": _Margin(number=0.1),
    "plan.gripper_moves_agreement": _Margin(number=0.3),
    "plan.score": _Margin(number=8),
    "tracking.error_cm": _Margin(number=0.3),
    "tracking.turn_deg": _Margin(number=0.5),
}
_EPISODE_MARGINS = {
    "prediction.1.ratio_to_copy_last": _Margin(share=0.15),
    "clock.frame_period": _Margin(share=0.1),
    "clock.stamped.step_cm": _Margin(share=0.5),
}


def gate_around(replay: Replay) -> ReplayGate:
    """The bounds that this run keeps with some room, and a run that is worse does not."""
    if not replay.episodes:
        raise UserError("no episode could be scored: there is nothing to put a gate around")
    run = {
        name: margin.around(name, replay.figures[name], replay.figures[name])
        for name, margin in _RUN_MARGINS.items()
        if name in replay.figures
    }
    episode = {}
    for name, margin in _EPISODE_MARGINS.items():
        values = [one.figures[name] for one in replay.episodes if name in one.figures]
        if values:
            episode[name] = margin.around(name, min(values), max(values))
    return ReplayGate(run=run, episode=episode)


def write_gate(path: Path, gate: ReplayGate, replay: Replay) -> None:
    """Write a gate file that tells what run it is around."""
    settings = replay.settings
    lines = [
        f"# Around a run of {len(replay.episodes)} episodes with {settings.weights} "
        f"({settings.arithmetic}), seed {settings.seed}."
    ]
    for section, bounds in vars(gate).items():
        lines += [f"{section}:"] if bounds else []
        for name, bound in bounds.items():
            limits = [
                f"{limit}: {value:g}"
                for limit in ("min", "max")
                if (value := getattr(bound, limit)) is not None
            ]
            lines.append(f"  {name}: {{{', '.join(limits)}}}")
    path.write_text("\n".join(lines) + "\n")


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
