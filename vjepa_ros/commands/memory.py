"""`vjepa-ros memory`: recorded episodes as latents on disk, where sub-goals are looked up."""

import argparse
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from vjepa_ros.commands.opening import opening
from vjepa_ros.commands.settings import read
from vjepa_ros.commands.settings.episodes import BuildMemory
from vjepa_ros.episodes.workers import fleet
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.subgoals.bank import build_bank, demonstrations
from vjepa_ros.planning.subgoals.keyframes import SLOTS


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    settings = read(BuildMemory, args)
    loaded = load_world_model(settings.weights)
    period = loaded.config.step_period
    bank = build_bank(
        demonstrations(settings.episodes, period, **opening(settings)),
        settings.out,
        partial(_encode, settings.weights),  # a worker loads them once for all its episodes
        crop=loaded.config.crop,
        weights=loaded.identity,
        step_period=period,
        opening=opening(settings),
        workers=fleet(settings.workers, settings.ray),
    )
    moves = sum(len(steps) // SLOTS for steps in bank.key_steps)
    print(
        f"{settings.out}: {len(bank.lengths)} episodes, {len(bank.states)} frames, in which the "
        f"fingers move {moves} times"
    )
    return 0


def _encode(weights: Path, rgb: Tensor) -> Tensor:
    torch.set_num_threads(1)  # the bits of a sum may depend on how many threads share it
    return load_world_model(weights).world_model.encode(rgb)
