"""`vjepa-ros replay`: play recordings through the model, score it, hold it to bounds.

Offline, without a robot and without ROS. The same recordings, weights and seed give the same
figures, bit for bit, however many workers share them; docs/REPLAY.md says what each one means.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from vjepa_gate.errors import UserError
from vjepa_gate.settings import read_options, settings_of
from vjepa_ros.commands.opening import opening
from vjepa_ros.commands.settings import check_folders, read, refuse_unused, shared
from vjepa_ros.commands.settings import planning as commands
from vjepa_ros.episodes.workers import fleet
from vjepa_ros.model.decoder import decoder_of
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.loading import chosen_device, load_world_model
from vjepa_ros.replay.compare import Comparison, compare
from vjepa_ros.replay.gates import ReplayGate, check, gate_around, read_gate, write_gate
from vjepa_ros.replay.report import write_report
from vjepa_ros.replay.results import Replay, read_replay
from vjepa_ros.replay.runs import ReplayConfig, replay

DIFF = Path("diff")  # instead of a first recording


def run(args: argparse.Namespace) -> int:
    """Score the recordings; the exit code is the verdict."""
    settings = read(commands.Replay, args)
    _refuse_unused(settings, vars(args))
    check_folders(json=settings.json, html=settings.html, write_gate=settings.write_gate)
    if settings.graph:
        from vjepa_ros.commands import replay_graph

        return replay_graph.run(argparse.Namespace(**(vars(args) | vars(settings))))
    gate = None if settings.gate is None else read_gate(settings.gate)
    if settings.sources[0] == DIFF:
        return _diff(settings.sources[1:], gate)
    config = _config(settings, args)
    workers = fleet(settings.workers, settings.ray) if config.device == "cpu" or settings.ray else 1
    try:
        found = replay(config, settings.sources, workers=workers)
    except ValueError as error:
        raise UserError(str(error)) from error
    print(_table(found))
    failures = None if gate is None else [str(violation) for violation in check(gate, found)]
    _write(settings, config, found, failures)
    return _verdict(settings, found, failures)


def _refuse_unused(settings: commands.Replay, told: Iterable[str]) -> None:
    """What was said and would be done by nobody."""
    planner = _names(PlannerConfig)
    known = _names(commands.Replay) | planner
    given = [name for name in told if name in known]
    if settings.sources[0] == DIFF:
        refuse_unused(given, _names(commands.Diff), "beside `diff`")
    elif settings.graph:
        refuse_unused(given, _names(commands.GraphReplay) | planner, "beside --graph")
    else:
        refuse_unused(given, _names(commands.OfflineReplay) | planner, "without --graph")
    if not settings.plan:  # the objective measures what was seen, too
        unused = (planner | {"plan_every", "axes"}) - {"objective"}
        refuse_unused(given, known - unused, "beside --no-plan")
    if settings.html is None:
        refuse_unused(given, known - {"pictures"}, "without --html")


def _names(kind: type) -> set[str]:
    return set(settings_of(kind))


def _config(settings: commands.Replay, args: argparse.Namespace) -> ReplayConfig:
    device = str(chosen_device(settings.device))
    given = read_options(PlannerConfig, args)
    loaded = load_world_model(settings.weights, device)
    name, planner = loaded.chosen_planner(settings.planner, given)
    about = {
        "device": device,
        "plan_every": settings.plan_every if settings.plan else None,
        "planner": planner,
        "planner_name": name,
        "opening": opening(settings),
    }
    return ReplayConfig(**(shared(ReplayConfig, settings) | about))


def _write(
    args: commands.Replay, config: ReplayConfig, found: Replay, failures: Sequence[str] | None
) -> None:
    if args.json:
        args.json.write_text(found.to_json())
        print(f"wrote {args.json}")
    if args.html:
        loaded = load_world_model(config.weights, config.device)
        write_report(
            found,
            args.html,
            loaded.world_model,
            failures=failures,
            opening=config.opening,
            folder=args.pictures,
            decoder=decoder_of(config.weights, loaded.identity),
        )
        print(f"wrote {args.html}")
    if args.write_gate:
        write_gate(args.write_gate, gate_around(found), found)
        print(f"wrote {args.write_gate}")


def _verdict(args: commands.Replay, found: Replay, failures: Sequence[str] | None) -> int:
    """A regression is the graver news than a recording that nobody can read."""
    for broken in found.broken:
        print(f"BROKEN  {broken.reason}")
    for failure in failures or ():
        print(f"OUTSIDE {failure}")
    if failures is not None and not failures:
        print(f"inside every bound of {args.gate}")
    if failures:
        return 1
    return 2 if found.broken else 0


def _table(found: Replay) -> str:
    settings, episodes = found.settings, found.episodes
    steps = sum(episode.steps for episode in episodes)
    lines = [
        f"weights {settings.weights}, {settings.arithmetic}, seed {settings.seed}",
        f"planner {settings.planner['name']}",
        f"{len(episodes)} episodes, {steps} steps of {settings.step_period:g} s by the "
        f"{settings.clock} clock; {len(found.broken)} could not be scored",
        f"{'':34}{'all':>10}{'least':>10}{'most':>10}  of an episode",
    ]
    for name, value in found.figures.items():
        each = [episode.figures[name] for episode in episodes if name in episode.figures]
        lines.append(f"{name:34}{value:10.4g}{min(each):10.4g}{max(each):10.4g}")
    return "\n".join(lines)


# --- diff --------------------------------------------------------------------------------


def _diff(results: Sequence[Path], gate: ReplayGate | None) -> int:
    if len(results) != 2:
        raise UserError(f"replay diff: found {len(results)} results, expected BEFORE and AFTER")
    before, after = (read_replay(path) for path in results)
    comparison = compare(before, after)
    print(_changes(comparison))
    if gate is None:
        return 0
    if not gate.diff:
        raise UserError("--gate: found no section `diff`, expected one with bounds of what moves")
    outside = _outside(comparison, gate)
    print("\n".join(f"OUTSIDE {line}" for line in outside) or "inside every bound of the gate")
    return 1 if outside else 0


def _changes(comparison: Comparison) -> str:
    lines = [f"{key}: {old} -> {new}" for key, (old, new) in comparison.settings.items()]
    lines += [f"only in one of the runs: {name}" for name in comparison.unpaired]
    lines += [
        f"{comparison.episodes} episodes in both; intervals of 95 %",
        f"{'':34}{'before':>10}{'after':>10}{'moved by':>11}{'from':>11}{'to':>11}",
    ]
    for change in comparison.changes:
        lines.append(
            f"{change.name:34}{change.before:10.4g}{change.after:10.4g}{change.difference:+11.4g}"
            f"{change.low:+11.4g}{change.high:+11.4g}  {change.verdict}"
        )
    return "\n".join(lines)


def _outside(comparison: Comparison, gate: ReplayGate) -> list[str]:
    changes = {change.name: change for change in comparison.changes}
    lines = []
    for name, bound in gate.diff.items():
        change = changes.get(name)
        if change is None:
            lines.append(f"{name} has a bound, but the runs do not both have this figure")
        elif limit := bound.broken_by_interval(change.low, change.high):
            moved = f"{change.difference:+.4g} ({change.low:+.4g} to {change.high:+.4g})"
            lines.append(f"{name} moved by {moved}, bound {limit}")
    return lines
