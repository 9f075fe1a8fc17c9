"""Whole trees of episodes from one layout to another."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.library import (
    Layout,
    find_episodes,
    layout_of,
    open_episode,
    write_episode,
)
from vjepa_ros.episodes.workers import Workers, good_ones, run_all


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What is read how, and written how."""

    source: Path  # an episode or a tree of them
    to: Layout
    out: Path  # an episode where the source is one, else a tree like the source
    only: Layout | None = None  # of the source's episodes
    opening: dict[str, Any] = field(default_factory=dict)  # of open_episode
    writing: dict[str, Any] = field(default_factory=dict)  # of write_episode


@dataclass(kw_only=True)
class Converted:
    """What a conversion did with each episode."""

    written: list[Path] = field(default_factory=list)
    there_already: list[Path] = field(default_factory=list)
    bad: list[EpisodeError] = field(default_factory=list)


def convert(
    conversion: Conversion, *, workers: Workers = None, skip_bad: bool = False
) -> Converted:
    """Convert what is not there yet; a run that was killed goes on where it stopped."""
    done, jobs = Converted(), []
    for source, target in _targets(conversion).items():
        if target.exists():
            done.there_already.append(target)
        else:
            jobs.append((conversion, source, target))
    results = run_all(
        _convert_one, jobs, workers=workers, title="convert", done=len(done.there_already)
    )
    for (_, _, target), _ in good_ones(results, done.bad, skip_bad):
        done.written.append(target)
    return done


def _convert_one(job: tuple[Conversion, Path, Path]) -> None:
    conversion, source, target = job
    reader = open_episode(source, **conversion.opening)
    write_episode(target, conversion.to, reader, **conversion.writing)


def _targets(conversion: Conversion) -> dict[Path, Path]:
    """Where each episode of the source goes."""
    source, out = conversion.source, conversion.out
    found = [
        path
        for path in find_episodes(source)
        if conversion.only is None or layout_of(path) == conversion.only
    ]
    if not found:
        kind = conversion.only or "npz, bag or DROID"
        raise UserError(f"{source}: found no {kind} episode at or under it")
    suffix = ".npz" if conversion.to == "npz" else ""
    if found == [source]:
        if out.suffix != suffix:
            raise UserError(f"{out}: expected a name that ends in .npz, as the episode is one file")
        return {source: out}
    targets = {}
    for path in found:
        relative = path.relative_to(source)
        stem = relative if path.is_dir() else relative.with_suffix("")
        targets[path] = out / stem.parent / (stem.name + suffix)
    twice = {target for target in targets.values() if list(targets.values()).count(target) > 1}
    if twice:
        raise UserError(
            f"{source}: several episodes would become {sorted(twice)[0]}; choose one kind with "
            "--from, or convert their folders apart"
        )
    return targets
