"""CEM, iCEM and MPPI at equal budgets: what a plan costs, how good it is, what it leads to.

    python benchmarks/solvers.py --weights W                  # single plans
    python benchmarks/solvers.py --weights W --episodes 10    # and closed loop

Single plans go from one sub-goal of a demonstrated pick-and-place to the next. Each is held
against a search of ten times the budget: how much more energy the plan has, and how far away
the place is that it moves to. Seconds are of one thread; compare them within one run.

A budget is the number of candidates that are scored: iCEM, whose populations shrink, begins
with more. Seeds are of those kept for choosing, none of those that results are reported for.
"""

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from vjepa_ros.conventions import POSITION
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.evaluation.runs import Evaluation, evaluate
from vjepa_ros.planning.config import PLANNERS, PlannerConfig
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.objectives import make_objective
from vjepa_ros.planning.solvers import ICEM, Cost, make_solver
from vjepa_ros.planning.world_model import Context, Goal, WorldModel
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import make_task

SOLVERS = ("cem", "icem", "quadratic", "mppi")
TASKS = (  # task, sub-goals, condition
    ("reach", "single", "plain"),
    ("reach", "single", "light"),
    ("grasp", "dense", "plain"),
    ("pick_place", "dense", "plain"),
)


@dataclass(frozen=True, kw_only=True)
class Score:
    seconds: float  # a plan, median
    excess: float  # energy above that of the larger search, mean share
    metres: float  # from where the larger search goes, median


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument(
        "--budgets", nargs="+", default=["32x2", "64x3", "96x3"], help="samples x iterations"
    )
    parser.add_argument("--horizon", type=int, default=PLANNERS["tiny"].horizon)
    parser.add_argument("--scenes", type=int, default=4, help="of 7 plans each")
    parser.add_argument("--episodes", type=int, default=0, help="closed loop, of each task")
    parser.add_argument("--seed", type=int, default=5500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = replace(PLANNERS["tiny"], horizon=args.horizon)
    world_model = load_world_model(args.weights).world_model
    costs = demonstrated_costs(world_model, base, args.scenes, args.seed)

    columns = {" ".join(about): about for about in TASKS} if args.episodes else {}
    print(f"{'solver':7} {'budget':8} s/plan  energy+  off, mm  " + "  ".join(columns))
    for budget in args.budgets:
        samples, iterations = (int(number) for number in budget.split("x"))
        for solver in SOLVERS:
            config = at_budget(base, solver, samples, iterations)
            score = score_plans(config, costs, args.seed)
            cells = [
                closed_loop(config, *about, args).ljust(len(title))
                for title, about in columns.items()
            ]
            print(
                f"{solver:7} {budget:8} {score.seconds:6.3f} {score.excess:8.1%} "
                f"{1000 * score.metres:8.1f}  " + "  ".join(cells),
                flush=True,
            )


def at_budget(base: PlannerConfig, solver: str, samples: int, iterations: int) -> PlannerConfig:
    """The solver with as many scored candidates in all as samples × iterations."""
    first = samples
    if solver in ("icem", "quadratic"):  # whose populations shrink
        first = round(samples * iterations / sum(ICEM.decay**-i for i in range(iterations)))
    return replace(base, solver=solver, samples=first, iterations=iterations, decay=ICEM.decay)


def demonstrated_costs(
    world_model: WorldModel, config: PlannerConfig, scenes: int, seed: int
) -> list[Cost]:
    """Energies of going on from each sub-goal of a demonstration to the next."""
    objective, task = make_objective(config.objective), make_task("pick_place", "cube")
    costs = []
    with Scene() as scene:
        for number in range(scenes):
            goals = task.reset(scene, seed + number, "dense").goals
            rgb = torch.from_numpy(np.stack([goal.observation.rgb for goal in goals]))
            latents = world_model.encode(rgb)
            states = torch.stack([state_of(goal.observation) for goal in goals]).float()
            for here in range(len(goals) - 1):
                context = Context(latents=latents[here : here + 1], states=states[here : here + 1])
                goal = Goal(latents=latents[here + 1])
                costs.append(world_model.cost(context, goal, objective))
    return costs


def score_plans(config: PlannerConfig, costs: list[Cost], seed: int) -> Score:
    large = replace(config, solver="cem", samples=10 * config.samples)
    solver, reference = make_solver(config), make_solver(large)
    seconds, excesses, metres = [], [], []
    for number, cost in enumerate(costs):
        best = reference.solve(cost, seed=seed + number)
        began = time.perf_counter()
        found = solver.solve(cost, seed=seed + number)
        seconds.append(time.perf_counter() - began)
        excesses.append(found.energy / best.energy - 1)
        away = found.actions[0, POSITION] - best.actions[0, POSITION]
        metres.append(float(away.norm()))
    return Score(
        seconds=float(np.median(seconds)),
        excess=float(np.mean(excesses)),
        metres=float(np.median(metres)),
    )


def closed_loop(
    config: PlannerConfig, task: str, goals: str, condition: str, args: argparse.Namespace
) -> str:
    """Successes, and how far off the median trial ended."""
    evaluation = Evaluation(
        task=task,
        goals=goals,
        condition=condition,
        episodes=args.episodes,
        seed=args.seed,
        weights=args.weights,
        planner=config,
    )
    report = evaluate(evaluation)
    off = np.median([trial.distance for trial in report.trials])
    return f"{report.successes} of {args.episodes}, {100 * off:.1f} cm"


if __name__ == "__main__":
    main()
