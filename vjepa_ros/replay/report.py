"""`vjepa-ros replay --html`: one page that shows where the model is right, and where it is not.

The worst comes first: steps, then episodes. All pictures are inside the one file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vjepa_ros import html
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.episodes.library import open_episode
from vjepa_ros.html import Captioned
from vjepa_ros.model.decoder import Decoder
from vjepa_ros.planning.imagination import ROWS, Illustrator
from vjepa_ros.planning.world_model import WorldModel
from vjepa_ros.replay import pictures
from vjepa_ros.replay.pictures import Gallery, Picture
from vjepa_ros.replay.results import EpisodeResult, Figures, Replay

Table = tuple[list[str], list[list[str]]]  # header and rows

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
    decoder: Decoder | None = None,
) -> None:
    """The page, and its pictures as PNGs in a folder. `failures` are the gate's, None where there
    was none; `opening` is what open_episode was told when the recordings were scored; a decoder
    shows what was imagined.
    """
    count = len(replay.episodes)
    text = html.render(
        "replay.html",
        title=f"Replay of {count} recording{'s' * (count != 1)}",
        page=Page(replay, world_model, Gallery(folder), opening or {}, decoder),
        replay=replay,
        failures=failures,
        shown=worst_episodes(replay)[:_EPISODES],
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@dataclass(frozen=True)
class Step:
    """One scored step of an episode, and how far off the model was there."""

    episode: EpisodeResult
    number: int

    @property
    def name(self) -> str:
        """Unlike that of any other step of the run."""
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

    def describe(self) -> str:
        """Say how far off prediction and plan were."""
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
    """Find the steps that are furthest off, the worst first."""
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
    """What the template asks for."""

    def __init__(
        self,
        replay: Replay,
        world_model: WorldModel,
        gallery: Gallery,
        opening: Mapping[str, Any],
        decoder: Decoder | None,
    ) -> None:
        self.replay, self.world_model, self.decoder = replay, world_model, decoder
        self.gallery, self.opening = gallery, opening
        self._readers: dict[str, EpisodeReader] = {}

    def tiles(self, figures: Figures) -> dict[str, str]:
        """The large numbers, by what they are."""
        return {
            what: form.format(figures[name])
            for name, (what, form) in _TILES.items()
            if name in figures
        }

    # --- the run -----------------------------------------------------------------------------

    def worst(self) -> list[Captioned]:
        """The steps that are worst of all."""
        steps = worst_steps(self.replay.episodes, _STEPS)
        return [self._step_card(step, f"worst {step.name}") for step in steps]

    def horizon_curve(self) -> Captioned:
        """Errors over steps ahead, as a curve."""
        figure = pictures.plot_horizon([episode.prediction for episode in self.replay.episodes])
        curve = self.gallery.curve(figure, "prediction by horizon")
        return Captioned(curve, "Lower is better; over all steps of all recordings")

    def horizon_table(self) -> Table:
        """Errors over steps ahead, in figures."""
        predictions = [episode.prediction for episode in self.replay.episodes]
        rows = [
            [name, *(f"{mean:.3f}" for mean in pictures.horizon_means(errors))]
            for name, errors in (
                ("model", [one.model for one in predictions]),
                ("copy last", [one.copy_last for one in predictions]),
                ("zero action", [one.zero_action for one in predictions]),
            )
        ]
        return ["steps ahead", *(str(step) for step in range(1, len(rows[0])))], rows

    def episodes_table(self) -> Table:
        """One row an episode, the worst first."""
        names = [name for name in _TILES if name in self.replay.figures]

        def cell(figures: Figures, name: str) -> str:
            return _TILES[name][1].format(figures[name]) if name in figures else "–"

        rows = [
            [episode.name, str(episode.steps), *(cell(episode.figures, name) for name in names)]
            for episode in worst_episodes(self.replay)
        ]
        return ["recording", "steps", *names], rows

    # --- an episode --------------------------------------------------------------------------

    def strip(self, episode: EpisodeResult) -> Iterator[Captioned]:
        """Frames at even distances, those that surprised, and the goal, which stays in sight."""
        even = np.linspace(0, episode.goal, min(_STRIP, episode.steps)).round().astype(int)
        # What surprised at step k is seen in frame k + 1.
        outliers = {step + 1 for step in episode.surprise.outliers[:_STRIP]}
        steps = [*sorted({*even.tolist(), *outliers} - {episode.goal}), episode.goal]
        for step, frame in zip(steps, self._frames(episode, steps), strict=True):
            photo = self.gallery.photo(pictures.thumbnail(frame), f"{episode.name} frame {step}")
            if step == episode.goal:
                yield Captioned(photo, "the goal", "goal")
            else:
                caption = f"step {step}, {episode.stamps[step] - episode.stamps[0]:.2f} s"
                yield Captioned(photo, caption, "marked" if step in outliers else "")

    def explained(self, episode: EpisodeResult) -> Iterator[Captioned]:
        """Its curves, its worst steps and their landscapes."""
        energy = self.gallery.curve(pictures.plot_energy(episode), f"{episode.name} energy")
        yield Captioned(energy, "Energy of each frame to the goal, nothing predicted")
        surprise = self.gallery.curve(pictures.plot_surprise(episode), f"{episode.name} surprise")
        yield Captioned(surprise, "Prediction one step ahead against what was then seen")
        worst = worst_steps([episode], _STEPS_OF_EPISODE)
        for step in sorted(worst, key=lambda step: step.number):
            yield self._step_card(step, step.name)
            if self.decoder is not None:
                yield self._imagined(step, self.decoder)
            if step.actions:
                yield self._landscape(step)

    def _imagined(self, step: Step, decoder: Decoder) -> Captioned:
        ahead = min(self.replay.settings.horizon, step.episode.steps - 1 - step.number)
        steps = range(step.number, step.number + ahead + 1)
        trajectory = self._reader(step.episode).trajectory
        sheet = Illustrator(self.world_model, decoder).sheet(
            torch.from_numpy(np.stack(self._frames(step.episode, steps))),
            torch.from_numpy(trajectory.states[steps.start : steps.stop]).float(),
            torch.from_numpy(trajectory.actions[steps.start : steps.stop - 1]).float(),
        )
        return Captioned(
            self.gallery.photo(sheet.numpy(), f"{step.name} imagined"),
            f"{ahead} steps from step {step.number} on, from above: {ROWS}",
        )

    def _landscape(self, step: Step) -> Captioned:
        figure = pictures.plot_step_landscape(
            self.world_model,
            self.replay.settings.planner["objective"],
            self._frames(step.episode, [step.number, step.number + 1]),
            self._reader(step.episode).trajectory.states[step.number],
            step.actions,
        )
        return Captioned(
            self.gallery.map(figure, f"{step.name} landscape"),
            f"Landscape of step {step.number} towards the frame after it: dark is near",
        )

    def _step_card(self, step: Step, name: str) -> Captioned:
        reader = self._reader(step.episode)
        (frame,) = self._frames(step.episode, [step.number])
        calibration = reader.trajectory.calibration
        if calibration is not None and pictures.can_project(calibration):
            position = reader.trajectory.states[step.number, :3]
            frame = pictures.with_arrows(frame, calibration, position, step.actions)
        return Captioned(self.gallery.photo(frame, name), f"{step.name}: {step.describe()}")

    def _reader(self, episode: EpisodeResult) -> EpisodeReader:
        """Its frames are the scored ones."""
        if episode.path not in self._readers:
            recording = open_episode(Path(episode.path), **self.opening)
            self._readers[episode.path] = recording.select(episode.frames)
        return self._readers[episode.path]

    def _frames(self, episode: EpisodeResult, steps: Sequence[int]) -> list[Picture]:
        return list(self._reader(episode).decode(steps))
