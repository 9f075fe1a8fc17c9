"""Whole trees of episodes from one layout to another."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_ros.episodes.files import EpisodeError, reading, written_whole
from vjepa_ros.episodes.lerobot_names import episode_name
from vjepa_ros.episodes.library import (
    Layout,
    find_episodes,
    layout_of,
    open_episode,
    write_episode,
)
from vjepa_ros.episodes.workers import Workers, good_ones, run_all
from vjepa_ros.extras import extra


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What is read how, and written how."""

    source: Path  # an episode or a tree of them
    to: Layout
    out: Path  # an episode where the source is one, else a tree like the source; a LeRobot set
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
    """Convert what is not there yet; a run that was killed goes on where it stopped.

    A LeRobot set is one thing: whole, or not there.
    """
    if conversion.to == "lerobot":
        return _convert_to_set(conversion, skip_bad)
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


def _convert_to_set(conversion: Conversion, skip_bad: bool) -> Converted:
    """One after the other, as their frames follow each other in the same videos."""
    out = conversion.out
    with extra("lerobot", f"{out}: writing a LeRobot set"):
        from vjepa_ros.episodes.lerobot_writer import LeRobotWriter
    if out.exists():
        raise UserError(
            f"{out}: found already; a LeRobot set is written whole: remove it, or name another"
        )
    done, sources = Converted(), _sources(conversion)
    with written_whole(out) as scratch, LeRobotWriter(scratch) as writer:

        def append(source: Path) -> None:
            reader = open_episode(source, **conversion.opening)
            with reading(source, "episode", "one like the others of the set"):
                writer.add(reader.trajectory, reader.frames())

        results = run_all(append, sources, workers=1, title="convert")
        for number, _ in enumerate(good_ones(results, done.bad, skip_bad)):
            done.written.append(out / episode_name(number))
        if not done.written:
            raise done.bad[0]
    return done


def _sources(conversion: Conversion) -> list[Path]:
    found = [
        path
        for path in find_episodes(conversion.source)
        if conversion.only is None or layout_of(path) == conversion.only
    ]
    if not found:
        kind = conversion.only or "npz, bag, DROID or LeRobot"
        raise UserError(f"{conversion.source}: found no {kind} episode at or under it")
    return found


def _targets(conversion: Conversion) -> dict[Path, Path]:
    """Where each episode of the source goes."""
    source, out, found = conversion.source, conversion.out, _sources(conversion)
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
