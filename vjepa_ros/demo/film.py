"""What was recorded, looked at again: every frame with its latents and its energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_gate.ros.stamps import seconds
from vjepa_ros.demo.performance import Performance
from vjepa_ros.demo.settings import DemoSettings
from vjepa_ros.episodes.bag import read_bag
from vjepa_ros.episodes.episode import Episode
from vjepa_ros.evaluation.trials import Moment
from vjepa_ros.evaluation.video import Film
from vjepa_ros.images import decode_picture
from vjepa_ros.model.decoder import Decoder, decoder_of
from vjepa_ros.model.latent_picture import LatentPainter
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.planning.config import choose_planner
from vjepa_ros.planning.imagination import Illustrator
from vjepa_ros.planning.loading import Loaded, load_world_model
from vjepa_ros.planning.objectives import make_objective

_PERIOD = 0.2  # seconds between two frames, more where there would be more than _MOST
_MOST = 400
_RATE = 10.0  # frames a second of the film
_SHEETS = 3  # of what was imagined
_BEFORE, _AFTER = 0.5, 1.0  # seconds shown before the first plan and after the last


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A few frames each second, from the first plan to the end."""

    episode: Episode
    times: NDArray[np.float64]  # [T] seconds since the first plan
    energies: NDArray[np.float64]  # [T] of each frame against the goal of that time
    goals: NDArray[np.int64]  # [T] index of that goal
    film: Film
    imagined: Sequence[NDArray[np.uint8]]  # sheets of an `Illustrator`; none without a decoder


def look_again(bag: Path, performance: Performance, settings: DemoSettings) -> Recording:
    """Read the recording again and encode each of its frames, for film and plots."""
    planned_at = np.array([seconds(plan.image_stamp) for plan in performance.plans])
    aims = np.array([plan.subgoal for plan in performance.plans])
    episode = _between(bag, planned_at[0] - _BEFORE, planned_at[-1] + _AFTER)
    goals = aims[(np.searchsorted(planned_at, episode.stamps, "right") - 1).clip(0)]

    pictures = [decode_picture(path.read_bytes()) for path in performance.pictures]
    loaded = load_world_model(settings.chosen_weights)
    painter = LatentPainter(Preprocessor(loaded.config.image_size, loaded.config.crop))
    objective = make_objective(choose_planner(loaded.planner).objective)
    wanted = loaded.world_model.encode(torch.from_numpy(np.stack(pictures)))  # [G, L, D]
    times, energies = episode.stamps - planned_at[0], []
    film = Film(pictures, rate=_RATE)
    for time, rgb, goal in zip(times, episode.frames, goals.tolist(), strict=True):
        latents = loaded.world_model.encode(torch.from_numpy(rgb)[None])
        energies.append(float(objective.distance(latents, wanted[goal])))
        moment = Moment(rgb=rgb, goal=goal, energy=energies[-1])
        film.add(moment, f"{time:.1f} s", painter.paint(latents[0]).numpy())
    return Recording(
        episode=episode,
        times=times,
        energies=np.array(energies),
        goals=goals,
        film=film,
        imagined=_imagined(bag, loaded, decoder_of(settings.chosen_weights, loaded.identity)),
    )


def _imagined(bag: Path, loaded: Loaded, decoder: Decoder | None) -> list[NDArray[np.uint8]]:
    """What the model imagines from a few frames on, as many steps as it was trained for; not
    where the recording lacks frames.
    """
    if decoder is None:
        return []
    illustrator, period = Illustrator(loaded.world_model, decoder), loaded.config.step_period
    ahead = period * np.arange(loaded.world_model.reach + 1)
    reader = read_bag(bag, gaps=True)
    stamps = reader.trajectory.stamps
    sheets = []
    for start in np.linspace(stamps[0], stamps[-1] - ahead[-1], _SHEETS):
        steps = np.abs(stamps[:, None] - (start + ahead)).argmin(0)
        late = np.abs(stamps[steps] - start - ahead)
        if late.max() > period / 2 or np.diff(steps).min() < 1:
            continue
        window = reader.select(steps).load()
        states, actions = (torch.from_numpy(one).float() for one in (window.states, window.actions))
        rgb = torch.from_numpy(np.stack(list(window.frames)))
        sheets.append(illustrator.sheet(rgb, states, actions).numpy())
    return sheets


def _between(bag: Path, start: float, end: float) -> Episode:
    """The recording from one stamp to another, with fewer frames where some are missing."""
    reader = read_bag(bag, gaps=True)
    stamps = reader.trajectory.stamps
    start, end = max(start, stamps[0]), min(end, stamps[-1])
    grid = np.arange(start, end, max(_PERIOD, (end - start) / _MOST))
    return reader.select(np.unique(np.searchsorted(stamps, grid))).load()
