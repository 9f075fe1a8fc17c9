"""Policy alone, planner alone, and what the planner makes of the policy, closed loop.

    vjepa-ros policy train --data data/train --out good.safetensors
    python benchmarks/policy.py good.safetensors fair.safetensors poor.safetensors --out results/

Each policy is served over the wire, as anybody's. Of one chunk at a time, `rank` is the policy
alone. A row is written to a file of its own when it is done; started again, the run goes on with
the rows that are missing. The table is printed at the end, or alone with --rows 0.
"""

import argparse
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from vjepa_ros.evaluation.runs import REACH_TOLERANCE, Evaluation, evaluate
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.policy.net import load_policy
from vjepa_ros.policy.server import PolicyInference, serving
from vjepa_ros.policy.settings import PolicySettings

MODES = ("rank", "propose", "veto", "blend")
GOALS = {"reach": "single", "grasp": "dense", "pick_place": "dense"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("policies", type=Path, nargs="*", help="what `policy train` wrote")
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS)
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows' JSON files")
    parser.add_argument("--task", choices=GOALS, default="reach")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=7000)
    parser.add_argument("--rows", type=int, help="do no more than so many of the missing rows")
    parser.add_argument("--workers", type=int)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    rows = [(None, "planner"), *((path, mode) for path in args.policies for mode in MODES)]
    missing = [row for row in rows if not file_of(args, *row).exists()]
    for policy, mode in missing[: args.rows]:
        done = measure(args, policy, mode)
        file_of(args, policy, mode).write_text(json.dumps(done, indent=1) + "\n")
    limit = f" within {100 * REACH_TOLERANCE:g} cm" if args.task == "reach" else ""
    print(f"| policy | mode | {args.task}{limit} | 95 % | steps | off, cm | plans without it |")
    print("|---|---|---|---|---|---|---|")
    for policy, mode in rows:
        if (file := file_of(args, policy, mode)).exists():
            print(line(policy, mode, json.loads(file.read_text())))


def file_of(args: argparse.Namespace, policy: Path | None, mode: str) -> Path:
    name = "none" if policy is None else policy.stem
    return args.out / f"{args.task}-{name}-{mode}.json"


def measure(args: argparse.Namespace, policy: Path | None, mode: str) -> dict[str, Any]:
    loaded = load_world_model(args.weights)
    evaluation = Evaluation(
        task=args.task,
        goals=GOALS[args.task],
        episodes=args.episodes,
        seed=args.seed,
        weights=args.weights,
        planner=loaded.chosen_planner(None, {})[1],
    )
    if policy is None:
        return evaluate(evaluation, workers=args.workers).as_json()
    infer = PolicyInference(load_policy(policy, loaded.identity), loaded.world_model.encode)
    with serving(infer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        evaluation = replace(
            evaluation,
            planner=replace(evaluation.planner, policy_mode=mode),
            policy=PolicySettings(policy=url, policy_timeout=30.0),
        )
        found = evaluate(evaluation, workers=args.workers).as_json()
        server.shutdown()
    return found


def line(policy: Path | None, mode: str, found: dict[str, Any]) -> str:
    low, high = found["interval"]
    cells = (
        "none" if policy is None else policy.stem,
        {"rank": "policy alone", "planner": "planner alone"}.get(mode, mode),
        f"{found['successes']} of {found['episodes']}",
        f"{low:.0%} … {high:.0%}",
        f"{found['steps']['median']:.0f}",
        f"{100 * found['distance']['median']:.1f}",
        str(sum(trial["alone"] for trial in found["trials"])),
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
