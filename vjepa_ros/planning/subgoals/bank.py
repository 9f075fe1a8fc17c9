"""Recorded episodes as latents on disk: what proposers are trained on and a memory looks up.

A folder with `latents.npy` (float16) and, where somebody will look at them, `pictures.npy` (small
ones), both mapped and never read as a whole, and `index.npz`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.episodes.files import EpisodeError, reading, written_whole
from vjepa_ros.episodes.library import find_episodes, open_episode
from vjepa_ros.episodes.workers import Workers, good_ones, run_all
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.planning.subgoals.keyframes import key_steps

_AT_ONCE = 32  # frames that are encoded together
_LATENTS, _PICTURES, _INDEX = "latents.npy", "pictures.npy", "index.npz"
PICTURE_SIZE = 64  # pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Bank:
    """N frames of E episodes, one after another."""

    latents: NDArray[np.float16]  # [N, L, D], on disk
    pictures: NDArray[np.uint8]  # [N, S, S, 3] as the encoder saw them, on disk; or [0, S, S, 3]
    states: NDArray[np.float64]  # [N, 7]
    lengths: NDArray[np.int64]  # [E]
    weights: str  # identity of those that encoded it

    @cached_property
    def first_steps(self) -> NDArray[np.int64]:
        """Where each episode begins [E]."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def key_steps(self) -> list[NDArray[np.int64]]:
        """The key frames of each episode, as numbers of frames of the bank."""
        parts = np.split(self.states, self.first_steps[1:])
        return [
            first + key_steps(states) for first, states in zip(self.first_steps, parts, strict=True)
        ]

    def key_table(self, slots: int) -> NDArray[np.int64]:
        """The first key frames of each episode [E, slots], -1 where it has no more."""
        table = np.full((len(self.lengths), slots), -1, np.int64)
        for row, steps in zip(table, self.key_steps, strict=True):
            row[: len(steps)] = steps[:slots]
        return table


def demonstrations(root: Path, step_period: float, **opening: Any) -> list[EpisodeReader]:
    """The episodes under a path, but those that are marked as failed; `opening` is for
    open_episode.
    """
    paths = find_episodes(root)
    readers = [open_episode(path, step_period=step_period, **opening) for path in paths]
    good = [one for one in readers if one.trajectory.provenance.get("success") is not False]
    if not good:
        raise EpisodeError(
            root, "path", f"found {len(readers)} episodes, none that succeeded; record some first"
        )
    return good


def build_bank(
    episodes: Iterable[EpisodeReader],
    out: Path,
    encode: Callable[[Tensor], Tensor],
    *,
    crop: str,
    weights: str,
    step_period: float,
    opening: Mapping[str, Any] | None = None,
    workers: Workers = 1,
) -> Bank:
    """Encode `demonstrations` into a folder; `encode` makes latents [B, L, D] of uint8 pictures
    [B, H, W, 3]. Each worker opens its own, by the same step period and `opening`.
    """
    episodes = list(episodes)
    lengths = [len(one) for one in episodes]
    firsts = (np.cumsum(lengths) - lengths).tolist()
    jobs = [(first, one.path) for first, one in zip(firsts, episodes, strict=True)]
    how = {"step_period": step_period, **(opening or {})}
    work = partial(_encoded, encode, crop, how)
    found = run_all(work, jobs, workers=workers, title="encode")
    parts = ((first, *encoded) for (first, _), encoded in good_ones(found, [], skip_bad=False))
    states = np.concatenate([one.trajectory.states for one in episodes])
    return write_bank(out, parts, states=states, lengths=lengths, weights=weights)


def write_bank(
    out: Path,
    parts: Iterable[tuple[int, NDArray[np.float16], NDArray[np.uint8] | None]],
    *,
    states: NDArray[np.float64],
    lengths: Sequence[int] | NDArray[np.int64],
    weights: str,
) -> Bank:
    """Latents [n, L, D], and small pictures where there are some, from their first frames on, in
    any order, into a folder.
    """
    with written_whole(out) as scratch:
        scratch.mkdir()
        latents = pictures = None
        for first, encoded, seen in parts:
            if latents is None:
                latents = _file(scratch / _LATENTS, len(states), encoded)
                pictures = None if seen is None else _file(scratch / _PICTURES, len(states), seen)
            latents[first : first + len(encoded)] = encoded
            if pictures is not None:
                pictures[first : first + len(encoded)] = seen
        del latents, pictures  # flushed
        np.savez(
            scratch / _INDEX,
            states=states,
            lengths=np.array(lengths, np.int64),
            about=np.array(json.dumps({"weights": weights})),
        )
    return load_bank(out)


def _file(path: Path, rows: int, like: NDArray[Any]) -> NDArray[Any]:
    return np.lib.format.open_memmap(path, "w+", like.dtype, (rows, *like.shape[1:]))


def _encoded(
    encode: Callable[[Tensor], Tensor], crop: str, how: Mapping[str, Any], job: tuple[int, Path]
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    reader = open_episode(job[1], **how)
    frames = torch.from_numpy(np.stack(list(reader.frames())))
    latents = torch.cat([encode(some).cpu() for some in frames.split(_AT_ONCE)])
    pictures = Preprocessor(PICTURE_SIZE, crop).view(frames).permute(0, 2, 3, 1).round()
    return latents.to(torch.float16).numpy(), pictures.to(torch.uint8).numpy()


def is_bank(folder: Path) -> bool:
    """Did build_bank write here?"""
    return (folder / _INDEX).is_file()


def load_bank(folder: Path) -> Bank:
    """What build_bank wrote; raises EpisodeError."""
    with reading(folder, "bank", "a folder that `vjepa-ros memory build` wrote"):
        with np.load(folder / _INDEX) as index:
            states, lengths = index["states"], index["lengths"]
            about = json.loads(str(index["about"]))
        return Bank(
            latents=np.load(folder / _LATENTS, mmap_mode="r"),
            pictures=_pictures(folder / _PICTURES),
            states=states,
            lengths=lengths,
            weights=about["weights"],
        )


def _pictures(file: Path) -> NDArray[np.uint8]:
    if not file.exists():
        return np.empty((0, PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8)
    return np.load(file, mmap_mode="r")
