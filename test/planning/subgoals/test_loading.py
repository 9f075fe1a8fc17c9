"""The setting `subgoals`: which source there is for weights."""

from pathlib import Path

import pytest
import torch
from table_world import demonstration

from vjepa_gate.errors import UserError
from vjepa_ros.planning.subgoals.loading import is_source, source_of
from vjepa_ros.planning.subgoals.memory import Memory
from vjepa_ros.planning.subgoals.proposer import (
    Proposer,
    ProposerConfig,
    ProposerSource,
    save_proposer,
)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """With a proposer beside them; nobody looks into them."""
    net = Proposer(ProposerConfig(width=8, tokens=1))
    save_proposer(tmp_path / "w.subgoals.safetensors", net, "w-1", {})
    return tmp_path / "w.safetensors"


def test_auto_is_the_proposer_beside_the_weights(weights: Path):
    source = source_of("auto", weights, lambda: "w-1")
    assert isinstance(source, ProposerSource)
    _, latents = demonstration(-0.1, 0.2)
    now, goal = (torch.from_numpy(latents[step]) for step in (0, -1))
    assert len(source.propose(now, goal, torch.zeros(7))) == source.net.config.moves + 1
    with pytest.raises(UserError, match="was trained on latents of w-1, not of w-2"):
        source_of("auto", weights, lambda: "w-2")


def test_where_there_is_none_the_weights_are_not_read(weights: Path):
    def read() -> str:
        raise AssertionError

    assert source_of("auto", weights.with_name("others.safetensors"), read) is None
    assert source_of("none", weights, read) is None
    assert source_of(str(weights.parent), weights, read) is None  # a folder of pictures


def test_a_memory_has_to_be_of_the_weights(weights: Path, bank_folder: Path):
    assert isinstance(source_of("memory", weights, lambda: "w-1"), Memory)
    assert isinstance(source_of(str(bank_folder), weights, lambda: "w-1"), Memory)
    with pytest.raises(UserError, match="holds latents of w-1, not of w-2"):
        source_of("memory", weights, lambda: "w-2")


@pytest.fixture
def bank_folder(tmp_path: Path) -> Path:
    import json

    import numpy as np

    folder = tmp_path / "w.memory"
    folder.mkdir()
    states, latents = demonstration(-0.1, 0.2)
    np.save(folder / "latents.npy", latents.astype(np.float16))
    np.save(folder / "pictures.npy", np.zeros((len(latents), 64, 64, 3), np.uint8))
    about = np.array(json.dumps({"weights": "w-1"}))
    np.savez(folder / "index.npz", states=states, lengths=np.array([len(states)]), about=about)
    return folder


def test_pictures_are_no_source(weights: Path, bank_folder: Path):
    assert not is_source(str(weights.parent))
    assert not is_source("list.yaml")
    for source in ("auto", "memory", "none", "net.safetensors", str(bank_folder)):
        assert is_source(source)
