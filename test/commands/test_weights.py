"""`vjepa-ros weights` on small files laid out as the published ones are."""

import hashlib

import pytest
import torch

from vjepa_gate.errors import UserError
from vjepa_ros import cli
from vjepa_ros.commands import weights as command
from vjepa_ros.model.checkpoints import load_weights, save_weights
from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.presets import PRESETS, ModelConfig

ENCODER = EncoderConfig(width=48, depth=2, heads=2)
PREDICTOR = PredictorConfig(latent_width=48, width=32, depth=1, heads=1, state=False)
SMALL = ModelConfig(preset="small", encoder=ENCODER)
SMALL_AC = ModelConfig(preset="small_ac", encoder=ENCODER, predictor=PREDICTOR)


@pytest.fixture(autouse=True)
def _small_presets(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setitem(PRESETS, "small", SMALL)
    monkeypatch.setitem(PRESETS, "small_ac", SMALL_AC)


def run(*arguments):
    return cli.run(["weights", *map(str, arguments)])


def wrapped(part):
    return {f"module.{name}": tensor for name, tensor in part.state_dict().items()}


@pytest.fixture
def files(tmp_path):
    """Meta's encoder, jepa-wms' predictor, and our own file of both."""
    encoder, predictor = Encoder(ENCODER), Predictor(PREDICTOR)
    content = {
        "encoder": wrapped(encoder),
        "target_encoder": wrapped(Encoder(ENCODER)),
        "epoch": 90,
    }
    for part in ("encoder", "target_encoder"):
        content[part]["module.pos_embed"] = torch.zeros(1, 1024, 48)
    torch.save(content, tmp_path / "vitg.pt")
    state = {"exp_avg": torch.zeros(1000)}
    content = {"predictor": wrapped(predictor), "opt": {"state": {0: state}}, "epoch": 315}
    torch.save(content, tmp_path / "vjepa2_ac_droid.pth.tar")
    metadata = {"trained by": "make weights", "seed": 7}
    own = tmp_path / "own.safetensors"
    save_weights(own, SMALL_AC, encoder, predictor, metadata=metadata)
    return tmp_path


def test_inspect_describes_a_published_encoder(files, capsys):
    assert run("inspect", files / "vitg.pt") == 0
    page = capsys.readouterr().out
    assert "V-JEPA 2 as Meta lays it out" in page
    assert "2 blocks × 48, 2 heads, patches of 16 pixels × 2 frames" in page
    count = sum(parameter.numel() for parameter in Encoder(ENCODER).parameters())
    assert f"0.1 M parameters, float32, {4 * count / 1e3:.2f} kB" in page
    assert "predictor   none for planning" in page
    assert "training    epoch 90" in page
    page = " ".join(page.split())
    assert "taken from `target_encoder`: moving average of the encoder" in page
    assert "the encoder as it was trained last (encoder.patch_embed.proj.weight and 28" in page
    assert "sine-cosine positions, which rotary models never use (target_encoder.pos_embed)" in page


def test_inspect_describes_a_predictor_alone(files, capsys):
    assert run("inspect", files / "vjepa2_ac_droid.pth.tar") == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "encoder none: add one with `vjepa-ros weights convert --encoder`" in page
    assert "1 blocks × 32, 1 heads, a frame is [action, 256 patches]" in page
    assert "note V-JEPA 2-AC post-trained anew by jepa-wms with the rollout loss mended" in page
    assert "not loaded 4.00 kB, state of the optimizer (opt.state.0.exp_avg)" in page


def test_inspect_says_licence_and_planner(files, capsys):
    run("inspect", files / "vjepa2_ac_droid.pth.tar")
    page = " ".join(capsys.readouterr().out.split())
    assert "licence CC-BY-NC 4.0, as facebookresearch/jepa-wms states it" in page
    assert "planner vjepa2_1 on a CPU, paper on a GPU" in page
    run("inspect", files / "own.safetensors", "--hash")
    page = capsys.readouterr().out
    content = (files / "own.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() in page
    assert "  licence" not in page


def test_inspect_describes_our_own_file(files, capsys):
    assert run("inspect", files / "own.safetensors") == 0
    page = capsys.readouterr().out
    assert load_weights(files / "own.safetensors").identity in page
    assert "trained by  make weights" in page
    assert "not loaded" not in page


@pytest.mark.parametrize("dtype", ["float32", "bf16"])
def test_convert_leaves_what_planning_needs(files, capsys, dtype):
    lean = files / "lean.safetensors"
    assert run("convert", files / "vitg.pt", lean, "--dtype", dtype) == 0
    assert lean.stat().st_size < (files / "vitg.pt").stat().st_size / 2
    before, after = load_weights(files / "vitg.pt"), load_weights(lean)
    assert after.identity in capsys.readouterr().out
    assert (after.identity == before.identity) == (dtype == "float32")
    assert after.config == before.config
    assert after.metadata == {
        "converted from": f"vitg.pt, {before.identity}",
        "licence": "MIT, as facebookresearch/vjepa2 states it (known by the file's name)",
    }
    for name, tensor in before.encoder.state_dict().items():
        rounded = tensor.to(command.DTYPES[dtype]).float()
        assert torch.equal(after.encoder.state_dict()[name], rounded)


def test_convert_joins_a_predictor_with_the_encoder_it_was_trained_on(files):
    predictor, encoder, lean = (
        files / name for name in ("vjepa2_ac_droid.pth.tar", "vitg.pt", "lean.safetensors")
    )
    run("convert", predictor, lean, "--encoder", encoder)
    joined, own = load_weights(lean), load_weights(files / "own.safetensors")
    assert joined.identity == own.identity
    assert joined.metadata["encoder from"].startswith("vitg.pt, small-")
    assert "rollout loss mended" in joined.metadata["note"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vjepa2_ac_droid.pth.tar", "o.safetensors"), "without its encoder; name a file"),
        (("own.safetensors", "o.safetensors", "--encoder", "vitg.pt"), "leave --encoder out"),
        (
            ("vjepa2_ac_droid.pth.tar", "o.safetensors", "--encoder", "tiny.safetensors"),
            "--encoder holds tiny, expected the encoder that vjepa2_ac_droid.pth.tar",
        ),
        (("vitg.pt", "o.pt"), "the output is safetensors"),
        (("vitg.pt", "nowhere/o.safetensors"), "cannot be written"),
        (("none.pt", "o.safetensors"), "none.pt: cannot be read as weights: No such file"),
    ],
)
def test_convert_says_what_is_wrong(files, monkeypatch, arguments, message):
    tiny = PRESETS["tiny"]
    save_weights("tiny.safetensors", tiny, Encoder(tiny.encoder), Predictor(tiny.predictor))
    with pytest.raises(UserError, match=message):
        run("convert", *arguments)
    assert not list(files.rglob("o.*"))


@pytest.fixture(autouse=True)
def _in_the_folder(files, monkeypatch):
    monkeypatch.chdir(files)
