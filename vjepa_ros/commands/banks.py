"""The latents of recordings, which training commands encode once and keep."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from vjepa_gate.errors import UserError
from vjepa_ros.commands.opening import opening
from vjepa_ros.commands.settings.bases import Opening
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.planning.loading import Loaded
from vjepa_ros.planning.subgoals.bank import Bank, build_bank, load_bank


def bank_of(
    recorded: Sequence[EpisodeReader], folder: Path, loaded: Loaded, settings: Opening | Namespace
) -> Bank:
    """The bank of these recordings in a folder, made unless it is there."""
    if not folder.exists():
        return build_bank(
            recorded,
            folder,
            loaded.world_model.encode,
            crop=loaded.config.crop,
            weights=loaded.identity,
            step_period=loaded.config.step_period,
            opening=opening(settings),
        )
    bank = load_bank(folder)
    if bank.weights != loaded.identity:
        raise UserError(
            f"{folder} holds latents of {bank.weights}, not of {loaded.identity}: remove it"
        )
    if bank.lengths.tolist() != [len(one) for one in recorded]:
        raise UserError(
            f"{folder} holds latents of {len(bank.lengths)} other recordings, not of those "
            f"{len(recorded)}: remove it"
        )
    return bank
