"""Files with the names, prefixes and nesting of the published ones, small and at full size."""

import dataclasses
import json
import os
import random
import resource
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from vjepa_ros.errors import UserError
from vjepa_ros.model.checkpoints import HEADER, load_weights, open_checkpoint, save_weights
from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.presets import PRESETS, ModelConfig

ENCODER = EncoderConfig(width=48, depth=2, heads=2)
PREDICTOR = PredictorConfig(latent_width=48, width=32, depth=2, heads=2)
STATELESS = dataclasses.replace(PREDICTOR, state=False)

SMALL = ModelConfig(preset="small", encoder=ENCODER)
SMALL_384 = ModelConfig(preset="small_384", encoder=ENCODER, image_size=384)
SMALL_AC = ModelConfig(preset="small_ac", encoder=ENCODER, predictor=PREDICTOR)
SMALL_STATELESS = ModelConfig(preset="small_stateless", encoder=ENCODER, predictor=STATELESS)


@pytest.fixture(autouse=True)
def _small_presets(monkeypatch):
    torch.manual_seed(0)
    for model in (SMALL, SMALL_384, SMALL_AC, SMALL_STATELESS):
        monkeypatch.setitem(PRESETS, model.preset, model)


# --- what Meta's files hold, name by name ------------------------------------------------


def block_shapes(prefix, depth, width, hidden):
    for index in range(depth):
        block = f"{prefix}.{index}"
        yield from ((f"{block}.{n}.{p}", (width,)) for n in ("norm1", "norm2") for p in PARAMETERS)
        yield f"{block}.attn.qkv.weight", (3 * width, width)
        yield f"{block}.attn.qkv.bias", (3 * width,)
        yield f"{block}.attn.proj.weight", (width, width)
        yield f"{block}.attn.proj.bias", (width,)
        yield f"{block}.mlp.fc1.weight", (hidden, width)
        yield f"{block}.mlp.fc1.bias", (hidden,)
        yield f"{block}.mlp.fc2.weight", (width, hidden)
        yield f"{block}.mlp.fc2.bias", (width,)


PARAMETERS = ("weight", "bias")


def encoder_shapes(depth, width, hidden, positions):
    return {
        "pos_embed": (1, positions, width),
        "patch_embed.proj.weight": (width, 3, 2, 16, 16),
        "patch_embed.proj.bias": (width,),
        **dict(block_shapes("blocks", depth, width, hidden)),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }


def predictor_shapes(depth, width, latent):
    """The action-conditioned predictor."""
    return {
        "predictor_embed.weight": (width, latent),
        "predictor_embed.bias": (width,),
        "action_encoder.weight": (width, 7),
        "action_encoder.bias": (width,),
        "state_encoder.weight": (width, 7),
        "state_encoder.bias": (width,),
        "extrinsics_encoder.weight": (width, 6),
        "extrinsics_encoder.bias": (width,),
        **dict(block_shapes("predictor_blocks", depth, width, 4 * width)),
        "predictor_norm.weight": (width,),
        "predictor_norm.bias": (width,),
        "predictor_proj.weight": (latent, width),
        "predictor_proj.bias": (latent,),
    }


def pretraining_predictor_shapes(depth, width, latent, positions):
    return {
        "predictor_pos_embed": (1, positions, width),
        **{f"mask_tokens.{index}": (1, 1, width) for index in range(10)},
        "predictor_embed.weight": (width, latent),
        "predictor_embed.bias": (width,),
        **dict(block_shapes("predictor_blocks", depth, width, 4 * width)),
        "predictor_norm.weight": (width,),
        "predictor_norm.bias": (width,),
        "predictor_proj.weight": (latent, width),
        "predictor_proj.bias": (latent,),
    }


def drawn(shapes, prefix):
    return {prefix + name: torch.randn(shape) for name, shape in shapes.items()}


def hollow(shapes, prefix):
    """Tensors of full size that take no room, in memory or on disk."""
    return {prefix + name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}


def training_state(parameters):
    """What Meta's training saves beside the weights."""
    parameters = [torch.nn.Parameter(parameter[:1]) for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters)
    sum(parameter.sum() for parameter in parameters).backward()
    optimizer.step()
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0}
    progress = {"epoch": 315, "loss": 0.3, "batch_size": 8, "world_size": 32, "lr": 0.0}
    return {"opt": optimizer.state_dict(), "scaler": scaler, **progress}


SMALL_ENCODER = {"depth": 2, "width": 48, "hidden": 192, "positions": 8 * 256}
SMALL_PREDICTOR = {"depth": 2, "width": 32, "latent": 48}


def meta_pretrained(**changes):
    """As vitl.pt and its sisters."""
    encoder = drawn(encoder_shapes(**SMALL_ENCODER | changes), "module.backbone.")
    predictor = pretraining_predictor_shapes(**SMALL_PREDICTOR, positions=2048)
    return {
        "encoder": encoder,
        "predictor": drawn(predictor, "module.backbone."),
        "target_encoder": drawn(encoder_shapes(**SMALL_ENCODER), "module.backbone."),
        **training_state(encoder.values()),
    }


