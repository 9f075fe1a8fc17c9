"""`vjepa-ros evaluate`: does the planner do what goal pictures ask, in scenes never seen?

Closed loop in the simulation without ROS: look, plan, move, until the planner ends; then the
simulation's own truth decides. The same arguments give the same trials, bit for bit, however
many workers share them.
"""

import argparse
import json
from pathlib import Path

from vjepa_gate.errors import UserError
from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.evaluation.runs import Evaluation, Report, evaluate, failure
from vjepa_ros.evaluation.statistics import median_and_p95, wilson_interval
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.objectives import OBJECTIVES
from vjepa_ros.planning.planners import PLANNERS, PlannerConfig, choose_planner
from vjepa_ros.planning.solvers import PRESETS, SOLVERS
from vjepa_sim.tasks import GRASPABLE, SCHEDULES

TASKS = ("reach", "grasp", "pick_place")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--object", choices=GRASPABLE, default="cube", help="[%(default)s]")
    parser.add_argument(
        "--goals",
        choices=SCHEDULES["reach"],
        default="dense",
        help="sub-goal pictures: paper is V-JEPA 2's schedule, single the end alone [%(default)s]",
    )
    parser.add_argument("--condition", choices=CONDITIONS, default="plain", help="[%(default)s]")
    parser.add_argument(
        "--turn",
        type=float,
        default=0.0,
        metavar="DEGREES",
        help="lead the camera around the table so far, counter-clockwise [0]",
    )
    parser.add_argument("--episodes", type=int, default=20, help="[%(default)s]")
    parser.add_argument(
        "--seed", type=int, default=7000, help="of the first episode's scene [%(default)s]"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results")
    parser.add_argument("--video", type=Path, metavar="FOLDER", help="write one MP4 an episode")
    parser.add_argument(
        "--workers", type=int, help="episodes at a time, one thread each [one a core]"
    )

    planner = parser.add_argument_group("planner, where it shall differ from --planner")
    planner.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS, help="[the shipped ones]")
    planner.add_argument("--planner", choices=PLANNERS, default="tiny", help="[%(default)s]")
    planner.add_argument(
        "--axes", type=Path, metavar="FILE", help="what `vjepa-ros calibrate` found for this camera"
    )
    planner.add_argument("--solver", choices=(*SOLVERS, *PRESETS))
    planner.add_argument("--samples", type=int)
    planner.add_argument("--iterations", type=int)
    planner.add_argument("--horizon", type=int)
    planner.add_argument("--objective", choices=OBJECTIVES)


def run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    evaluation = Evaluation(
        task=arguments.task,
        object=arguments.object,
        goals=arguments.goals,
        condition=arguments.condition,
        turn=arguments.turn,
        axes=arguments.axes,
        episodes=arguments.episodes,
        seed=arguments.seed,
        weights=arguments.weights,
        planner=_planner(arguments),
    )
    try:
        report = evaluate(evaluation, workers=arguments.workers, videos=arguments.video)
    except ValueError as error:
        raise UserError(str(error)) from error
    print(_table(report))
    if arguments.json:
        arguments.json.write_text(json.dumps(report.as_json(), indent=1) + "\n")
        print(f"wrote {arguments.json}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """What would otherwise fail after the work is done, or by a stranger's error."""
    for name in ("episodes", "workers", "samples", "iterations", "horizon"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} {value}: expected at least 1")
    if arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed}: expected 0 or more")
    if not arguments.weights.is_file():
        raise UserError(
            f"--weights {arguments.weights}: no such file; `make weights` makes the shipped ones"
        )
    if not -180 <= arguments.turn <= 180:
        raise UserError(f"--turn {arguments.turn:g}: expected degrees, -180 to 180")
    if arguments.json and not arguments.json.parent.is_dir():
        raise UserError(f"--json {arguments.json}: expected a file in a folder that exists")


def _planner(arguments: argparse.Namespace) -> PlannerConfig:
    changes = {
        name: getattr(arguments, name) for name in ("samples", "iterations", "horizon", "objective")
    }
    return choose_planner(arguments.planner, arguments.solver, **changes)


def _table(report: Report) -> str:
    about, trials = report.evaluation, report.trials
    low, high = wilson_interval(report.successes, len(trials))
    seconds = report.seconds_per_plan
    steps = median_and_p95([trial.steps for trial in trials])
    distance = median_and_p95([100 * trial.distance for trial in trials])
    planner = about.planner
    rows = {
        "task": f"{about.task} {about.object}, {about.goals} goals",
        "condition": f"{about.condition}: {CONDITIONS[about.condition].summary}",
        "weights": report.weights_identity,
        "planner": f"{planner.solver} {planner.samples} × {planner.iterations}, "
        f"horizon {planner.horizon}, {planner.objective}",
        "success": f"{report.successes} of {len(trials)} "
        f"({report.successes / len(trials):.0%}; 95 % interval {low:.0%} … {high:.0%})",
        "seconds a plan": f"{seconds['median']:.3f} median, {seconds['p95']:.3f} p95",
        "steps": f"{steps['median']:.0f} median, {steps['p95']:.0f} p95",
        "final distance": f"{distance['median']:.1f} cm median, {distance['p95']:.1f} cm p95",
    }
    if about.turn or about.axes:
        rows["camera"] = f"turned by {about.turn:g}°, {about.axes or 'not calibrated'}"
    lines = [f"{name:15} {value}" for name, value in rows.items()]
    lines += [f"failed {one.seed}     {failure(one)}" for one in trials if not one.success]
    return "\n".join(lines)
