"""The table of closed-loop results: every task plain, then under every other condition.

    python benchmarks/closed_loop.py --out results/

Each row is what `vjepa-ros evaluate` gives with the arguments that stand in it. A row is
written to a file of its own when it is done; started again, the run goes on with the rows that
are missing. The table, as Markdown, is printed at the end, or alone with --rows 0.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.evaluation.runs import Evaluation, evaluate
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.loading import load_world_model


@dataclass(frozen=True)
class Row:
    task: str
    object: str
    goals: str
    condition: str = "plain"

    @property
    def file(self) -> str:
        return f"{self.condition}-{self.task}-{self.object}-{self.goals}.json"


TASKS = (
    Row("reach", "cube", "single"),
    Row("grasp", "cube", "dense"),
    Row("pick_place", "cube", "dense"),
    Row("pick_place", "cube", "paper"),
    Row("grasp", "cup", "dense"),
)
VARIED = [
    Row(row.task, row.object, row.goals, condition)
    for condition in CONDITIONS
    if condition != "plain"
    for row in TASKS
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows' JSON files")
    parser.add_argument("--episodes", type=int, default=20, help="of each plain row")
    parser.add_argument("--varied", type=int, default=10, help="of each row of another condition")
    parser.add_argument("--rows", type=int, help="do no more than so many of the missing rows")
    parser.add_argument("--seed", type=int, default=7000)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    rows = [*TASKS, *VARIED]
    missing = [row for row in rows if not (args.out / row.file).exists()]
    for row in missing[: args.rows]:
        episodes = args.episodes if row.condition == "plain" else args.varied
        done = measure(row, episodes, args)
        (args.out / row.file).write_text(json.dumps(done, indent=1) + "\n")
    print("| task | object | goals | condition | success | 95 % | s a plan | steps | off, cm |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        if (args.out / row.file).exists():
            print(line(json.loads((args.out / row.file).read_text())))


def measure(row: Row, episodes: int, args: argparse.Namespace) -> dict[str, Any]:
    evaluation = Evaluation(
        task=row.task,
        object=row.object,
        goals=row.goals,
        condition=row.condition,
        episodes=episodes,
        seed=args.seed,
        weights=args.weights,
        planner=load_world_model(args.weights).chosen_planner(None, {})[1],
    )
    return evaluate(evaluation, workers=args.workers).as_json()


def line(found: dict[str, Any]) -> str:
    low, high = found["interval"]
    seconds, distance = found["seconds_per_plan"], found["distance"]
    cells = (
        found["task"],
        found["object"],
        found["goals"],
        found["condition"],
        f"{found['successes']} of {found['episodes']}",
        f"{low:.0%} … {high:.0%}",
        f"{seconds['median']:.2f} (p95 {seconds['p95']:.2f})",
        f"{found['steps']['median']:.0f}",
        f"{100 * distance['median']:.1f} (p95 {100 * distance['p95']:.1f})",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
