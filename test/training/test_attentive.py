"""Probes trained on small episodes, whose pictures show whether the fingers are closed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vjepa_gate.errors import UserError
from vjepa_ros import cli
from vjepa_ros.model.checkpoints import save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.model.probe import load_probe
from vjepa_ros.training.attentive import ProbeTraining, accuracy, train_probe
from vjepa_ros.training.data import EpisodeSet


@pytest.mark.parametrize(
    ("label", "answers"),
    [("closed", {"no", "closed"}), ("task", {"the left one", "the right one"})],
)
def test_a_probe_learns_what_pictures_show(
    label: str, answers: set[str], small: ModelConfig, episodes: EpisodeSet
):
    encoder = Encoder(small.encoder).eval().requires_grad_(False)
    trained = train_probe(encoder, episodes, label, ProbeTraining(steps=200, batch=32))
    right = accuracy(trained, encoder, episodes, label)
    assert right.keys() == set(trained.config.labels) == answers
    assert min(right.values()) > 0.85
    untrained = train_probe(encoder, episodes, label, ProbeTraining(steps=1, batch=2))
    assert np.mean(list(accuracy(untrained, encoder, episodes, label).values())) < 0.8


def test_both_answers_are_measured_or_none(small: ModelConfig, episodes: EpisodeSet):
    encoder = Encoder(small.encoder)
    probe = train_probe(encoder, episodes, "closed", ProbeTraining(steps=1))
    open_hands = EpisodeSet(episodes.folder)
    open_hands.columns["states"][:, 6] = 0.0
    with pytest.raises(ValueError, match="--label closed: of 72 frames 72 tell, expected all of"):
        accuracy(probe, encoder, open_hands, "closed")


def test_of_episodes_without_a_known_task_nothing_is_told(small: ModelConfig, episodes: EpisodeSet):
    encoder = Encoder(small.encoder)
    probe = train_probe(encoder, episodes, "task", ProbeTraining(steps=1))
    other = EpisodeSet(episodes.folder)
    other.tasks = ["another"] * (len(other.tasks) - 1) + ["the left one"]
    assert accuracy(probe, encoder, other, "task").keys() == {"the left one"}
    other.tasks = ["another"] * len(other.tasks)
    with pytest.raises(ValueError, match="--label task: no held-out frame has one of the answers"):
        accuracy(probe, encoder, other, "task")
    with pytest.raises(ValueError, match=r"--label task: .* expected all of another among"):
        train_probe(encoder, other, "task", ProbeTraining(steps=1))


def test_what_no_recording_tells_is_not_asked(small: ModelConfig, episodes: EpisodeSet):
    """These episodes know where the object is, and not whether it is held."""
    encoder = Encoder(small.encoder)
    assert np.isnan(episodes.columns["objects"][:, 3]).all()
    with pytest.raises(ValueError, match="--label grasped: of 72 frames 0 tell, expected all of"):
        train_probe(encoder, episodes, "grasped", ProbeTraining(steps=1))


def test_the_command_writes_a_probe_of_these_weights(
    tmp_path: Path, folder: Path, small: ModelConfig, capsys: pytest.CaptureFixture[str]
):
    weights = tmp_path / "small.safetensors"
    identity = save_weights(weights, small, Encoder(small.encoder), Predictor(small.predictor))
    command = ["train", "probe", "--data", folder, "--weights", weights, "--held-out", "0.34"]
    out = tmp_path / "probe.safetensors"
    told = [*command, "--label", "closed", "--steps", "5", "--out", out]
    assert cli.run(list(map(str, told))) == 0
    assert "right on held-out frames: " in capsys.readouterr().out
    assert len(list(tmp_path.glob(f"unpacked/*/latents-{identity}"))) == 2  # encoded once
    loaded = load_probe(out)
    assert loaded.weights == identity
    assert loaded.probe.config.labels == ("no", "closed")
    assert loaded.probe(torch.randn(2, 16, 32)).shape == (2, 2)
    with pytest.raises(UserError, match="--label grasped"):
        cli.run(list(map(str, [*command, "--out", out])))
