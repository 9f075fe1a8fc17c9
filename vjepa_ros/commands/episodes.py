"""`vjepa-ros episodes`: make, look at, convert and check recordings."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_ros.commands.opening import opening
from vjepa_ros.commands.settings import check_folders, read, shared
from vjepa_ros.commands.settings.bases import ReadEpisodes
from vjepa_ros.commands.settings.episodes import (
    CheckEpisodes,
    Collect,
    ConvertEpisodes,
    InspectEpisodes,
    ViewEpisode,
)
from vjepa_ros.episodes import conversion, inspection
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.inspection import Summary
from vjepa_ros.episodes.library import find_episodes, open_episode
from vjepa_ros.episodes.workers import fleet, good_ones, run_all
from vjepa_ros.extras import extra


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    kind, work = _VERBS[args.verb]
    return work(read(kind, args))


def _collect(settings: Collect) -> int:
    try:
        from vjepa_ros.episodes.collection import CollectionConfig, collect
    except ImportError as error:
        raise UserError(
            f"collecting needs vjepa_sim, in this repository's sim/: {error}"
        ) from error
    config = CollectionConfig(**shared(CollectionConfig, settings))
    paths = collect(config, settings.episodes, settings.out, fleet(settings.workers, settings.ray))
    print(f"{settings.out}: {len(paths)} episodes")
    return 0


def _inspect(settings: InspectEpisodes) -> int:
    summaries, bad = _summaries(settings, "inspect", settings.skip_bad)
    if not summaries:
        raise bad[0]
    print(inspection.describe(summaries))
    if settings.out is not None:
        settings.out.mkdir(parents=True, exist_ok=True)
        inspection.contact_sheet(summaries, settings.out / "contact_sheet.png")
        inspection.action_histograms(summaries, settings.out / "actions.png")
        print(f"\npictures: {settings.out / 'contact_sheet.png'}, {settings.out / 'actions.png'}")
    _list_bad(bad)
    return 0


def _convert(settings: ConvertEpisodes) -> int:
    job = conversion.Conversion(
        source=settings.source,
        to=settings.to,
        out=settings.out,
        only=settings.from_,
        opening=_opening(settings),
        writing=_writing(settings),
    )
    done = conversion.convert(
        job, workers=fleet(settings.workers, settings.ray), skip_bad=settings.skip_bad
    )
    already = f", {len(done.there_already)} were there" if done.there_already else ""
    print(f"{settings.out}: {len(done.written)} episodes written{already}")
    _list_bad(done.bad)
    return 0


def _check(settings: CheckEpisodes) -> int:
    summaries, bad = _summaries(settings, "check", skip_bad=True)
    for one in summaries:
        size = f"{one.frame_size[0]}×{one.frame_size[1]}"
        calibrated = "" if one.calibrated else ", not calibrated"
        print(f"ok   {one.path}: {len(one.states)} × {one.step_period:.3f} s, {size}{calibrated}")
    for error in bad:
        print(f"BAD  {error}")
    print(f"{len(summaries)} good, {len(bad)} bad")
    return 2 if bad else 0


def _view(settings: ViewEpisode) -> int:
    check_folders(out=settings.out)
    with extra("rerun", "viewing an episode"):
        from vjepa_ros.viewing.recording import write_rrd
    steps = write_rrd(settings.source, settings.out, **opening(settings))
    print(f"{settings.out}: {steps} steps; `rerun {settings.out}` shows them")
    return 0


def _opening(settings: ReadEpisodes) -> dict[str, Any]:
    """The arguments of `open_episode`."""
    return {"step_period": settings.step_period, **opening(settings)}


def _writing(settings: ConvertEpisodes) -> dict[str, Any]:
    """The arguments of `write_npz`, `write_bag` or `write_droid`."""
    options: dict[str, Any] = {}
    if settings.images:
        if settings.to in ("droid", "lerobot") or (
            settings.to == "npz" and settings.images == "raw"
        ):
            raise UserError(f"--images {settings.images}: not in the {settings.to} layout")
        options["encoding" if settings.to == "npz" else "images"] = settings.images
    if settings.storage:
        if settings.to != "bag":
            raise UserError(f"--storage {settings.storage}: only bags have one, not {settings.to}")
        options["storage"] = settings.storage
    return options


def _summaries(
    settings: InspectEpisodes | CheckEpisodes, title: str, skip_bad: bool
) -> tuple[list[Summary], list[EpisodeError]]:
    """Of all the good episodes, in the order of their names."""
    paths = [path for root in settings.paths for path in (list(find_episodes(root)) or [root])]
    bad: list[EpisodeError] = []
    results = run_all(
        partial(_summarise, _opening(settings)),
        paths,
        workers=fleet(settings.workers, settings.ray),
        title=title,
    )
    good = dict(good_ones(results, bad, skip_bad))
    return [good[path] for path in paths if path in good], bad


def _summarise(opening: dict[str, Any], path: Path) -> Summary:
    return inspection.summarise(path, open_episode(path, **opening))


def _list_bad(bad: list[EpisodeError]) -> None:
    if bad:
        print(f"{len(bad)} bad episodes skipped:")
        for error in bad:
            print(f"  {error}")


_VERBS: dict[str, tuple[type, Callable[[Any], int]]] = {
    "collect": (Collect, _collect),
    "inspect": (InspectEpisodes, _inspect),
    "convert": (ConvertEpisodes, _convert),
    "check": (CheckEpisodes, _check),
    "view": (ViewEpisode, _view),
}
