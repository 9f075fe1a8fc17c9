"""Meta's and jepa-wms' files, small and at full size."""

import pytest
import torch

from checkpoint_files import (
    SMALL,
    SMALL_2_1,
    SMALL_384,
    SMALL_AC,
    SMALL_ENCODER,
    SMALL_STATELESS,
    drawn,
    encoder_shapes,
    encoder_shapes_2_1,
    hollow,
    jepa_wms,
    meta_2_1,
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
        assert torch.equal(tensor, content["target_encoder"][f"module.backbone.{name}"])
    last = load_weights(saved(content), averaged=False)
    for name, tensor in last.encoder.state_dict().items():
        assert torch.equal(tensor, content["encoder"][f"module.backbone.{name}"])


@pytest.mark.parametrize("key", ["ema_encoder", "target_encoder"])
def test_v_jepa_2_1_s_files_load(saved, key):
    content = meta_2_1(key)
    path = saved(content)
    assert open_checkpoint(path).kind == "V-JEPA 2.1 as Meta lays it out"
    weights = load_weights(path)
    assert weights.config == SMALL_2_1
    for name, tensor in weights.encoder.state_dict().items():
        assert torch.equal(tensor, content[key][f"module.backbone.{name}"])
    del content[key]["module.backbone.norms_block.1.weight"]
    with pytest.raises(ValueError, match=rf"1 missing:\n    {key}\.norms_block\.1\.weight"):
        open_checkpoint(saved(content))


def test_a_distilled_encoder_s_teacher_is_not_taken_for_it(saved):
    content = meta_2_1("ema_encoder")
    content["target_encoder"] = drawn(encoder_shapes(**SMALL_ENCODER), "module.backbone.")
    checkpoint = open_checkpoint(saved(content))
    assert checkpoint.about_encoder.startswith("taken from `ema_encoder`")
    assert checkpoint.config == SMALL_2_1
    assert "target of its training" in checkpoint.unused["target_encoder.blocks.0.norm1.weight"]


def test_meta_s_action_conditioned_file_loads(saved):
    content = meta_ac()
    weights = load_weights(saved(content))
    assert weights.config == SMALL_AC
    for name, tensor in weights.encoder.state_dict().items():
        assert torch.equal(tensor, content["encoder"][f"module.{name}"])
    for name, tensor in weights.predictor.state_dict().items():
        assert torch.equal(tensor, content["predictor"][f"module.{name}"])


def test_a_predictor_alone_under_meta_s_names_loads(saved):
    """As a lab strips its own fine-tune."""
    content = {"predictor": meta_ac()["predictor"]}
    weights = load_weights(saved(content))
    assert weights.encoder is None
    assert weights.config == SMALL_AC
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
    assert "sine-cosine" in reasons["target_encoder.pos_embed"]
    assert "as it was trained last" in reasons["encoder.blocks.0.norm1.weight"]
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
    content = meta_pretrained()
    positions = torch.zeros(1, frames * grid**2, 48)
    content["target_encoder"]["module.backbone.pos_embed"] = positions
    path = saved(content)
    assert open_checkpoint(path).config == preset
    assert not open_checkpoint(path).notes


def test_a_resolution_that_nothing_tells_is_said_to_be_assumed(saved):
    content = meta_pretrained()
    del content["target_encoder"]["module.backbone.pos_embed"]
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


@pytest.mark.parametrize(
    ("preset", "depth", "width", "hidden", "key"),
    [
        ("vitb_2_1", 12, 768, 3072, "ema_encoder"),
        ("vitl_2_1", 24, 1024, 4096, "ema_encoder"),
        ("vitg_2_1", 40, 1408, 6144, "target_encoder"),
        ("vitG_2_1", 48, 1664, 8192, "target_encoder"),
    ],
)
def test_the_encoders_of_2_1_are_known_at_full_size(saved, preset, depth, width, hidden, key):
    encoder = hollow(encoder_shapes_2_1(depth, width, hidden), "module.backbone.")
    checkpoint = open_checkpoint(saved({key: encoder, "encoder": encoder}))
    assert checkpoint.config == PRESETS[preset]
    assert checkpoint.about_encoder.startswith(f"taken from `{key}`")
    assert not checkpoint.notes


def test_jepa_wms_copy_of_the_first_release_is_known_at_full_size(saved):
    """Encoder and predictor under Meta's names, without optimizer and second encoder."""
    parts = {
        "encoder": hollow(encoder_shapes(**FULL_SIZE["vitg"]), "module."),
        "predictor": hollow(predictor_shapes(24, 1024, 1408), "module."),
    }
    checkpoint = open_checkpoint(saved(parts, "vjepa2_ac_oss.pth.tar"))
    assert checkpoint.config == PRESETS["ac_vitg"]
    assert checkpoint.has_encoder
    assert set(checkpoint.unused) == {
        "encoder.pos_embed",
        "predictor.extrinsics_encoder.weight",
        "predictor.extrinsics_encoder.bias",
    }


def test_published_predictors_are_known_at_full_size(saved):
    encoder = hollow(encoder_shapes(**FULL_SIZE["vitg"]), "module.")
    predictor = hollow(predictor_shapes(24, 1024, 1408), "module.")
    path = saved({"encoder": encoder, "predictor": predictor, "epoch": 315})
    assert open_checkpoint(path).config == PRESETS["ac_vitg"]
    stateless = {k: v for k, v in predictor.items() if "state" not in k and "extr" not in k}
    path = saved({"predictor": stateless, "epoch": 315})
    assert open_checkpoint(path).config == PRESETS["ac_vitg_stateless"]
