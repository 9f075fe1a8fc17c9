"""Training windows streamed from disk: an index in memory, frames unpacked beside the episodes.

Opening and decoding an episode costs more than training on a window of it. So the frames, as
the model will see them, are unpacked once into one large file that windows are read from.
Which windows make up the batch of a step depends on the seed and the step alone, so a run
that was killed goes on with the very batches that it would have seen.
"""

import functools
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vjepa_ros.conventions import POSITION
from vjepa_ros.episodes.episode import Trajectory
from vjepa_ros.episodes.files import EpisodeError, written_whole
from vjepa_ros.episodes.library import find_episodes, open_episode, written_at
from vjepa_ros.model.preprocessing import MEAN, STD, Preprocessor
from vjepa_ros.training.labels import object_of_the_task

Item = TypeVar("Item")
Result = TypeVar("Result")

_FORMAT = 2  # of what is unpacked
FAR = 0.06  # metres from the tool from which on an object counts as far


@dataclass(frozen=True)
class Batch:
    """B windows of T consecutive steps."""

    frames: Tensor  # uint8 [B, T, size, size, 3]
    states: Tensor  # [B, T, 7]
    actions: Tensor  # [B, T - 1, 7] what the arm did: the difference of the states
    commanded: Tensor  # [B, T - 1, 7] what it was told to do; NaN where that is not recorded
    objects: Tensor  # [B, T, 4] where the object of a task is, metres, and 1 where it is held
    latents: Tensor | None = None  # [B, T, L, D] where they were encoded before; no frames then

    def to(self, device: torch.device) -> Self:
        """Move to a device."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        there = {name: one for name, one in values if one is not None}
        return type(self)(
            **{name: one.to(device, non_blocking=True) for name, one in there.items()}
        )

    @property
    def windows(self) -> int:
        """How many there are."""
        return len(self.states)

    def pixels(self) -> Tensor:
        """Normalised, [B, T, 3, size, size]."""
        mean, std = (torch.tensor(values, device=self.frames.device) for values in (MEAN, STD))
        return ((self.frames - mean) / std).permute(0, 1, 4, 2, 3).contiguous()


@dataclass(frozen=True, kw_only=True)
class View:
    """How a model wants to see an episode."""

    size: int  # pixels
    crop: str = "square"
    step_period: float | None = None  # seconds; None: every frame that was recorded


@dataclass(frozen=True)
class Share:
    """Which part of every batch this process works on."""

    rank: int = 0
    world: int = 1

    def of(self, batch: int) -> slice:
        """Select this process's windows of a batch."""
        if batch % self.world:
            raise ValueError(
                f"a batch of {batch} does not divide into {self.world} processes: "
                "change `batch` or the number of processes"
            )
        size = batch // self.world
        return slice(self.rank * size, (self.rank + 1) * size)


# --- unpacking ---------------------------------------------------------------------------


def split_episodes(root: Path, held_out: float) -> tuple[list[Path], list[Path]]:
    """The episodes under a path to train on, and every so many of them held out."""
    paths = list(find_episodes(root))
    if not paths:
        raise EpisodeError(root, "path", "found no episodes; collect or convert some first")
    every = max(2, round(1 / held_out)) if held_out else len(paths) + 1
    kept = [path for index, path in enumerate(paths) if (index + 1) % every]
    return kept, paths[every - 1 :: every]


def unpack(
    paths: Sequence[Path], view: View, folder: Path, opening: Mapping[str, Any] | None = None
) -> "EpisodeSet":
    """The episodes as a set that windows are read from; unpacked in `folder` on first use.

    `opening` is for open_episode.
    """
    opening = opening or {}
    dated = [[str(path.absolute()), written_at(path)] for path in paths]
    about = [_FORMAT, asdict(view), dated, opening]
    name = hashlib.sha256(json.dumps(about, default=asdict).encode()).hexdigest()[:16]
    place = folder / name
    if not place.exists():
        with written_whole(place) as scratch:
            scratch.mkdir()
            _write_unpacked(paths, view, scratch, opening)
    return EpisodeSet(place)


def _write_unpacked(
    paths: Sequence[Path], view: View, folder: Path, opening: Mapping[str, Any]
) -> None:
    preprocessor = Preprocessor(view.size, view.crop)
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}
    tasks = []

    def read(path: Path) -> tuple[NDArray[np.uint8], Trajectory]:
        reader = open_episode(path, step_period=view.step_period, **opening)
        rgb = torch.from_numpy(np.stack(list(reader.frames())))
        seen = preprocessor.view(rgb).round().to(torch.uint8).permute(0, 2, 3, 1)
        return seen.contiguous().numpy(), reader.trajectory

    with (folder / "frames").open("wb") as file:
        for frames, trajectory in tqdm(_ahead(read, paths), "unpack", len(paths), unit="episode"):
            file.write(frames.data)
            for name, values in _columns(trajectory).items():
                columns[name].append(values)
            tasks.append(trajectory.task)
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    arrays["tasks"] = np.array(tasks, dtype=str)
    arrays["lengths"] = np.array([len(states) for states in columns["states"]])
    arrays["frame_shape"] = np.array((view.size, view.size, 3))
    np.savez(folder / "steps.npz", **arrays)


