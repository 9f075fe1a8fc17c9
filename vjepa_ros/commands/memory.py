"""`vjepa-ros memory`: recorded episodes as latents on disk, where sub-goals are looked up."""

import argparse

from vjepa_ros.commands.settings import BuildMemory, read
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.subgoals.bank import build_bank, demonstrations
from vjepa_ros.planning.subgoals.keyframes import SLOTS


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    settings = read(BuildMemory, args)
    loaded = load_world_model(settings.weights)
    episodes = demonstrations(settings.episodes, loaded.config.step_period)
    bank = build_bank(episodes, settings.out, loaded.world_model, weights=loaded.identity)
    moves = sum(len(steps) // SLOTS for steps in bank.key_steps)
    print(
        f"{settings.out}: {len(bank.lengths)} episodes, {len(bank.states)} frames, in which the "
        f"fingers move {moves} times"
    )
    return 0
