"""A turned camera, and what calibration mends of it: reach success with and without.

    python benchmarks/axes.py --out results/

For each angle: `vjepa-ros calibrate --sim --turn ANGLE` in one scene, then the same episodes of
`vjepa-ros evaluate --task reach --goals single --turn ANGLE` in others, without and with
`--axes`. Episodes end after --steps steps, about twice as many as the straight way takes: given
more, looking again after each step mends much of a turn by itself.

A row is written to a file of its own when it is done; started again, the run goes on with the
rows that are missing. The table, as Markdown, is printed at the end.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from vjepa_ros import cli
from vjepa_ros.evaluation.runs import Evaluation, evaluate
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.axes import load_axes
from vjepa_ros.planning.config import PLANNERS

SCENE = 4900  # of the calibrations; no episode is played in it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--out", type=Path, required=True, help="folder of results and axes")
    parser.add_argument("--turns", type=int, nargs="+", default=[-30, -20, 20, 30, 40])
    parser.add_argument("--episodes", type=int, default=10, help="of each row")
    parser.add_argument("--steps", type=int, default=6, help="of each episode, at most")
    parser.add_argument("--moves", type=int, default=40, help="of each calibration")
    parser.add_argument("--seed", type=int, default=7000)
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    print("| turned by | axes found | without | off, cm | with | off, cm |")
    print("|---|---|---|---|---|---|")
    for turn in args.turns:
        file = calibrated(turn, args)
        axes = load_axes(file)
        found = f"{axes.angle:+.0f}°, × {axes.scale:.2f}, R² {axes.r2:.2f}"
        cells = [f"{turn:+d}°", found]
        for name, used in (("without", None), ("with", file)):
            path = args.out / f"{name}_{turn:+d}.json"
            if not path.exists():
                path.write_text(json.dumps(measure(turn, used, args), indent=1) + "\n")
            cells += summary(json.loads(path.read_text()))
        print("| " + " | ".join(cells) + " |", flush=True)


def calibrated(turn: int, args: argparse.Namespace) -> Path:
    file = args.out / f"axes_{turn:+d}.yaml"
    if not file.exists():
        words = ["--sim", "--turn", turn, "--scene", SCENE, "--moves", args.moves]
        command = ["calibrate", *words, "--weights", args.weights, "--out", file]
        if code := cli.main([str(word) for word in command]):
            raise SystemExit(code)
    return file


def measure(turn: int, axes: Path | None, args: argparse.Namespace) -> dict[str, Any]:
    evaluation = Evaluation(
        task="reach",
        goals="single",
        turn=turn,
        axes=axes,
        episodes=args.episodes,
        seed=args.seed,
        weights=args.weights,
        planner=replace(PLANNERS["tiny"], goal_steps=(args.steps,)),
    )
    return evaluate(evaluation, workers=args.workers).as_json()


def summary(found: dict[str, Any]) -> list[str]:
    distance = found["distance"]
    off = f"{100 * distance['median']:.1f} (p95 {100 * distance['p95']:.1f})"
    return [f"{found['successes']} of {found['episodes']}", off]


if __name__ == "__main__":
    main()
