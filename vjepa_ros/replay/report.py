"""`vjepa-ros replay --html`: one page that shows where the model is right, and where it is not.

The worst comes first: steps, then episodes. All pictures are inside the one file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vjepa_ros import html
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.episodes.library import open_episode
from vjepa_ros.planning.world_model import WorldModel
from vjepa_ros.replay import pictures
from vjepa_ros.replay.pictures import Gallery, Picture
from vjepa_ros.replay.results import EpisodeResult, Figures, Replay

_EPISODES = 12  # that are shown in full, the worst first
_STEPS = 6  # that are shown as the worst of all
_STEPS_OF_EPISODE = 2
_STRIP = 16  # frames of a film strip, at most
_TILES = {  # by figure: what it is called, and how it is written
    "prediction.1.ratio_to_copy_last": ("of copy-last's error, one step ahead", "{:.0%}"),
    "energy.rank": ("sampled actions that look better than the recorded one", "{:.0%}"),
    "plan.error_cm": ("between planned and recorded", "{:.1f} cm"),
    "plan.angle_deg": ("between their directions", "{:.0f}°"),
    "plan.gripper_agreement": ("steps at which the fingers agree", "{:.0%}"),
    "plan.score": ("score of jepa-wms, 80 at best", "{:.1f}"),
    "energy.monotony": ("monotony of the energy to the goal, 1 at best", "{:.2f}"),
    "surprise.outliers": ("steps that surprised", "{:.1%}"),
}


def write_report(
    replay: Replay,
    path: Path,
    world_model: WorldModel,
    *,
    failures: Sequence[str] | None = None,
    opening: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> None:
    """The page, and its pictures as PNGs in a folder. `failures` are the gate's, None where there
    was none; `opening` is what open_episode was told when the recordings were scored.
    """
    page = Page(replay, world_model, Gallery(folder), opening or {})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page.html(failures))


@dataclass(frozen=True)
class Step:
    """One scored step of an episode, and how far off the model was there."""

    episode: EpisodeResult
    number: int

    @property
    def name(self) -> str:
        return f"{self.episode.name} step {self.number}"

    @property
    def surprise(self) -> float:
        """As a share of what is usual, or of the episode's median before that is known."""
        surprise = self.episode.surprise
        usual = surprise.thresholds[self.number] or 2 * float(np.median(surprise.values))
        return surprise.values[self.number] / usual if usual else 0.0

    @property
    def plan_index(self) -> int | None:
        """Its place in the episode's plan; None where nothing was planned."""
        plan = self.episode.plan
        if plan is None or self.number not in plan.steps:
            return None
        return plan.steps.index(self.number)

    @property
    def actions(self) -> dict[str, list[float]]:
        """By kind, as the arrows are coloured."""
        plan, index = self.episode.plan, self.plan_index
        if plan is None or index is None:
            return {}
        return {"recorded": plan.recorded[index], "planned": plan.planned[index]}

    @property
    def badness(self) -> tuple[float, float]:
        """What stands out comes first, then what is planned wrong, then the rest."""
        plan, index = self.episode.plan, self.plan_index
        off = plan.error_cm[index] if plan is not None and index is not None else 0.0
        return max(1.0, self.surprise), off

    def told(self) -> str:
        errors = self.episode.prediction
        parts = [
            f"prediction off by {errors.model[0][self.number]:.3f}, "
            f"copy-last by {errors.copy_last[0][self.number]:.3f}"
        ]
        if self.number in self.episode.surprise.outliers:
            parts[0] += ", which surprised"
        plan, index = self.episode.plan, self.plan_index
        if plan is not None and index is not None:
            angle = plan.angle_deg[index]
            turned = "" if angle is None else f" and {angle:.0f}°"
            fingers = "" if plan.gripper_agrees[index] else ", fingers disagree"
            parts.append(f"planned {plan.error_cm[index]:.1f} cm{turned} off{fingers}")
            parts.append(f"{plan.rank[index]:.0%} of sampled actions look better")
        return "; ".join(parts)


