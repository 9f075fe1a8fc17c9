"""`vjepa-ros replay`: play recordings through the model, score it, hold it to bounds.

Offline, without a robot and without ROS. The same recordings, weights and seed give the same
figures, bit for bit, however many workers share them; docs/REPLAY.md says what each one means.

    vjepa-ros replay BAG… --gate GATE.yaml --json RUN.json --html RUN.html
    vjepa-ros replay diff BEFORE.json AFTER.json
    vjepa-ros replay --graph BAG…         # through the real nodes: docs/REPLAY_GRAPH.md

Exit code 1: outside the gate. 2: some recordings could not be scored; the others were.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from vjepa_gate.errors import UserError
from vjepa_ros.commands import replay_graph
from vjepa_ros.commands.opening import add_opening, opening
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.objectives import OBJECTIVES
from vjepa_ros.planning.planners import PLANNERS, choose_planner
from vjepa_ros.planning.solvers import PRESETS, SOLVERS
from vjepa_ros.replay.clocks import CLOCKS
from vjepa_ros.replay.compare import Comparison, compare
from vjepa_ros.replay.gates import ReplayGate, check, gate_around, read_gate, write_gate
from vjepa_ros.replay.report import write_report
from vjepa_ros.replay.results import Replay, read_replay
from vjepa_ros.replay.runs import ReplayConfig, replay

DIFF = Path("diff")  # instead of a first recording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = __doc__
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="BAG",
        help="bags, DROID folders, npz, or folders of them; or `diff` and two results",
    )
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS, help="[the shipped ones]")
    parser.add_argument("--seed", type=int, default=0, help="of the planner [%(default)s]")
    parser.add_argument("--workers", type=int, metavar="N", help="processes [one a core]")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="[%(default)s]")

    outcome = parser.add_argument_group("outcome")
    outcome.add_argument("--gate", type=Path, metavar="YAML", help="bounds: exit 1 outside them")
    outcome.add_argument(
        "--write-gate", type=Path, metavar="YAML", help="write bounds that this run just keeps"
    )
    outcome.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    outcome.add_argument("--html", type=Path, metavar="FILE", help="write a page to look at")
    outcome.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write the page's pictures as PNGs, too"
    )

    steps = parser.add_argument_group("steps")
    steps.add_argument(
        "--clock",
        choices=CLOCKS,
        default="stamped",
        help="take frames by their stamps, or count them [%(default)s]",
    )
    steps.add_argument(
        "--step-period", type=float, metavar="S", help="seconds of a step [that of the weights]"
    )
    steps.add_argument(
        "--nominal-rate",
        type=float,
        metavar="HZ",
        help="frames a second by the nominal clock [every frame is a step]",
    )
    steps.add_argument(
        "--horizon", type=int, metavar="H", help="steps to predict ahead [as far as was trained]"
    )
    add_opening(steps)

    planner = parser.add_argument_group("planner")
    planner.add_argument("--no-plan", action="store_true", help="neither plan nor rank actions")
    planner.add_argument(
        "--plan-every", type=int, default=1, metavar="N", help="plan at every Nth step [1]"
    )
    planner.add_argument("--planner", choices=PLANNERS, default="tiny", help="[%(default)s]")
    planner.add_argument("--solver", choices=(*SOLVERS, *PRESETS))
    planner.add_argument("--samples", type=int)
    planner.add_argument("--iterations", type=int)
    planner.add_argument("--plan-horizon", type=int, metavar="H")
    planner.add_argument("--objective", choices=OBJECTIVES)
    planner.add_argument("--axes", type=Path, help="file of `vjepa-ros calibrate`")
    replay_graph.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    _check(args)
    if args.graph:
        return replay_graph.run(args)
    gate = None if args.gate is None else read_gate(args.gate)
    if args.sources[0] == DIFF:
        return _diff(args.sources[1:], gate)
    config = _config(args)
    try:
        found = replay(config, args.sources, workers=1 if args.device == "cuda" else args.workers)
    except ValueError as error:
        raise UserError(str(error)) from error
    print(_table(found))
    failures = None if gate is None else [str(violation) for violation in check(gate, found)]
    _write(args, config, found, failures)
    return _verdict(args, found, failures)


def _check(args: argparse.Namespace) -> None:
    """What would otherwise fail after the work is done, or by a stranger's error."""
    for name in ("workers", "horizon", "plan_every", "samples", "iterations", "plan_horizon"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UserError(f"--{name.replace('_', '-')} {value}: expected at least 1")
    for name in ("step_period", "nominal_rate"):
        value = getattr(args, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"--{name.replace('_', '-')} {value:g}: expected more than 0")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: expected 0 or more")
    if not args.weights.is_file():
        raise UserError(f"--weights {args.weights}: no such file")
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here; use --device cpu")
    for name in ("json", "html", "write_gate"):
        path = getattr(args, name)
        if path is not None and not path.absolute().parent.is_dir():
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} {path}: expected a file in a folder that exists")
    if args.pictures is not None and args.html is None:
        raise UserError("--pictures are those of the page: give --html, too")


def _config(args: argparse.Namespace) -> ReplayConfig:
    return ReplayConfig(
        weights=args.weights,
        device=args.device,
        seed=args.seed,
        clock=args.clock,
        step_period=args.step_period,
        nominal_rate=args.nominal_rate,
        horizon=args.horizon,
        plan_every=None if args.no_plan else args.plan_every,
        planner=choose_planner(
            args.planner,
            args.solver,
            samples=args.samples,
            iterations=args.iterations,
            horizon=args.plan_horizon,
            objective=args.objective,
        ),
        axes=args.axes,
        opening=opening(args),
    )


def _write(
    args: argparse.Namespace, config: ReplayConfig, found: Replay, failures: Sequence[str] | None
) -> None:
    if args.json:
        args.json.write_text(found.to_json())
        print(f"wrote {args.json}")
    if args.html:
        world_model = load_world_model(config.weights, config.device).world_model
        write_report(
            found,
            args.html,
            world_model,
            failures=failures,
            opening=config.opening,
            folder=args.pictures,
        )
        print(f"wrote {args.html}")
    if args.write_gate:
        write_gate(args.write_gate, gate_around(found), found)
        print(f"wrote {args.write_gate}")


def _verdict(args: argparse.Namespace, found: Replay, failures: Sequence[str] | None) -> int:
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
