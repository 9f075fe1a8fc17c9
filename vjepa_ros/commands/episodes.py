"""`vjepa-ros episodes`: make, look at, convert and check recordings."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_ros.commands.opening import add_opening, opening
from vjepa_ros.episodes import conversion, inspection
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.inspection import Summary
from vjepa_ros.episodes.library import LAYOUTS, find_episodes, open_episode
from vjepa_ros.episodes.workers import good_ones, run_all

TASKS = ("mix", "expert", "waypoints", "random", "reach", "grasp", "pick_place")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    summary = "record episodes in the simulation; the same seed makes the same files"
    collect = verbs.add_parser("collect", help=summary, description=summary)
    collect.add_argument("--task", choices=TASKS, default="mix", help="how the arm moves (mix)")
    collect.add_argument("--episodes", type=int, required=True, metavar="N")
    collect.add_argument("--seed", type=int, default=0, help="of the whole collection (0)")
    collect.add_argument("--out", type=Path, required=True, metavar="DIR")
    collect.add_argument(
        "--steps", type=int, default=64, help="frames an episode at most, at 4 Hz (64)"
    )
    collect.add_argument("--size", type=int, default=128, help="pixels, square (128)")
    collect.add_argument("--camera", default="exterior", help="of the simulation (exterior)")
    collect.add_argument(
        "--encoding", choices=("png", "jpeg"), default="png", help="of the frames (png)"
    )
    collect.add_argument(
        "--relight",
        type=float,
        default=0.0,
        metavar="CHANCE",
        help="at each step, that the light becomes another one: latents that know no light (0)",
    )
    _add_workers(collect)

    summary = "figures, a sheet of frames and histograms of the actions"
    inspect = verbs.add_parser("inspect", help=summary, description=summary)
    inspect.add_argument("paths", type=Path, nargs="+", help="episodes, or folders of them")
    inspect.add_argument(
        "--out", type=Path, metavar="DIR", help="where contact_sheet.png and actions.png go"
    )
    _add_reading(inspect)

    summary = "one episode or a tree of them from one layout to another"
    convert = verbs.add_parser("convert", help=summary, description=summary)
    convert.add_argument("source", type=Path, help="an episode, or a folder of them")
    convert.add_argument("out", type=Path, help="an episode, or a folder for them")
    convert.add_argument("--from", dest="only", choices=LAYOUTS, help="take only these (all)")
    convert.add_argument("--to", choices=LAYOUTS, required=True)
    convert.add_argument(
        "--images",
        choices=("png", "jpeg", "raw"),
        help="in bags and npz; png and raw keep every pixel (png)",
    )
    convert.add_argument("--storage", choices=("mcap", "sqlite3"), help="of bags (mcap)")
    _add_reading(convert)

    summary = "read every episode to its last frame against docs/EPISODES.md"
    check = verbs.add_parser("check", help=summary, description=summary)
    check.add_argument("paths", type=Path, nargs="+", help="episodes, or folders of them")
    _add_reading(check)


def run(args: argparse.Namespace) -> int:
    verbs = {"collect": _collect, "inspect": _inspect, "convert": _convert, "check": _check}
    return verbs[args.verb](args)


# --- options -----------------------------------------------------------------------------


def _add_workers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, metavar="N", help="processes (one a core)")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--step-period", type=float, metavar="S", help="keep a frame every S seconds (all frames)"
    )
    add_opening(parser)
    parser.add_argument(
        "--skip-bad", action="store_true", help="go on after a bad episode; list them at the end"
    )
    _add_workers(parser)


def _opening(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `open_episode`."""
    return {"step_period": args.step_period, **opening(args)}


# --- verbs -------------------------------------------------------------------------------


def _collect(args: argparse.Namespace) -> int:
    try:
        from vjepa_ros.episodes.collection import CollectionConfig, collect
    except ImportError as error:
        raise UserError(
            f"collecting needs vjepa_sim, in this repository's sim/: {error}"
        ) from error
    try:
        config = CollectionConfig(
            task=args.task,
            seed=args.seed,
            steps=args.steps,
            size=args.size,
            camera=args.camera,
            encoding=args.encoding,
            relight=args.relight,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    paths = collect(config, args.episodes, args.out, args.workers)
    print(f"{args.out}: {len(paths)} episodes")
    return 0


def _inspect(args: argparse.Namespace) -> int:
    summaries, bad = _summaries(args)
    print(inspection.describe(summaries))
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        inspection.contact_sheet(summaries, args.out / "contact_sheet.png")
        inspection.action_histograms(summaries, args.out / "actions.png")
        print(f"\npictures: {args.out / 'contact_sheet.png'}, {args.out / 'actions.png'}")
    _list_bad(bad)
    return 0


def _convert(args: argparse.Namespace) -> int:
    job = conversion.Conversion(
        source=args.source,
        to=args.to,
        out=args.out,
        only=args.only,
        opening=_opening(args),
        writing=_writing(args),
    )
    done = conversion.convert(job, workers=args.workers, skip_bad=args.skip_bad)
    already = f", {len(done.there_already)} were there" if done.there_already else ""
    print(f"{args.out}: {len(done.written)} episodes written{already}")
    _list_bad(done.bad)
    return 0


def _check(args: argparse.Namespace) -> int:
    args.skip_bad = True  # a check that ends at the first would hide the others
    summaries, bad = _summaries(args)
    for one in summaries:
        size = f"{one.frame_size[0]}×{one.frame_size[1]}"
        calibrated = "" if one.calibrated else ", not calibrated"
        print(f"ok   {one.path}: {len(one.states)} × {one.step_period:.3f} s, {size}{calibrated}")
    for error in bad:
        print(f"BAD  {error}")
    print(f"{len(summaries)} good, {len(bad)} bad")
    return 2 if bad else 0


def _writing(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `write_npz`, `write_bag` or `write_droid`."""
    options: dict[str, Any] = {}
    if args.images:
        if args.to == "droid" or (args.to == "npz" and args.images == "raw"):
            raise UserError(f"--images {args.images}: not in the {args.to} layout")
        options["encoding" if args.to == "npz" else "images"] = args.images
    if args.storage:
        if args.to != "bag":
            raise UserError(f"--storage {args.storage}: only bags have one, not {args.to}")
        options["storage"] = args.storage
    return options


def _summaries(args: argparse.Namespace) -> tuple[list[Summary], list[EpisodeError]]:
    """Of all the good episodes, in the order of their names."""
    paths = [path for root in args.paths for path in (list(find_episodes(root)) or [root])]
    bad: list[EpisodeError] = []
    results = run_all(
        partial(_summarise, _opening(args)), paths, workers=args.workers, title=args.verb
    )
    good = dict(good_ones(results, bad, args.skip_bad))
    if not good and not (bad and args.verb == "check"):
        raise bad[0] if bad else UserError("found no episodes")
    return [good[path] for path in paths if path in good], bad


def _summarise(opening: dict[str, Any], path: Path) -> Summary:
    return inspection.summarise(path, open_episode(path, **opening))


def _list_bad(bad: list[EpisodeError]) -> None:
    if bad:
        print(f"{len(bad)} bad episodes skipped:")
        for error in bad:
            print(f"  {error}")