def worst_steps(episodes: Sequence[EpisodeResult], count: int) -> list[Step]:
    steps = [
        Step(episode, number)
        for episode in episodes
        for number in range(len(episode.surprise.values))
    ]
    return sorted(steps, key=lambda step: step.badness, reverse=True)[:count]


def worst_episodes(replay: Replay) -> list[EpisodeResult]:
    """All of them, the one that the model predicts worst first."""
    name = "prediction.1.ratio_to_copy_last"
    return sorted(replay.episodes, key=lambda episode: -episode.figures.get(name, np.inf))


class Page:
    def __init__(
        self,
        replay: Replay,
        world_model: WorldModel,
        gallery: Gallery,
        opening: Mapping[str, Any],
    ) -> None:
        self.replay, self.world_model = replay, world_model
        self.gallery, self.opening = gallery, opening
        self._readers: dict[str, EpisodeReader] = {}

    def html(self, failures: Sequence[str] | None) -> str:
        replay = self.replay
        count = len(replay.episodes)
        parts = [self._about(), *_verdict(failures, replay)]
        if replay.episodes:
            parts += [html.figures(_tiles(replay.figures)), self._worst(), self._prediction()]
        if replay.broken:
            parts.append(self._broken())
        if replay.episodes:
            parts.append(self._table())
            parts += [self._episode(one) for one in worst_episodes(replay)[:_EPISODES]]
        return html.page(f"Replay of {count} recording{'s' * (count != 1)}", parts)

    def _about(self) -> str:
        settings = self.replay.settings
        planner = settings.planner
        return html.paragraph(
            f"Weights {settings.weights} ({settings.arithmetic}), a step every "
            f"{settings.step_period:g} s by the {settings.clock} clock, {settings.horizon} steps "
            f"ahead; planner {planner['solver']} {planner['samples']}×{planner['iterations']}, "
            f"horizon {planner['horizon']}, {planner['objective']}, seed {settings.seed}"
            f"{', camera axes corrected' if settings.axes else ''}.",
            "faint",
        )

    # --- the run -----------------------------------------------------------------------------

    def _worst(self) -> str:
        steps = worst_steps(self.replay.episodes, _STEPS)
        return html.section(
            "Worst steps first",
            _arrow_legend(),
            html.cards(*(self._step_card(step, f"worst {step.name}") for step in steps)),
        )

    def _prediction(self) -> str:
        predictions = [episode.prediction for episode in self.replay.episodes]
        rows = [
            [name, *(f"{mean:.3f}" for mean in pictures.horizon_means(errors))]
            for name, errors in (
                ("model", [one.model for one in predictions]),
                ("copy last", [one.copy_last for one in predictions]),
                ("zero action", [one.zero_action for one in predictions]),
            )
        ]
        ahead = [str(step) for step in range(1, len(rows[0]))]
        curve = self.gallery.curve(pictures.plot_horizon(predictions), "prediction by horizon")
        return html.section(
            "Prediction error by horizon",
            html.cards(html.captioned(curve, "Lower is better; over all steps of all recordings")),
            html.table(["steps ahead", *ahead], rows),
        )

    def _broken(self) -> str:
        reasons = html.listing(one.reason for one in self.replay.broken)
        return html.section("Broken recordings", reasons)

    def _table(self) -> str:
        names = [name for name in _TILES if name in self.replay.figures]
        rows = [
            [
                episode.name,
                str(episode.steps),
                *(
                    _TILES[name][1].format(episode.figures[name])
                    if name in episode.figures
                    else "–"
                    for name in names
                ),
            ]
            for episode in worst_episodes(self.replay)
        ]
        shown = f"; the first {_EPISODES} are shown below" if len(rows) > _EPISODES else ""
        return html.section(
            "Recordings, the worst predicted first",
            html.paragraph(f"Columns are named as in the JSON{shown}.", "faint"),
            html.table(["recording", "steps", *names], rows),
        )

    # --- an episode --------------------------------------------------------------------------

    def _episode(self, episode: EpisodeResult) -> str:
        energy = self.gallery.curve(pictures.plot_energy(episode), f"{episode.name} energy")
        surprise = self.gallery.curve(pictures.plot_surprise(episode), f"{episode.name} surprise")
        steps = sorted(worst_steps([episode], _STEPS_OF_EPISODE), key=lambda step: step.number)
        return html.section(
            episode.name,
            html.paragraph(episode.task) if episode.task else "",
            html.figures(_tiles(episode.figures)),
            self._strip(episode),
            html.cards(
                html.captioned(energy, "Energy of each frame to the goal, nothing predicted"),
                html.captioned(surprise, "Prediction one step ahead against what was then seen"),
                *(card for step in steps for card in self._explained(step)),
            ),
        )

    def _strip(self, episode: EpisodeResult) -> str:
        """Frames at even distances, those that surprised, and the goal, which stays in sight."""
        even = np.linspace(0, episode.goal, min(_STRIP, episode.steps)).round().astype(int)
        # What surprised at step k is seen in frame k + 1.
        outliers = {step + 1 for step in episode.surprise.outliers[:_STRIP]}
        steps = [*sorted({*even.tolist(), *outliers} - {episode.goal}), episode.goal]
        cells = []
        for step, frame in zip(steps, self._frames(episode, steps), strict=True):
            style = "goal" if step == episode.goal else "marked" if step in outliers else ""
            caption = f"step {step}, {episode.stamps[step] - episode.stamps[0]:.2f} s"
            name = f"{episode.name} frame {step}"
            cells.append(
                html.captioned(
                    self.gallery.photo(pictures.thumbnail(frame), name),
                    "the goal" if style == "goal" else caption,
                    style,
                )
            )
        return html.strip(*cells)

    def _explained(self, step: Step) -> Iterator[str]:
        yield self._step_card(step, step.name)
        if step.actions:
            figure = pictures.plot_step_landscape(
                self.world_model,
                self.replay.settings.planner["objective"],
                self._frames(step.episode, [step.number, step.number + 1]),
                self._reader(step.episode).trajectory.states[step.number],
                step.actions,
            )
            yield html.captioned(
                self.gallery.map(figure, f"{step.name} landscape"),
                f"Landscape of step {step.number} towards the frame after it: dark is near",
            )

    def _step_card(self, step: Step, name: str) -> str:
        reader = self._reader(step.episode)
        (frame,) = self._frames(step.episode, [step.number])
        calibration = reader.trajectory.calibration
        if calibration is not None and pictures.can_project(calibration):
            position = reader.trajectory.states[step.number, :3]
            frame = pictures.with_arrows(frame, calibration, position, step.actions)
        return html.captioned(self.gallery.photo(frame, name), f"{step.name}: {step.told()}")

    def _reader(self, episode: EpisodeResult) -> EpisodeReader:
        """Its frames are the scored ones."""
        if episode.path not in self._readers:
            recording = open_episode(Path(episode.path), **self.opening)
            self._readers[episode.path] = recording.select(episode.frames)
        return self._readers[episode.path]

    def _frames(self, episode: EpisodeResult, steps: Sequence[int]) -> list[Picture]:
        return list(self._reader(episode).decode(steps))


def _verdict(failures: Sequence[str] | None, replay: Replay) -> Iterator[str]:
    if failures is not None and not failures:
        yield html.paragraph("The gate is passed: every bound holds.", "verdict good")
    for failure in failures or ():
        yield html.paragraph(failure, "verdict bad")
    if replay.broken:
        count = len(replay.broken)
        broken = f"{count} recording{'s' * (count != 1)} cannot be read: see below."
        yield html.paragraph(broken, "verdict bad")


def _tiles(figures: Figures) -> dict[str, str]:
    return {
        what: form.format(figures[name]) for name, (what, form) in _TILES.items() if name in figures
    }


def _arrow_legend() -> str:
    return html.paragraph(
        "Arrows over the picture, through the camera's calibration: green is the recorded motion "
        "of one step, orange the planned one; both begin at the tool.",
        "faint",
    )
