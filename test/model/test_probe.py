"""Attentive probes against transformers' classifier on the same random weights, and their files."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoint_files import SMALL, hugging_face
from vjepa_gate.errors import UserError
from vjepa_ros.model.checkpoints import load_weights
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.model.probe import Probe, ProbeConfig, load_probe, save_probe


@pytest.fixture
def classifier(tmp_path, monkeypatch):
    """transformers' model, and the file that it writes."""
    monkeypatch.setitem(PRESETS, SMALL.preset, SMALL)
    torch.manual_seed(0)
    theirs = hugging_face("VJEPA2ForVideoClassification").requires_grad_(False)
    for parameter in theirs.pooler.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs.config.id2label = {0: "Putting something", 1: "Taking something"}
    theirs.save_pretrained(tmp_path)
    return theirs, tmp_path / "model.safetensors"


def test_a_published_classifier_gives_its_numbers(classifier):
    theirs, path = classifier
    clip = torch.randn(2, 3, 2, 256, 256)
    expected = theirs(pixel_values_videos=clip.transpose(1, 2)).logits
    loaded = load_probe(path)
    assert loaded.weights is None
    assert loaded.probe.config.labels == ("Putting something", "Taking something")
    assert loaded.probe.config.depth == 1
    found = loaded.probe(load_weights(path).encoder(clip))
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_classifier_that_lacks_something_is_refused(classifier):
    _, path = classifier
    tensors = load_file(path)
    del tensors["pooler.query_tokens"]
    save_file(tensors, path)
    with pytest.raises(UserError, match=r"no probe of the expected shape: pooler\.query_tokens"):
        load_probe(path)
    path.with_name("config.json").write_text(json.dumps({"id2label": {}}))
    with pytest.raises(UserError, match=r"config\.json: is no config of a classifier"):
        load_probe(path)
    del tensors["classifier.weight"]
    save_file(tensors, path)
    with pytest.raises(UserError, match=r"holds no probe: classifier\.weight is missing"):
        load_probe(path)


def test_own_probes_bring_back_labels_and_the_weights_they_belong_to(tmp_path):
    probe = Probe(ProbeConfig(width=32, heads=2, labels=("no", "grasped"), depth=1))
    save_probe(tmp_path / "probe.safetensors", probe, "small-123", {"steps": 3})
    loaded = load_probe(tmp_path / "probe.safetensors")
    assert (loaded.weights, loaded.probe.config) == ("small-123", probe.config)
    tokens = torch.randn(3, 5, 32)
    assert torch.equal(loaded.probe(tokens), probe(tokens))
