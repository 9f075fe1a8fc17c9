"""Probes, energies and prediction errors on what is known, and the page that shows them."""

from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from vjepa_ros.model.checkpoints import load_weights, save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.training import probes, validation
from vjepa_ros.training.data import EpisodeSet
from vjepa_ros.training.probes import EnergyPairs, Readings, energy_pairs, probe
from vjepa_ros.training.report import examine, page
from vjepa_ros.training.validation import PredictionErrors, prediction_errors


class Oracle(nn.Module):
    """In place of an encoder: latents that are the states that the small pictures show."""

    def __init__(self, episodes: EpisodeSet) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(1)
        self.device = torch.device("cpu")
        everything = episodes.load(range(len(episodes)), 1)
        self.states = everything.states[:, 0]
        self.pictures = everything.pixels()[:, 0].flatten(1)

    def encode(self, pixels: Tensor) -> Tensor:
        nearest = torch.cdist(pixels.flatten(1), self.pictures).argmin(1)
        states = self.states[nearest]
        return torch.cat((states, torch.zeros(len(states), 25)), 1).unflatten(1, (2, 16))


def test_a_probe_reads_what_is_there(episodes: EpisodeSet):
    readings = probe(Oracle(episodes), episodes, episodes, frames=60)
    assert max(readings.tool_cm) < 2.5
    assert readings.gripper_r2 > 0.9
    pixels = probe(None, episodes, episodes, frames=60)
    assert pixels.gripper_r2 < readings.gripper_r2


def test_errors_are_root_mean_squares_in_centimetres():
    truth = torch.zeros(2, 7)
    truth[:, 3] = torch.tensor([0.0, 1.0])
    read = truth.clone()
    read[:, 0] = torch.tensor([0.03, 0.04])
    readings = Readings(truth, read)
    assert readings.tool_cm == pytest.approx([100 * np.sqrt((0.03**2 + 0.04**2) / 2), 0, 0])
    assert readings.gripper_r2 == 1.0


def test_energies_are_ranked_against_distances():
    distance = np.linspace(0.01, 0.3, 50)
    even = EnergyPairs(distance, np.zeros(50), distance**2)
    assert even.rank_correlation() == pytest.approx(1.0)
    backwards = EnergyPairs(distance, np.zeros(50), -distance)
    assert backwards.rank_correlation(beyond=0.1) == pytest.approx(-1.0)
    hands_differ = EnergyPairs(distance, (distance > 0.15) * 1.0, np.minimum(distance, 0.15))
    assert hands_differ.rank_correlation() == pytest.approx(1.0)


def test_the_hands_share_of_the_energy():
    distance = np.array([0.0, 0.0, 0.25])
    pairs = EnergyPairs(distance, np.array([0.0, 1.0, 0.0]), np.array([0.1, 0.3, 0.5]))
    assert pairs.gripper_share == pytest.approx(0.5)


def test_pairs_are_of_one_episode_each(episodes: EpisodeSet):
    pairs = energy_pairs(Oracle(episodes), episodes, most=2, stride=3)
    assert len(pairs.distance) == 2 * (4 * 3 // 2)
    states = episodes.load([0, 3], 1).states[:, 0]
    assert pairs.distance[0] == pytest.approx(float((states[0] - states[1])[:3].norm()))


class Knows(nn.Module):
    """In place of a predictor: it adds the action to a latent that is the state."""

    def __init__(self, uses_actions: bool) -> None:
        super().__init__()
        self.uses_actions = uses_actions
        self.weight = nn.Parameter(torch.zeros(1))


@pytest.mark.parametrize(("uses_actions", "says"), [(True, "It uses"), (False, "It has NOT")])
def test_the_verdict_says_whether_actions_are_used(
    monkeypatch: pytest.MonkeyPatch, episodes: EpisodeSet, uses_actions: bool, says: str
):
    def roll(predictor: Knows, first: Tensor, actions: Tensor, state: Tensor) -> Tensor:
        moved = torch.zeros(len(first), actions.shape[1], 32)
        moved[..., :7] = actions.cumsum(1) * predictor.uses_actions
        return first[:, None] + moved.unflatten(2, (2, 16))

    monkeypatch.setattr(validation, "rolled_out", roll)
    errors = prediction_errors(Oracle(episodes), Knows(uses_actions), episodes, horizon=4)
    assert errors.verdict().startswith(says)
    assert errors.errors["zero action"] == pytest.approx(errors.errors["copy last"])
    if uses_actions:
        assert max(errors.errors["model"]) < 0.1 * errors.errors["copy last"][0]
        assert errors.errors["shuffled actions"][0] > errors.errors["model"][0]
    assert "shuffled actions" in errors.table()


def test_the_verdict_weighs_the_best_baseline():
    errors = PredictionErrors(
        1, {"model": [0.5], "copy last": [0.55], "zero action": [9.0], "shuffled actions": [9.0]}
    )
    assert "91% as much as 'copy last'" in errors.verdict()


class Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag == "img":
            self.images.append(dict(attributes)["src"])

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_has_it_all_in_one_file(
    tmp_path, small: ModelConfig, episodes: EpisodeSet, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(probes, "_PIXELS", 8)
    encoder, predictor = Encoder(small.encoder), Predictor(small.predictor)
    save_weights(tmp_path / "w.safetensors", small, encoder, predictor)
    metrics = tmp_path / "stage" / "metrics.csv"
    metrics.parent.mkdir()
    metrics.write_text("step,loss,readout\n0,2.0,1.0\n1,1.0,0.5\n")
    weights = load_weights(tmp_path / "w.safetensors")
    findings = examine(weights, episodes, episodes, frames=30, windows=8)
    outline = Outline()
    outline.feed(page(weights, findings, [metrics]))
    assert len(outline.images) == 4
    assert all(source.startswith("data:image/png;base64,") for source in outline.images)
    assert weights.identity in outline.text
    for words in ("shuffled actions", "gripper R²", "Spearman", "Training: stage"):
        assert words in outline.text
    assert len(findings.figures()["prediction_errors"]["model"]) == 8
