"""Files of another model, or with too little or too much in them."""

import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoint_files import SMALL_ENCODER, encoder_shapes, hugging_face, meta_ac, meta_pretrained
from vjepa_ros.model.checkpoints import load_weights, open_checkpoint


def test_keys_that_are_missing_left_over_or_misshapen_are_named(saved):
    content = meta_ac()
    encoder = content["encoder"]
    del encoder["module.blocks.1.attn.proj.bias"]
    encoder["module.blocks.0.norm3.weight"] = torch.zeros(48)
    encoder["module.norm.weight"] = torch.zeros(47)
    content["predictor"]["module.action_encoder.bias"] = torch.zeros(32, dtype=torch.int32)
    with pytest.raises(ValueError, match="does not fit small_ac") as error:
        load_weights(saved(content))
    message = str(error.value)
    assert "1 missing:\n    encoder.blocks.1.attn.proj.bias" in message
    assert "1 left over:\n    encoder.blocks.0.norm3.weight" in message
    assert "encoder.norm.weight is [47] torch.float32, expected [48]" in message
    assert "predictor.action_encoder.bias is [32] torch.int32, expected [32]" in message


def test_keys_are_named_as_the_file_names_them(tmp_path):
    hugging_face("VJEPA2Model").save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    del tensors["encoder.layer.1.attention.key.weight"]
    tensors["encoder.layer.0.attention.value.bias"] = torch.zeros(144)
    save_file(tensors, path)
    with pytest.raises(ValueError, match="does not fit small") as error:
        load_weights(path)
    assert "1 missing:\n    encoder.layer.1.attention.key.weight" in str(error.value)
    assert "encoder.layer.0.attention.value.bias is [144]" in str(error.value)


def test_any_key_that_is_gone_is_missed(saved):
    random.seed(0)
    for key in random.sample(sorted(encoder_shapes(**SMALL_ENCODER)), 12):
        if key != "pos_embed":
            content = meta_ac()
            del content["encoder"][f"module.{key}"]
            with pytest.raises(ValueError, match=f"1 missing:\n    encoder.{key}"):
                open_checkpoint(saved(content))


def test_a_size_that_is_no_preset_is_refused(saved):
    content = meta_pretrained(width=40)
    content["target_encoder"] = content["encoder"]
    with pytest.raises(
        ValueError, match="of V-JEPA 2, 2 blocks of width 40, hidden 192; predictor: none"
    ):
        open_checkpoint(saved(content))


def test_a_file_of_another_model_is_refused(saved):
    with pytest.raises(ValueError, match=r"holds no V-JEPA 2 encoder .*; it holds fc, layer1"):
        open_checkpoint(saved({"layer1.0.weight": torch.zeros(3), "fc.bias": torch.zeros(3)}))
    with pytest.raises(ValueError, match="it holds no tensors"):
        open_checkpoint(saved({}))


def test_a_tensor_under_two_names_is_refused(saved):
    content = meta_ac()
    content["encoder"]["norm.bias"] = torch.zeros(48)
    with pytest.raises(ValueError, match=r"holds encoder\.norm\.bias twice"):
        open_checkpoint(saved(content))


def test_weights_that_are_not_finite_are_refused(saved):
    content = meta_ac()
    content["predictor"]["module.predictor_blocks.1.mlp.fc1.weight"][3, 4] = torch.nan
    with pytest.raises(ValueError, match=r"predictor_blocks\.1\.mlp\.fc1\.weight holds NaN"):
        load_weights(saved(content))
