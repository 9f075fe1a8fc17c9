"""`vjepa-ros replay --graph`: the recordings through the real nodes instead of the library.

Exit code 1: the nodes do not say what the library says. 2: some recordings could not be read.
"""

import argparse
import math

from vjepa_gate.errors import UserError
from vjepa_ros.commands.opening import opening
from vjepa_ros.replay.graph import describe, replay_through_graph
from vjepa_ros.stack import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("through the real graph")
    group.add_argument(
        "--graph", action="store_true", help="play into encoder, predictor and planner nodes"
    )
    group.add_argument(
        "--rate",
        type=float,
        default=1.0,
        help="times the recording's own speed; 0: as fast as the nodes follow [%(default)g]",
    )
    group.add_argument("--robot", default="sim", help="its topics: YAML, or a name [%(default)s]")
    group.add_argument("--composed", action="store_true", help="the model nodes in one process")
    group.add_argument(
        "--attach", action="store_true", help="the nodes are up already, as replay.launch.py does"
    )


def run(args: argparse.Namespace) -> int:
    """With the arguments of `vjepa-ros replay`."""
    if not 0 <= args.rate < math.inf:
        raise UserError(f"--rate {args.rate:g}: expected 0 or more")
    for name in ("gate", "write_gate", "html", "objective"):
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option} is for the offline replay: leave out it or --graph")
    found = replay_through_graph(
        args.sources, options_of(args), rate=args.rate, opening=opening(args), start=not args.attach
    )
    for episode in found.episodes:
        print(describe(episode))
    for broken in found.broken:
        print(f"BROKEN  {broken.reason}")
    if args.json:
        args.json.write_text(found.to_json())
        print(f"wrote {args.json}")
    differing = [episode.name for episode in found.episodes if not episode.agrees]
    if differing:
        print(f"NOT AS OFFLINE: {', '.join(differing)}")
        return 1
    return 2 if found.broken else 0


def options_of(args: argparse.Namespace) -> Options:
    return Options(
        weights=str(args.weights),
        robot=args.robot,
        device=args.device,
        composed=args.composed,
        solver=args.solver or "",
        samples=args.samples or 0,
        iterations=args.iterations or 0,
        horizon=args.plan_horizon or 0,
        seed=args.seed,
        axes=str(args.axes or ""),
    )


def command_line(bag: str, options: Options, *, rate: str, json: str) -> list[str]:
    """Of `vjepa-ros`, for nodes that were started with the same options."""
    from vjepa_ros.nodes.weights import (
        chosen_device,
    )  # needs ROS, which the offline replay may lack

    given = {
        "--weights": options.weights,
        "--robot": options.robot,
        "--device": chosen_device(options.device).type,
        "--solver": options.solver,
        "--samples": options.samples,
        "--iterations": options.iterations,
        "--plan-horizon": options.horizon,
        "--seed": options.seed,
        "--axes": options.axes,
        "--rate": rate,
        "--json": json,
    }
    chosen = [part for name, value in given.items() if value for part in (name, str(value))]
    return ["replay", bag, "--graph", "--attach", *chosen]
