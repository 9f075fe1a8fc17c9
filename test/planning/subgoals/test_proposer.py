"""The net's proposals and its file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sure_proposer import sure_proposer

from vjepa_gate.errors import UserError
from vjepa_ros.model.reader import hands_of
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


@pytest.mark.parametrize(
    ("phase", "moves", "begin", "ahead"), [(0, 2, 0, 8), (5, 2, 5, 3), (1, 1, 1, 3), (6, 1, 4, 0)]
)
def test_what_is_ahead_is_from_the_phase_to_the_last_move(phase, moves, begin, ahead):
    state = torch.tensor((0.5, 0.1, 0.2, 3.1, 0, 0, 0.4))
    now, goal = torch.randn(2, 4, 6)
    source = ProposerSource(net=sure_proposer(6, 4, phase, moves))
    proposal, *others = source.propose(now, goal, state)
    assert (proposal.phase, len(proposal)) == (begin, ahead)
    assert 0.9 < proposal.confidence <= 1
    assert ((proposal.closedness >= 0) & (proposal.closedness <= 1)).all()
    assert {one.end for one in others} == {0, 4, 8} - {proposal.end}
    assert sum(one.confidence for one in (proposal, *others)) == pytest.approx(1, abs=0.1)


HAND_NOW = 3  # among the anchors


def test_positions_are_from_where_the_tool_is():
    net = sure_proposer(6, 4)
    net.mixture.data[..., HAND_NOW] = 100.0
    net.offset.data[2, 0, 3] = 1.0
    state = torch.tensor((0.5, 0.1, 0.2, 3.1, 0, 0, 0.4))
    proposal, *_ = ProposerSource(net=net).propose(*torch.randn(2, 4, 6), state)
    assert proposal.positions[2].tolist() == pytest.approx([0.5, 0.1, 0.2])
    assert proposal.positions[3].tolist() == pytest.approx([0.6, 0.2, 0.3])


def test_a_small_shift_of_what_is_seen_is_not_believed(net):
    """It is what reading is off by; a large one is a camera that was moved."""
    state = torch.tensor([(0.5, 0.1, 0.2, 3.1, 0, 0, 0.4)])
    now, goal = torch.randn(2, 1, 4, 6)
    blind = [net.look(latents)[0, :3] for latents in (now, goal)]
    shift = blind[0] - hands_of(state)[0, :3]
    for doubt, believed in ((20.0, 0.0), (-20.0, 1.0)):
        net.doubt.data.fill_(doubt)
        _, wanted = net.read(now, goal, state)
        assert torch.allclose(wanted[0, :3], blind[1] - believed * shift, atol=1e-4)


def test_variants_come_after_the_nets_own():
    net = sure_proposer(6, 4)
    state = torch.tensor((0.5, 0.1, 0.2, 3.1, 0, 0, 0.4))
    now, goal = torch.randn(2, 4, 6)
    own, *others = ProposerSource(net=net).propose(now, goal, state)
    several = ProposerSource(net=net, variants=3).propose(now, goal, state)
    assert len(several) == 4 + len(others)
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