def meta_ac():
    """As vjepa2-ac-vitg.pt."""
    return {
        "encoder": drawn(encoder_shapes(**SMALL_ENCODER), "module."),
        "predictor": drawn(predictor_shapes(**SMALL_PREDICTOR), "module."),
        "target_encoder": drawn(encoder_shapes(**SMALL_ENCODER), "module."),
        **training_state([torch.zeros(3)]),
    }


def jepa_wms(state):
    """As vjepa2_ac_droid.pth.tar, without state, or with one that goes by another name."""
    shapes = predictor_shapes(**SMALL_PREDICTOR)
    shapes = {
        name.replace("state_encoder", "proprio_encoder"): shape
        for name, shape in shapes.items()
        if "extrinsics" not in name and (state or "state" not in name)
    }
    predictor = drawn(shapes, "module.")
    optimizer = training_state(predictor.values())["opt"]
    return {"predictor": predictor, "opt": optimizer, "scaler": None, "epoch": 315}


@pytest.fixture
def saved(tmp_path):
    def save(content, name="model.pt"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


# --- Meta and jepa-wms -------------------------------------------------------------------


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


# --- Hugging Face ------------------------------------------------------------------------


def hugging_face(kind, size=256):
    transformers = pytest.importorskip("transformers", reason="test dependency is not installed")
    config = transformers.VJEPA2Config(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        crop_size=size,
        frames_per_clip=2,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
        num_pooler_layers=1,
        initializer_range=0.2,
    )
    return getattr(transformers, kind)(config).eval()


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


# --- our own files -----------------------------------------------------------------------


def own_model(config=SMALL_AC):
    return config, Encoder(config.encoder), Predictor(config.predictor)


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


# --- strictness --------------------------------------------------------------------------


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
    with pytest.raises(ValueError, match="2 blocks of width 40, hidden 192; predictor: none"):
        open_checkpoint(saved(meta_pretrained(width=40)))


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


# --- files that are no weights -----------------------------------------------------------


class Malicious:
    def __reduce__(self):
        return os.system, ("touch was_run",)


def test_a_file_that_would_run_code_is_refused(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(meta_ac() | {"args": Malicious()})
    with pytest.raises(UserError, match=r"is refused: loading it would run code, posix\.system"):
        load_weights(path)
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "looks like a PNG picture"),
        (b"\n<!DOCTYPE html><html>", "looks like an HTML page: the download failed"),
        (b"<?xml version='1.0'?><Error>AccessDenied", "an XML page: the download failed"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git-lfs pointer: run"),
        (b'{"error": "not found"}', "looks like JSON"),
        (b"\x80\x02}q\x00.", "a bare pickle, as torch wrote before 1.6"),
        (b"\x1f\x8b\x08\x00", "a gzip archive: unpack it first"),
        (b"\0" * 40, "expected torch's .pt or .pth.tar, or .safetensors"),
    ],
)
def test_another_kind_of_file_is_said_to_be_what_it_looks_like(tmp_path, content, message):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_weights(path)


def test_a_zip_of_something_else_is_refused(tmp_path):
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match=r"a zip archive, but none that torch\.save wrote"):
        load_weights(path)


def test_a_folder_or_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot be read as weights: Is a directory"):
        load_weights(tmp_path)
    with pytest.raises(UserError, match="cannot be read as weights: No such file"):
        load_weights(tmp_path / "none.pt")


@pytest.fixture(params=["torch", "safetensors"])
def intact(request, saved, tmp_path):
    if request.param == "torch":
        return saved(meta_ac())
    path = tmp_path / "own.safetensors"
    save_weights(path, *own_model())
    return path


def test_a_truncated_file_says_so_wherever_it_is_cut(intact):
    content = intact.read_bytes()
    random.seed(0)
    for length in (10, 100, len(content) - 1, *(random.randrange(len(content)) for _ in range(20))):
        intact.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"is truncated|is no checkpoint: its \d bytes"):
            load_weights(intact)


def test_a_flipped_bit_is_found_or_does_no_harm(intact):
    """In whatever tells names, shapes, places and configuration."""
    content, weights = intact.read_bytes(), load_weights(intact)
    if intact.suffix == ".pt":
        with zipfile.ZipFile(intact) as archive:
            heads = [range(i.header_offset, i.header_offset + 64) for i in archive.infolist()]
            pickle = archive.getinfo("model/data.pkl")
            heads += 50 * [range(pickle.header_offset, pickle.header_offset + pickle.file_size)]
            heads += 50 * [range(archive.start_dir, len(content))]
    else:
        heads = [range(8 + int.from_bytes(content[:8], "little"))]
    random.seed(0)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[random.choice(random.choice(heads))] ^= 1 << random.randrange(8)
        intact.write_bytes(damaged)
        try:
            found = load_weights(intact)
        except UserError:
            continue
        assert (found.identity, found.config) == (weights.identity, weights.config)


def test_a_flipped_bit_among_the_weights_is_found(intact):
    content = bytearray(intact.read_bytes())
    content[content.index(load_weights(intact).encoder.norm.weight.numpy().tobytes()) + 5] ^= 1
    intact.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        load_weights(intact)
