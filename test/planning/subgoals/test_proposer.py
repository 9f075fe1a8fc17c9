"""The net's proposals and its file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vjepa_gate.errors import UserError
from vjepa_ros.planning.subgoals.proposer import (
    Proposer,
    ProposerConfig,
    ProposerSource,
    load_proposer,
    save_proposer,
)


@pytest.fixture
def net() -> Proposer:
    torch.manual_seed(0)
    return Proposer(ProposerConfig(width=6, tokens=4)).eval()


def biased(net: Proposer, phase: int, moves: int) -> Proposer:
    """A net that is sure of a phase and of how often the fingers move."""
    bias = net.mlp[-1].bias.data
    slots = net.config.slots
    bias[slots * 4 + phase] += 100
    bias[slots * 4 + slots + 1 + moves] += 100
    return net


@pytest.mark.parametrize(
    ("phase", "moves", "begin", "ahead"), [(0, 2, 0, 8), (5, 2, 5, 3), (1, 1, 1, 3), (6, 1, 4, 0)]
)
def test_what_is_ahead_is_from_the_phase_to_the_last_move(net, phase, moves, begin, ahead):
    state = torch.tensor((0.5, 0.1, 0.2, 3.1, 0, 0, 0.4))
    now, goal = torch.randn(2, 4, 6)
    [proposal] = ProposerSource(net=biased(net, phase, moves)).propose(now, goal, state)
    assert (proposal.phase, len(proposal)) == (begin, ahead)
    assert 0.9 < proposal.confidence <= 1
    assert ((proposal.closedness >= 0) & (proposal.closedness <= 1)).all()


def test_positions_are_from_where_the_tool_is(net):
    biased(net, 0, 2)
    for layer in (net.mlp[-1], net.straight):
        torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(net.straight.bias)
    net.mlp[-1].bias.data[: 8 * 4] = 1.0
    state = torch.tensor((0.5, 0.1, 0.2, 3.1, 0, 0, 0.4))
    [proposal] = ProposerSource(net=net).propose(*torch.randn(2, 4, 6), state)
    assert proposal.positions[3].tolist() == pytest.approx([0.6, 0.2, 0.3])


def test_variants_come_after_the_nets_own(net):
    state = torch.tensor((0.5, 0.1, 0.2, 3.1, 0, 0, 0.4))
    now, goal = torch.randn(2, 4, 6)
    [own] = ProposerSource(net=biased(net, 0, 2)).propose(now, goal, state)
    several = ProposerSource(net=net, variants=3).propose(now, goal, state)
    assert len(several) == 4
    assert torch.allclose(several[0].positions, own.positions)
    assert not torch.allclose(several[1].positions, own.positions)


def test_the_same_is_no_disagreement(net):
    now, other = torch.randn(2, 4, 6)
    source = ProposerSource(net=net)
    assert source.disagreement(now, now) == 0
    assert source.disagreement(now, other) > 0


def test_a_net_comes_back_as_it_was_saved(net, tmp_path: Path):
    path = tmp_path / "net.safetensors"
    save_proposer(path, net, "tiny-1", {"episodes": 3})
    loaded = load_proposer(path, "tiny-1")
    assert loaded.config == net.config
    assert all(torch.equal(loaded.state_dict()[k], v) for k, v in net.state_dict().items())


def test_a_net_for_other_latents_is_refused(net, tmp_path: Path):
    path = tmp_path / "net.safetensors"
    save_proposer(path, net, "tiny-1", {})
    with pytest.raises(UserError, match="trained on latents of tiny-1, not of tiny-2"):
        load_proposer(path, "tiny-2")


def test_a_file_that_holds_no_net_is_named(tmp_path: Path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="holds no proposer of sub-goals"):
        load_proposer(path, "tiny-1")
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="expected what `vjepa-ros train subgoals` writes"):
        load_proposer(path, "tiny-1")
