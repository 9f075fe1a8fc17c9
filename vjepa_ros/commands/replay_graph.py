"""`vjepa-ros replay --graph`: the recordings through the real nodes instead of the library.

Exit code 1: the nodes do not say what the library says. 2: some recordings could not be read.
"""

import argparse
from pathlib import Path
from typing import Any

from vjepa_gate.settings import settings_of, words
from vjepa_ros import options
from vjepa_ros.commands.opening import opening
from vjepa_ros.options import Options, pick
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.replay.graph import describe, replay_through_graph

_OF_NODES = ("weights", "device", "robot", "planner", "axes", "seed")  # beside PlannerConfig


def run(args: argparse.Namespace) -> int:
    """With the arguments of `vjepa-ros replay`."""
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
    """Give the stack's options of what was asked."""
    taken = (*_OF_NODES, "composed", "namespace", *settings_of(PlannerConfig))
    said = {name: value for name, value in vars(args).items() if name in taken}
    return options.options_of(argparse.Namespace(**said))


def command_line(bag: Path, given: Options, *, rate: float, json: Path | None) -> list[str]:
    """Of `vjepa-ros`, for nodes that were started with the same options."""
    planner = given.of("planner")
    said: dict[str, Any] = {name: given.value("planner", name) for name in _OF_NODES}
    said |= pick([PlannerConfig], planner) | {"rate": rate, "json": json}
    said["namespace"] = given.stack.namespace or None
    said = {name: value for name, value in said.items() if value is not None or name in planner}
    return ["replay", str(bag), "--graph", "--attach", *words(said)]
