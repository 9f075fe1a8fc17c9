"""Which source of sub-goals there is for weights: what the setting `subgoals` says."""

from collections.abc import Callable
from pathlib import Path

from vjepa_gate.errors import UserError
from vjepa_ros.model.located import located
from vjepa_ros.planning.subgoals.bank import is_bank, load_bank
from vjepa_ros.planning.subgoals.memory import Memory
from vjepa_ros.planning.subgoals.proposer import ProposerSource, load_proposer
from vjepa_ros.planning.subgoals.source import SubGoalSource

_MODES, _PROPOSER = ("auto", "memory", "none"), ".safetensors"


def is_source(subgoals: str) -> bool:
    """Does it name a source, and no pictures?"""
    return subgoals in _MODES or Path(subgoals).suffix == _PROPOSER or is_bank(Path(subgoals))


def proposer_beside(weights: Path) -> Path:
    """Where a proposer is looked for that belongs to weights."""
    return located(weights).with_suffix(f".subgoals{_PROPOSER}")


def memory_beside(weights: Path) -> Path:
    """Where a memory is looked for that belongs to weights."""
    return located(weights).with_suffix(".memory")


def source_of(subgoals: str, weights: Path, identity: Callable[[], str]) -> SubGoalSource | None:
    """The source that `subgoals` names, for latents of the weights of this identity, which is
    asked for only where there is a source.

    auto is the proposer beside the weights, if there is one. None: one picture is planned to as it
    is, as several are.
    """
    if subgoals == "none" or not is_source(subgoals):
        return None
    if subgoals == "auto":
        beside = proposer_beside(weights)
        return _proposer(beside, identity()) if beside.is_file() else None
    path = memory_beside(weights) if subgoals == "memory" else Path(subgoals)
    if subgoals == "memory" or is_bank(path):
        bank = load_bank(path)
        if bank.weights != identity():
            raise UserError(
                f"{path} holds latents of {bank.weights}, not of {identity()}: run `vjepa-ros "
                "memory build` with the weights that you plan with"
            )
        return Memory(bank=bank)
    return _proposer(path, identity())


def _proposer(path: Path, identity: str) -> SubGoalSource:
    return ProposerSource(net=load_proposer(path, identity))
