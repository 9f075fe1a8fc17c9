"""Files that the project itself writes."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoint_files import ENCODER, own_model
from vjepa_ros.model.checkpoints import HEADER, load_weights, open_checkpoint, save_weights
from vjepa_ros.model.presets import PRESETS


def test_own_files_bring_back_model_config_and_metadata(tmp_path):
    path = tmp_path / "tiny.safetensors"
    config, encoder, predictor = own_model(PRESETS["tiny"])
    config = dataclasses.replace(config, preset="mine", step_period=0.5)
    saved_identity = save_weights(path, config, encoder, predictor, metadata={"seed": 7})
    weights = load_weights(path)
    assert weights.config == config
    assert weights.identity == saved_identity
    assert weights.identity.startswith("mine-")
    assert weights.metadata == {"seed": 7}
    for ours, theirs in ((weights.encoder, encoder), (weights.predictor, predictor)):
        for name, tensor in theirs.state_dict().items():
            assert torch.equal(ours.state_dict()[name], tensor)
    assert not weights.encoder.training
    assert not any(parameter.requires_grad for parameter in weights.predictor.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_own_files_may_be_half_as_large(tmp_path, dtype):
    path = tmp_path / "half.safetensors"
    config, encoder, predictor = own_model(PRESETS["tiny"])
    save_weights(path, config, encoder, predictor, dtype)
    assert path.stat().st_size < 16e6
    weights = load_weights(path)
    assert weights.encoder.norm.weight.dtype == torch.float32
    expected = encoder.to(dtype).state_dict()
    for name, tensor in weights.encoder.state_dict().items():
        assert torch.equal(tensor, expected[name].float())
    assert load_weights(path, dtype=dtype).identity == weights.identity


def test_other_weights_or_another_crop_are_another_identity(tmp_path):
    config, encoder, predictor = own_model()
    path = tmp_path / "own.safetensors"
    first = save_weights(path, config, encoder, predictor)
    cropped = save_weights(path, dataclasses.replace(config, crop="droid"), encoder, predictor)
    with torch.no_grad():
        encoder.blocks[1].mlp.fc2.bias[0] += 1e-6
    assert len({first, cropped, save_weights(path, config, encoder, predictor)}) == 3


def test_a_file_may_be_read_by_whoever_reads_other_files(tmp_path):
    save_weights(tmp_path / "own.safetensors", *own_model())
    (tmp_path / "other").touch()
    modes = {file.stat().st_mode for file in tmp_path.iterdir()}
    assert len(modes) == 1


def test_an_encoder_of_another_config_is_not_saved(tmp_path):
    config, encoder, predictor = own_model()
    other = dataclasses.replace(config, encoder=dataclasses.replace(ENCODER, heads=4))
    with pytest.raises(ValueError, match="config is not that of the encoder"):
        save_weights(tmp_path / "own.safetensors", other, encoder, predictor)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "own.safetensors"
    path.write_text("old")

    def full_disk(tensors, filename, metadata):
        filename.write_text("half")
        raise OSError("No space left on device")

    monkeypatch.setattr("vjepa_ros.model.checkpoints.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_weights(path, *own_model())
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(path.name, "old")]


def test_a_newer_format_is_refused(tmp_path):
    path = tmp_path / "own.safetensors"
    save_weights(path, *own_model())
    save_file(load_file(path), path, {HEADER: json.dumps({"format": 2})})
    with pytest.raises(ValueError, match="is of format 2, this version reads 1: update vjepa_ros"):
        open_checkpoint(path)
