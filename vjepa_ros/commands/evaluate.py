"""`vjepa-ros evaluate`: does the planner do what goal pictures ask, in scenes never seen?

Closed loop in the simulation without ROS: look, plan, move, until the planner ends; then the
simulation's own truth decides. The same arguments give the same trials, bit for bit, however
many workers share them. The task `surprise` plans nothing: it shows clips.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_gate.settings import read_options
from vjepa_ros.commands.settings import check_folders, read, refuse_unused, shared
from vjepa_ros.commands.settings.planning import Evaluate
from vjepa_ros.episodes.workers import fleet
from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.evaluation.expectation import Expectation, ExpectationReport, expect
from vjepa_ros.evaluation.runs import Evaluation, Report, evaluate, failure
from vjepa_ros.evaluation.statistics import median_and_p95, wilson_interval
from vjepa_ros.model.shipped import usual_weights
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.policy.settings import PolicySettings

# What the task `surprise` can be told.
_SHOWN = {"task", "episodes", "seed", "weights", "objective", "json", "workers", "ray"}


def run(arguments: argparse.Namespace) -> int:
    """Run the trials, print the table, write the JSON."""
    settings = _with_weights(read(Evaluate, arguments))
    check_folders(json=settings.json)
    given = read_options(PlannerConfig, arguments)
    if settings.task == "surprise":
        asked = {*read_options(Evaluate, arguments), *given}
        refuse_unused(asked, _SHOWN, "beside --task surprise")
        return _surprise(settings, given)
    assert settings.weights is not None
    name, planner = load_world_model(settings.weights).chosen_planner(settings.planner, given)
    about = shared(Evaluation, settings) | {
        "planner": planner,
        "planner_name": name,
        "policy": PolicySettings(**shared(PolicySettings, settings)),
    }
    try:
        report = evaluate(
            Evaluation(**about),
            workers=fleet(settings.workers, settings.ray),
            videos=settings.video,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    print(_table(report))
    _write(settings.json, report)
    return 0


def _with_weights(settings: Evaluate) -> Evaluate:
    """With the shipped ones that this way to goals asks for, where none are named."""
    by_key_frames = settings.subgoals != "none" and settings.task != "surprise"
    return replace(settings, weights=settings.weights or usual_weights(by_key_frames=by_key_frames))


def _surprise(settings: Evaluate, given: Mapping[str, Any]) -> int:
    asked = Expectation(**{**shared(Expectation, settings), **given})
    report = expect(asked, workers=fleet(settings.workers, settings.ray))
    print(report.table())
    _write(settings.json, report)
    return 0


def _write(path: Path | None, report: Report | ExpectationReport) -> None:
    if path is not None:
        path.write_text(json.dumps(report.as_json(), indent=1) + "\n")
        print(f"wrote {path}")


def _table(report: Report) -> str:
    about, trials = report.evaluation, report.trials
    low, high = wilson_interval(report.successes, len(trials))
    seconds, cpu = report.seconds_per_plan, report.cpu_seconds_per_plan
    steps = median_and_p95([trial.steps for trial in trials])
    distance = median_and_p95([100 * trial.distance for trial in trials])
    rows = {
        "task": f"{about.task} {about.object}, {about.goals} goals",
        "condition": f"{about.condition}: {CONDITIONS[about.condition].summary}",
        "weights": report.weights_identity,
        "planner": f"{about.planner_name}: {about.planner.describe()}",
        "success": f"{report.successes} of {len(trials)} "
        f"({report.successes / len(trials):.0%}; 95 % interval {low:.0%} … {high:.0%})",
        "seconds a plan": f"{seconds['median']:.3f} median, {seconds['p95']:.3f} p95; "
        f"of one CPU's {cpu['median']:.3f}, {cpu['p95']:.3f}",
        "steps": f"{steps['median']:.0f} median, {steps['p95']:.0f} p95",
        "final distance": f"{distance['median']:.1f} cm median, {distance['p95']:.1f} cm p95",
    }
    if report.idle is not None:
        plans = sum(trial.steps for trial in trials)
        ahead = sum(trial.ahead for trial in trials)
        rows["arm idle"] = f"{report.idle:.0%} of a trial, median; {ahead} of {plans} plans ahead"
    if about.policy.policy:
        alone = sum(trial.alone for trial in trials)
        rows["policy"] = (
            f"{about.policy.policy}, {about.planner.policy_mode}; silent in {alone} plans"
        )
    if about.turn or about.axes:
        rows["camera"] = f"turned by {about.turn:g}°, {about.axes or 'not calibrated'}"
    lines = [f"{name:15} {value}" for name, value in rows.items()]
    lines += [f"failed {one.seed}     {failure(one)}" for one in trials if not one.success]
    return "\n".join(lines)
