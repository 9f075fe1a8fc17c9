"""`vjepa-ros memory`: recorded episodes as latents on disk, where sub-goals are looked up."""

import argparse
from pathlib import Path

from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.subgoals.bank import build_bank, demonstrations
from vjepa_ros.planning.subgoals.keyframes import SLOTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    summary = "encode the episodes under a path; what is marked as failed is left out"
    build = verbs.add_parser("build", help=summary, description=summary)
    build.add_argument("episodes", type=Path, help="an episode, or a folder of them")
    build.add_argument("--out", type=Path, required=True, metavar="DIR")
    build.add_argument(
        "--weights", type=Path, default=SHIPPED_WEIGHTS, help="that will plan [the shipped ones]"
    )


def run(args: argparse.Namespace) -> int:
    loaded = load_world_model(args.weights)
    episodes = demonstrations(args.episodes, loaded.config.step_period)
    bank = build_bank(episodes, args.out, loaded.world_model.encode, weights=loaded.identity)
    moves = sum(len(steps) // SLOTS for steps in bank.key_steps)
    print(
        f"{args.out}: {len(bank.lengths)} episodes, {len(bank.states)} frames, in which the "
        f"fingers move {moves} times"
    )
    return 0