_COLUMNS = ("states", "actions", "commanded", "objects")


def _columns(trajectory: Trajectory) -> dict[str, NDArray[np.float32]]:
    """One row per step each; the last step has no action."""
    nothing = np.full((len(trajectory), 7), np.nan)
    actions, commanded = nothing.copy(), nothing.copy()
    actions[:-1] = trajectory.actions
    if trajectory.commanded is not None:
        commanded[:-1] = trajectory.commanded
    columns = {
        "states": trajectory.states,
        "actions": actions,
        "commanded": commanded,
        "objects": object_of_the_task(trajectory),
    }
    return {name: values.astype(np.float32) for name, values in columns.items()}


# --- reading windows ---------------------------------------------------------------------


class EpisodeSet:
    """Unpacked episodes as one long pool of windows."""

    latents: NDArray[np.float16] | None = None  # [N, L, D] of all frames, on disk

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with np.load(folder / "steps.npz") as arrays:
            self.lengths: NDArray[np.int64] = arrays["lengths"]
            self.columns = {name: torch.from_numpy(arrays[name]) for name in _COLUMNS}
            self.tasks: list[str] = arrays["tasks"].tolist()  # of each episode, in words
            self.frame_shape = tuple(arrays["frame_shape"].tolist())
        self.first_steps = np.cumsum(self.lengths) - self.lengths
        self.frames_file = folder / "frames"

    def __len__(self) -> int:
        """Frames of all episodes."""
        return int(self.lengths.sum())

    def draw(
        self, count: int, frames: int, rng: np.random.Generator, far: int = 1
    ) -> NDArray[np.int64]:
        """The first steps [count] of windows, each of the set as likely as any other; those with
        the hand far from the object `far` times as likely.
        """
        starts = self._starts(frames, far)
        if not len(starts):
            raise ValueError(
                f"the longest episode has {self.lengths.max()} steps, "
                f"a training window needs {frames}"
            )
        return starts[rng.integers(len(starts), size=count)]

    @functools.lru_cache(maxsize=4)  # noqa: B019 - a set lives as long as its run
    def _starts(self, frames: int, far: int) -> NDArray[np.int64]:
        """The first steps of all windows, in order, as often as each is to be drawn."""
        left = np.repeat(self.first_steps + self.lengths, self.lengths) - np.arange(len(self))
        starts = np.flatnonzero(left >= frames)
        away = self.columns["objects"][:, POSITION] - self.columns["states"][:, POSITION]
        is_far = away.norm(dim=1).numpy()[starts] > FAR  # false where no object is known
        return np.repeat(starts, np.where(is_far, far, 1))

    def load(self, starts: Sequence[int] | NDArray[np.int64], frames: int) -> Batch:
        """The windows that begin at these steps."""
        steps = torch.as_tensor(np.asarray(starts))[:, None] + torch.arange(frames)
        columns = {name: values[steps] for name, values in self.columns.items()}
        latents = None if self.latents is None else torch.from_numpy(self.latents[steps.numpy()])
        count = 0 if latents is not None else frames
        return Batch(
            frames=torch.from_numpy(np.stack([self._frames(int(at), count) for at in starts])),
            latents=latents,
            states=columns["states"],
            actions=columns["actions"][:, :-1],
            commanded=columns["commanded"][:, :-1],
            objects=columns["objects"],
        )

    def _frames(self, start: int, count: int) -> NDArray[np.uint8]:
        # Read, not mapped: pages of a map would count as this process's memory.
        size = int(np.prod(self.frame_shape))
        flat = np.fromfile(self.frames_file, np.uint8, count * size, offset=start * size)
        return flat.reshape(count, *self.frame_shape)

    def stream(
        self,
        *,
        batch: int,
        frames: int,
        seed: int,
        steps: range,
        share: Share | None = None,
        workers: int = 2,
        far: int = 1,
    ) -> Iterator[Batch]:
        """The batch of each step, read ahead by a few threads."""
        mine = (share or Share()).of(batch)

        def load(step: int) -> Batch:
            starts = self.draw(batch, frames, np.random.default_rng((seed, step)), far)
            return self.load(starts[mine], frames)

        yield from _ahead(load, steps, workers)


def _ahead(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int = 2
) -> Iterator[Result]:
    """The results in order, a few of them worked out ahead by threads."""
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
