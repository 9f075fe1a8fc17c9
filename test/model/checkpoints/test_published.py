"""Meta's and jepa-wms' files, small and at full size."""

import pytest
import torch

from checkpoint_files import (
    SMALL,
    SMALL_384,
    SMALL_AC,
    SMALL_STATELESS,
    encoder_shapes,
    hollow,
    jepa_wms,
    meta_ac,
    meta_pretrained,
    predictor_shapes,
    pretraining_predictor_shapes,
)
from vjepa_ros.model.checkpoints import load_weights, open_checkpoint
from vjepa_ros.model.presets import PRESETS


def test_meta_s_pretrained_files_load(saved):
    content = meta_pretrained()
    weights = load_weights(saved(content))
    assert weights.config == SMALL
    assert weights.predictor is None
    for name, tensor in weights.encoder.state_dict().items():
        assert torch.equal(tensor, content["encoder"][f"module.backbone.{name}"])


def test_meta_s_action_conditioned_file_loads(saved):
    content = meta_ac()
    weights = load_weights(saved(content))
    assert weights.config == SMALL_AC
    for name, tensor in weights.encoder.state_dict().items():
        assert torch.equal(tensor, content["encoder"][f"module.{name}"])
    for name, tensor in weights.predictor.state_dict().items():
        assert torch.equal(tensor, content["predictor"][f"module.{name}"])


@pytest.mark.parametrize("state", [False, True])
def test_jepa_wms_predictor_loads_without_an_encoder(saved, state):
    content = jepa_wms(state)
    weights = load_weights(saved(content, "vjepa2_ac_droid.pth.tar"))
    assert weights.encoder is None
    assert weights.config == (SMALL_AC if state else SMALL_STATELESS)
    for name, tensor in weights.predictor.state_dict().items():
        name = name.replace("state_encoder", "proprio_encoder")
        assert torch.equal(tensor, content["predictor"][f"module.{name}"])


def test_everything_else_is_listed_with_the_reason(saved):
    content = meta_pretrained()
    checkpoint = open_checkpoint(saved(content))
    reasons = checkpoint.unused
    assert "sine-cosine" in reasons["encoder.pos_embed"]
    assert "moving average" in reasons["target_encoder.blocks.0.norm1.weight"]
    assert "pretraining predictor" in reasons["predictor.mask_tokens.3"]
    assert "pretraining predictor" in reasons["predictor.predictor_blocks.1.attn.qkv.weight"]
    assert "optimizer" in reasons["opt.state.0.exp_avg"]
    tensors = sum(len(content[part]) for part in ("encoder", "predictor", "target_encoder"))
    optimizer = 3 * len(content["encoder"])  # the step and two moments of each
    assert len(checkpoint.tensors) + len(reasons) == tensors + optimizer


def test_the_camera_s_pose_is_not_used_by_published_predictors(saved):
    reasons = open_checkpoint(saved(meta_ac())).unused
    assert "camera" in reasons["predictor.extrinsics_encoder.weight"]


@pytest.mark.parametrize(("frames", "grid", "preset"), [(8, 16, SMALL), (32, 24, SMALL_384)])
def test_unused_positions_tell_the_resolution(saved, frames, grid, preset):
    path = saved(meta_pretrained(positions=frames * grid**2))
    assert open_checkpoint(path).config == preset
    assert not open_checkpoint(path).notes


def test_a_resolution_that_nothing_tells_is_said_to_be_assumed(saved):
    content = meta_pretrained()
    del content["encoder"]["module.backbone.pos_embed"]
    assert "256 pixels, it is assumed" in open_checkpoint(saved(content)).notes[0]


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("vjepa2-ac-vitg.pt", "first release of V-JEPA 2-AC, whose rollout loss had a bug"),
        ("vjepa2_ac_oss.pth.tar", "whose rollout loss had a bug"),
        ("vjepa2_ac_droid.pth.tar", "the rollout loss mended"),
    ],
)
def test_a_release_is_told_by_its_name(saved, name, note):
    assert note in open_checkpoint(saved(meta_ac(), name)).notes[-1]
    assert not open_checkpoint(saved(meta_ac(), "ours.pt")).notes


FULL_SIZE = {
    "vitl": {"depth": 24, "width": 1024, "hidden": 4096, "positions": 8192},
    "vith": {"depth": 32, "width": 1280, "hidden": 5120, "positions": 8192},
    "vitg": {"depth": 40, "width": 1408, "hidden": 6144, "positions": 8192},
    "vitg_384": {"depth": 40, "width": 1408, "hidden": 6144, "positions": 18432},
}


@pytest.mark.parametrize("preset", FULL_SIZE)
def test_published_encoders_are_known_at_full_size(saved, preset):
    encoder = hollow(encoder_shapes(**FULL_SIZE[preset]), "module.backbone.")
    predictor = pretraining_predictor_shapes(12, 384, FULL_SIZE[preset]["width"], 8192)
    content = {
        "encoder": encoder,
        "target_encoder": encoder,
        "predictor": hollow(predictor, "module.backbone."),
    }
    assert open_checkpoint(saved(content)).config == PRESETS[preset]


def test_published_predictors_are_known_at_full_size(saved):
    encoder = hollow(encoder_shapes(**FULL_SIZE["vitg"]), "module.")
    predictor = hollow(predictor_shapes(24, 1024, 1408), "module.")
    path = saved({"encoder": encoder, "predictor": predictor, "epoch": 315})
    assert open_checkpoint(path).config == PRESETS["ac_vitg"]
    stateless = {k: v for k, v in predictor.items() if "state" not in k and "extr" not in k}
    path = saved({"predictor": stateless, "epoch": 315})
    assert open_checkpoint(path).config == PRESETS["ac_vitg_stateless"]
