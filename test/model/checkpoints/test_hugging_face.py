"""Hugging Face's files of V-JEPA 2."""

import dataclasses
import json
import resource

import pytest
import torch

from checkpoint_files import SMALL, SMALL_384, hugging_face
from vjepa_ros.model.checkpoints import load_weights, open_checkpoint, save_weights
from vjepa_ros.model.presets import PRESETS


@pytest.mark.parametrize("kind", ["VJEPA2Model", "VJEPA2ForVideoClassification"])
def test_hugging_face_s_files_load_and_give_their_numbers(tmp_path, kind):
    theirs = hugging_face(kind)
    theirs.save_pretrained(tmp_path)
    weights = load_weights(tmp_path / "model.safetensors")
    assert weights.config == SMALL
    clip = torch.randn(1, 3, 2, 256, 256)
    encoder = getattr(theirs, "vjepa2", theirs).encoder
    with torch.no_grad():
        expected = encoder(clip.transpose(1, 2)).last_hidden_state
    assert (weights.encoder(clip) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_hugging_face_s_other_parts_are_listed_with_the_reason(tmp_path):
    hugging_face("VJEPA2ForVideoClassification").save_pretrained(tmp_path)
    reasons = open_checkpoint(tmp_path / "model.safetensors").unused
    assert "pretraining predictor" in reasons["predictor.embeddings.mask_tokens"]
    assert "pretraining predictor" in reasons["predictor.layer.0.attention.query.weight"]
    assert "classifier" in reasons["pooler.query_tokens"]
    assert "classifier" in reasons["classifier.weight"]


def test_hugging_face_s_config_tells_the_resolution(tmp_path):
    hugging_face("VJEPA2Model", 384).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    assert open_checkpoint(path).config == SMALL_384
    (tmp_path / "config.json").write_text('{"crop_size": 320}')
    assert open_checkpoint(path).config == dataclasses.replace(SMALL, image_size=320)
    (tmp_path / "config.json").write_text('{"architectures": []}')
    with pytest.raises(ValueError, match=r"config\.json: is no config of V-JEPA 2"):
        open_checkpoint(path)
    (tmp_path / "config.json").unlink()
    assert "assumed" in open_checkpoint(path).notes[0]


def test_the_same_weights_have_one_identity_in_every_format(saved, tmp_path):
    theirs = hugging_face("VJEPA2Model")
    theirs.save_pretrained(tmp_path)
    weights = load_weights(tmp_path / "model.safetensors")
    meta = {f"module.{name}": tensor for name, tensor in weights.encoder.state_dict().items()}
    meta["module.pos_embed"] = torch.zeros(1, 256, 48)
    own = tmp_path / "own.safetensors"
    identity = save_weights(own, weights.config, weights.encoder, None)
    assert weights.identity == load_weights(saved({"encoder": meta})).identity == identity
    assert weights.identity == load_weights(own).identity


def test_a_hugging_face_file_of_full_size_is_opened_without_reading_it(tmp_path):
    path = tmp_path / "model.safetensors"
    transformers = pytest.importorskip("transformers", reason="test dependency is not installed")
    with torch.device("meta"):
        config = transformers.VJEPA2Config(
            hidden_size=1408, num_hidden_layers=40, num_attention_heads=22, mlp_ratio=48 / 11
        )
        state = transformers.VJEPA2Model(config).state_dict()
    header, end = {}, 0
    for name, tensor in state.items():
        begin, end = end, end + 4 * tensor.numel()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)  # 4 GB of nothing, which take no room
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert open_checkpoint(path).config == PRESETS["vitg"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
