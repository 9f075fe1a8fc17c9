"""Success, CPU seconds and energy gap of a plan against the budget of its search.

    nice -n 19 python benchmarks/budget.py --out runs/budget --plot docs/images/budget.png

Budgets are samples × iterations; CEM, iCEM, quadratic and MPPI search at horizons 1, 2 and 3: from
nothing; where a plan is longer than its first step, from what is left of the plan before it; from
what the one did whom the sub-goals' pictures were taken of; and, with --policy, from what a small
policy would do (`vjepa-ros policy train`). What is proposed joins the first population.

The gap: of the energy that CEM 800 × 10 gains over staying, the share that a plan leaves. It is
measured on the second plan of a grasp, in a place where the model imagines that the first step of
the large search has led. CPU seconds are of that search alone, on one thread; with --problems 0, of
a whole plan in the trials, the frame's encoding and the fingers' choice among it. Success is of
trials in closed loop on tuning seeds, with the hand rules of the preset `tiny`: of grasping by four
pictures, or of --task reach, within 2 cm by one, whose few steps larger budgets have time for.

A row is written to a file when it is done; started again, the run goes on with those that are
missing, small budgets first. The table is printed at the end, or alone with --rows 0.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from solvers import SOLVERS, at_budget
from starts import Cloned, Recorded, cloned, recorded
from torch import Tensor

from vjepa_gate.robots import load_robot
from vjepa_ros.conventions import apply_action
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.evaluation.arm import in_lab
from vjepa_ros.evaluation.runs import REACH_TOLERANCE
from vjepa_ros.evaluation.trials import look_with, run_trial
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.config import PLANNERS, PlannerConfig
from vjepa_ros.planning.loading import Loaded, load_world_model
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import Cost, make_solver, shifted
from vjepa_ros.planning.steering import allowed
from vjepa_ros.planning.world_model import Context, Goal, WorldModel
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import make_task

BUDGETS = ((16, 1), (16, 3), (32, 2), (32, 3), (64, 3), (128, 5), (300, 5), (800, 10))
LARGE = BUDGETS[-1]
STARTS = ("nothing", "previous", "recorded", "policy")
TASKS = {"grasp": "dense", "reach": "single"}  # and their goals


@dataclass(frozen=True)
class Row:
    samples: int
    iterations: int
    horizon: int
    solver: str
    start: str  # of STARTS

    @property
    def file(self) -> str:
        return f"{self.samples}x{self.iterations}-h{self.horizon}-{self.solver}-{self.start}.json"

    @property
    def config(self) -> PlannerConfig:
        base = replace(
            PLANNERS["tiny"], horizon=self.horizon, elites=max(3, min(8, self.samples // 6))
        )
        if self.start != "previous":
            base = replace(base, rules=tuple(one for one in base.rules if one != "warm_start"))
        return at_budget(base, self.solver, self.samples, self.iterations)


ROWS = [
    Row(samples, iterations, horizon, solver, start)
    for samples, iterations in BUDGETS
    for horizon in (1, 2, 3)
    for start in STARTS
    for solver in SOLVERS
    if horizon > 1 or start != "previous"
]


@dataclass(frozen=True)
class Problem:
    """The first two plans of a task, and what the large search makes of the second."""

    first: Cost
    second: Cost
    least: float
    staying: float
    proposals: dict[str, Tensor]  # [P, T, 7] of the starts that propose to the second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows' JSON files")
    parser.add_argument("--plot", type=Path, help="PNG of all rows that there are")
    parser.add_argument("--rows", type=int, help="do no more than so many of the missing rows")
    parser.add_argument("--horizons", type=int, nargs="+", default=[1, 2, 3], choices=[1, 2, 3])
    parser.add_argument("--starts", nargs="+", default=STARTS, choices=STARTS)
    parser.add_argument("--solvers", nargs="+", default=SOLVERS, choices=SOLVERS)
    parser.add_argument("--budgets", nargs="+", default=BUDGETS, type=budget, help="such as 16x3")
    parser.add_argument("--policy", type=Path, help="without it nothing starts from one")
    parser.add_argument("--task", choices=TASKS, default="grasp", help="of the trials")
    parser.add_argument("--problems", type=int, default=4, help="for the gap")
    parser.add_argument("--episodes", type=int, default=10, help="trials of each row")
    parser.add_argument(
        "--most", type=int, default=8000, help="candidates a plan; larger ones get no trials"
    )
    parser.add_argument("--seed", type=int, default=5000)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    asked = [row for row in ROWS if is_asked(row, args)]
    missing = [row for row in asked if not (args.out / row.file).exists()]
    loaded = load_world_model(args.weights)
    policy = args.policy and cloned(args.policy, loaded)
    problems: dict[int, list[Problem]] = {}
    for row in missing[: args.rows]:
        if row.horizon not in problems:
            problems[row.horizon] = make_problems(row.horizon, loaded.world_model, policy, args)
        done = asdict(row)
        if args.episodes and row.samples * row.iterations <= args.most:
            done |= trials(row, loaded, policy, args)
        if args.problems:
            done |= measure(row, problems[row.horizon], args)
        (args.out / row.file).write_text(json.dumps(done, indent=1) + "\n")
    files = [args.out / row.file for row in asked]
    rows = [json.loads(file.read_text()) for file in files if file.exists()]
    print("| search | budget | H | starts from | success | CPU s a plan | gap, median |")
    print("|---|---|---|---|---|---|---|")
    for found in rows:
        print(line(found))
    if args.plot and rows:
        plot(rows, args.horizons, args.plot)


def budget(text: str) -> tuple[int, int]:
    samples, iterations = text.split("x")
    return int(samples), int(iterations)


def is_asked(row: Row, args: argparse.Namespace) -> bool:
    return (
        row.horizon in args.horizons
        and row.solver in args.solvers
        and (row.samples, row.iterations) in args.budgets
        and row.start in args.starts
        and (row.start != "policy" or args.policy is not None)
    )


# --- problems ----------------------------------------------------------------------------


def make_problems(
    horizon: int, model: WorldModel, policy: Cloned | None, args: argparse.Namespace
) -> list[Problem]:
    """From the beginning of a demonstrated grasp to its first sub-goal, scene by scene.

    What the large search found is kept in a file: it takes longer than all else.
    """
    path = args.out / f"large-h{horizon}.json"
    kept = json.loads(path.read_text()) if path.exists() else []
    problems = []
    with Scene() as scene:
        for number in range(args.problems):
            context, goal, demonstrated = beginning(scene, args.seed + number, model)
            if len(kept) <= number:
                kept.append(large_search(model, context, goal, horizon, args.seed + number))
                path.write_text(json.dumps(kept) + "\n")
            then = after(model, context, torch.tensor(kept[number]["action"]))
            proposals = {"recorded": demonstrated.towards(0, then.states[0])}
            if policy is not None:
                proposals["policy"] = policy.between(then.latents[0], goal, then.states[0])
            problems.append(
                Problem(
                    first=model.cost(context, goal, L1()),
                    second=model.cost(then, goal, L1()),
                    least=kept[number]["least"],
                    staying=kept[number]["staying"],
                    proposals=proposals,
                )
            )
    return problems


def beginning(scene: Scene, seed: int, model: WorldModel) -> tuple[Context, Goal, Recorded]:
    task = make_task("grasp", "cube")
    legs = recorded(scene, task, seed, "dense")
    goals = task.reset(scene, seed, "dense").goals
    seen = scene.observe()
    rgb = torch.from_numpy(np.stack([seen.rgb, goals[0].observation.rgb]))
    latents = model.encode(rgb)
    context = Context(latents=latents[:1], states=state_of(seen)[None].float())
    return context, Goal(latents=latents[1]), Recorded(pictures=goals, legs=legs)


def large_search(
    model: WorldModel, context: Context, goal: Goal, horizon: int, seed: int
) -> dict[str, Any]:
    solver = make_solver(Row(*LARGE, horizon, "cem", start="nothing").config)
    action = solver.solve(model.cost(context, goal, L1()), seed=seed).actions[0]
    second = model.cost(after(model, context, action), goal, L1())
    with torch.no_grad():
        staying = float(second(torch.zeros(1, horizon, 7))[0])
    least = solver.solve(second, seed=seed + 1).energy
    return {"action": action.tolist(), "least": least, "staying": staying}


@torch.no_grad()
def after(model: WorldModel, context: Context, action: Tensor) -> Context:
    """Where the model imagines that an action leads."""
    latents = model.rollout(context, action[None, None])[0]
    return Context(latents=latents, states=apply_action(context.states, action[None]))


# --- rows --------------------------------------------------------------------------------


def measure(row: Row, problems: Sequence[Problem], args: argparse.Namespace) -> dict[str, Any]:
    solver, gaps, seconds = make_solver(row.config), [], []
    for number, problem in enumerate(problems):
        start = proposals = None
        if row.start == "previous":
            start = shifted(solver.solve(problem.first, seed=args.seed + number).actions)
        elif row.start != "nothing":
            proposals = allowed(row.config, problem.proposals[row.start])
        began = time.process_time()
        found = solver.solve(
            problem.second, seed=args.seed + number, warm_start=start, proposals=proposals
        )
        seconds.append(time.process_time() - began)
        gaps.append((found.energy - problem.least) / (problem.staying - problem.least))
    return {"cpu_seconds": float(np.median(seconds)), "gaps": gaps}


def trials(
    row: Row, loaded: Loaded, policy: Cloned | None, args: argparse.Namespace
) -> dict[str, Any]:
    """Successes in closed loop."""
    task, goals = make_task(args.task, "cube"), TASKS[args.task]
    model, successes, seconds = loaded.world_model, 0, []
    with Scene() as scene:
        robot = in_lab(scene, load_robot("sim"))
        for seed in range(args.seed, args.seed + args.episodes):
            legs = recorded(scene, task, seed, goals)
            episode = task.reset(scene, seed, goals)
            starts = {"recorded": Recorded(pictures=episode.goals, legs=legs), "policy": policy}
            trial = run_trial(
                episode,
                planner=Planner(row.config, model),
                look=look_with(model.encode),
                robot=robot,
                period=loaded.config.step_period,
                tolerance=REACH_TOLERANCE if args.task == "reach" else None,
                proposer=starts.get(row.start),
            )
            successes += trial.success
            seconds += trial.cpu_seconds
    return {
        "task": args.task,
        "successes": successes,
        "episodes": args.episodes,
        "cpu_seconds": float(np.median(seconds)),
    }


def line(found: dict[str, Any]) -> str:
    success = f"{found['successes']} of {found['episodes']}" if "successes" in found else "–"
    cells = (
        found["solver"],
        f"{found['samples']}×{found['iterations']}",
        str(found["horizon"]),
        found["start"],
        success,
        f"{found['cpu_seconds']:.3f}",
        f"{np.median(found['gaps']):+.1%}" if "gaps" in found else "–",
    )
    return "| " + " | ".join(cells) + " |"


def plot(rows: Sequence[dict[str, Any]], horizons: Sequence[int], path: Path) -> None:
    """Gap and success against CPU seconds, a column for each horizon."""
    figure = Figure(figsize=(2 + 4 * len(horizons), 6), layout="constrained")
    axes = figure.subplots(2, len(horizons), sharex=True, sharey="row", squeeze=False)
    kinds = dict.fromkeys((row["solver"], row["start"]) for row in rows)
    styles = dict(zip(STARTS, ("-", "--", ":", "-."), strict=True))
    for column, horizon in enumerate(horizons):
        above, below = axes[:, column]
        for solver, start in kinds:
            about = {"solver": solver, "start": start, "horizon": horizon}
            curve = [row for row in rows if about.items() <= row.items()]
            if not curve:
                continue
            style: dict[str, Any] = {
                "marker": "o",
                "linestyle": styles[start],
                "color": f"C{SOLVERS.index(solver)}",
                "label": f"{solver}, from {start}",
            }
            seconds = [row["cpu_seconds"] for row in curve]
            gaps = [np.median(row.get("gaps", np.nan)) for row in curve]
            above.plot(seconds, gaps, **style)
            tried = [row for row in curve if "successes" in row]
            rates = [row["successes"] / row["episodes"] for row in tried]
            below.plot([row["cpu_seconds"] for row in tried], rates, **style)
        above.set(title=f"horizon {horizon}", xscale="log", ylabel="energy gap")
        below.set(xlabel="CPU seconds a plan", ylabel="success", ylim=(-0.05, 1.05))
    axes[0, 0].legend(fontsize="small")
    FigureCanvasAgg(figure).print_png(str(path))


if __name__ == "__main__":
    main()
