"""The command from episodes to a report, with a model that is small enough."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vjepa_gate.errors import UserError
from vjepa_ros import cli
from vjepa_ros.model.checkpoints import load_weights, open_checkpoint
from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.located import located
from vjepa_ros.model.predictor import PredictorConfig
from vjepa_ros.model.presets import PRESETS, ModelConfig
from vjepa_ros.planning.choice import planner_of
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.world_model import Context, Goal
from vjepa_ros.training.settings import load_settings

PRESET = """
model: small
data: {held_out: 0.2}
pretrain:
  losses: {frames: 4, masked: 1.0, dynamics: 1.0, readout: 1.0}
  trainer: {steps: 4, batch: 4, warmup: 2, precision: float32}
posttrain:
  low_rank: LOW_RANK
  recompute: true
  losses: {horizon: 3, augment: {gain: 0.1, commanded: 0.5}}
  trainer: {steps: 4, batch: 4, warmup: 2, precision: float32}
"""

WEIGHTS = """
model: tiny
data: {episodes: 3, steps: 12, seed: 5, held_out: 0.34}
pretrain:
  losses: {frames: 2, masked: 0.0, readout: 1.0}
  trainer: {steps: 2, batch: 2, precision: float32}
posttrain:
  losses: {horizon: 2}
  trainer: {steps: 2, batch: 2, precision: float32}
"""


def run(*arguments: str | Path) -> int:
    return cli.run(["train", *map(str, arguments), "--device", "cpu"])


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "preset.yaml"
    path.write_text(PRESET.replace("LOW_RANK", "0"))
    return path


def test_from_episodes_to_weights_and_a_report(
    tmp_path: Path, folder: Path, preset: Path, small, capsys: pytest.CaptureFixture[str]
):
    common = ("--data", folder, "--preset", preset)
    run("pretrain", *common, "--out", tmp_path / "a")
    first = load_weights(tmp_path / "a" / "weights.safetensors")
    assert first.predictor is not None  # `dynamics` trained one

    run("posttrain", *common, "--out", tmp_path / "b", "--weights", first_path(tmp_path / "a"))
    assert "zero action" in capsys.readouterr().out
    second = load_weights(first_path(tmp_path / "b"))
    assert second.config.trained_horizon == 3
    assert second.metadata["pretrain"]["trainer"]["steps"] == 4
    same = [first.encoder.state_dict(), second.encoder.state_dict()]
    assert all((same[0][name] == same[1][name]).all() for name in same[0])

    lean = tmp_path / "lean.yaml"
    lean.write_text(PRESET.replace("LOW_RANK", "4"))
    run(
        "finetune", "--data", folder, "--preset", lean,
        "--out", tmp_path / "c", "--weights", first_path(tmp_path / "b"),
    )  # fmt: skip
    assert "It has" in capsys.readouterr().out
    third = load_weights(first_path(tmp_path / "c"))
    assert set(third.predictor.state_dict()) == set(second.predictor.state_dict())

    decoder = ("--steps", "1", "--held-out", "0.34")
    run("decoder", "--data", folder, "--weights", first_path(tmp_path / "c"), *decoder)
    page = tmp_path / "report.html"
    metrics = tmp_path / "b" / "metrics.csv"
    run(
        "report", *common, "--out", page, "--weights", first_path(tmp_path / "c"),
        "--metrics", metrics, "--frames", "30", "--windows", "8",
    )  # fmt: skip
    assert "<html" in page.read_text()
    assert "What it imagines" in page.read_text()
    assert page.with_suffix(".json").exists()


def test_a_lab_s_weights_are_planned_with_as_those_that_they_come_from(
    tmp_path: Path, folder: Path
):
    changes = ("data.held_out=0.34", "joint.trainer.steps=1", "posttrain.trainer.steps=1")
    short = [word for change in changes for word in ("--set", change)]
    common = ("--data", folder, "--preset", "lab", *short)
    run("joint", *common, "--from", "tiny", "--out", tmp_path / "joint")
    weights = first_path(tmp_path / "joint")
    run("finetune", *common, "--weights", weights, "--out", tmp_path / "tuned")
    for made in (weights, first_path(tmp_path / "tuned")):
        assert planner_of(open_checkpoint(made), "cpu") == "tiny"


def test_v_jepa_2_1_is_trained_on_and_planned_with(
    tmp_path: Path, folder: Path, preset: Path, monkeypatch: pytest.MonkeyPatch
):
    """From Meta's file of an encoder to an action."""
    encoder = EncoderConfig(width=32, depth=4, heads=2, patch=8, version="2.1")
    published = ModelConfig(preset="small_2_1", encoder=encoder, image_size=64)
    predictor = PredictorConfig(latent_width=32, grid=4, width=32, depth=2, heads=2)
    trained = replace(published, preset="small", predictor=predictor, image_size=32)
    for model in (published, trained):
        monkeypatch.setitem(PRESETS, model.preset, model)
    state = {f"module.{name}": value for name, value in Encoder(encoder).state_dict().items()}
    file = tmp_path / "vjepa2_1_vits.pt"
    torch.save({"ema_encoder": state, "encoder": state}, file)

    run("posttrain", "--data", folder, "--preset", preset, "--out", tmp_path, "--weights", file)
    loaded = load_world_model(first_path(tmp_path))
    assert loaded.config == replace(trained, trained_horizon=3)
    frames = torch.randint(256, (2, 48, 48, 3), dtype=torch.uint8)
    now, goal = loaded.world_model.encode(frames)
    planner = Planner(PLANNERS["plain"], loaded.world_model)
    context = Context(latents=now[None], states=torch.tensor([[0.5, 0, 0.2, 3.1, 0, 0, 0.1]]))
    _, decision = planner.plan(planner.start(context, [Goal(latents=goal)], seed=7), context)
    assert decision.action is not None

    monkeypatch.setitem(PRESETS, "small", replace(trained, encoder=replace(encoder, depth=8)))
    with pytest.raises(
        UserError, match=r"holds small_2_1, but --preset .* for the encoder of small"
    ):
        run("posttrain", "--data", folder, "--preset", preset, "--out", tmp_path, "--weights", file)


def test_a_predictor_of_another_shape_is_begun_anew(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    """For the encoder of `tiny` one of the published kind, which is not residual."""
    changes = ("data.held_out=0.34", "posttrain.trainer.steps=1", "posttrain.trainer.batch=2")
    changes += ("posttrain.losses.horizon=3",)
    options = [option for change in changes for option in ("--set", change)]
    given = ("--data", folder, "--preset", "ac_tiny", "--weights", "tiny", *options)
    run("posttrain", *given, "--out", tmp_path)
    trained, tiny = load_weights(first_path(tmp_path)), load_weights(located(Path("tiny")))
    assert trained.config == replace(PRESETS["ac_tiny"], trained_horizon=3)
    assert trained.predictor.config == PRESETS["ac_tiny"].predictor
    assert "a new predictor, of ac_tiny, for the encoder of tiny-" in capsys.readouterr().out
    for mine, theirs in zip(trained.encoder.parameters(), tiny.encoder.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert planner_of(open_checkpoint(first_path(tmp_path)), "cpu") not in ("tiny", "paper")


def first_path(folder: Path) -> Path:
    return folder / "weights.safetensors"


def test_weights_from_nothing_and_not_a_second_time(tmp_path: Path):
    preset = tmp_path / "tiny.yaml"
    preset.write_text(WEIGHTS)
    command = ("weights", "--preset", preset, "--out", tmp_path / "made")
    assert run(*command) == 0
    made = load_weights(tmp_path / "made" / "tiny.safetensors")
    assert made.encoder.patch_embed.proj.weight.dtype == torch.float32  # read as
    assert (tmp_path / "made" / "tiny.safetensors").stat().st_size < 16e6
    card = (tmp_path / "made" / "MODEL_CARD.md").read_text()
    assert made.identity in card
    assert "--episodes 3 --steps 12 --seed 5" in card
    for departure in ("strided 3×3 convolutions", "added to the latent", "read from it"):
        assert departure in card
    assert "<img" in (tmp_path / "made" / "report.html").read_text()
    metrics = tmp_path / "made" / "posttrain" / "metrics.csv"
    before = metrics.stat().st_mtime_ns
    assert run(*command) == 0
    assert metrics.stat().st_mtime_ns == before
    assert load_weights(tmp_path / "made" / "tiny.safetensors").identity == made.identity


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("pretrain.trainer.step=3", "--set pretrain.trainer.step is unknown, expected steps"),
        ("pretrain.trainer.steps", "expected NAME=VALUE"),
        ("pretrain.trainer.steps=0", "steps is 0, expected a whole number of at least 1"),
        ("pretrain.trainer.steps=many", "steps is 'many', expected a whole number"),
        ("pretrain.trainer.precision=fp8", "is 'fp8', expected one of bf16, float32"),
        ("model.x=3", "model is no section"),
        ("joint.trainer.steps=3", "joint is no section of the preset"),
    ],
)
def test_a_setting_that_does_not_exist_is_named(preset: Path, change: str, says: str):
    with pytest.raises(UserError, match=says):
        load_settings(str(preset), [change])


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("held_out: 0.2", "held_out: 2", "data.held_out is 2, expected a number in"),
        ("held_out", "hold_out", "data.hold_out is unknown, expected held_out"),
        ("model: small", "model: small\nmodel: tiny", "model is given twice"),
        ("steps: 4, batch: 4", "batch: 4", "trainer.steps is missing, expected a whole number"),
        ("recompute: true", "recompute: maybe", "recompute is 'maybe', expected true or false"),
    ],
)
def test_a_preset_that_is_wrong_names_file_and_key(
    preset: Path, before: str, after: str, says: str
):
    preset.write_text(preset.read_text().replace(before, after, 1))
    with pytest.raises(UserError, match=rf"preset\.yaml: .*{says}"):
        load_settings(str(preset))


def test_a_preset_that_does_not_exist_names_those_that_do():
    with pytest.raises(
        UserError, match="expected one of ac_tiny, cpu, finetune, gpu, lab, objects, quick, vitb"
    ):
        load_settings("big")


@pytest.mark.parametrize("name", ["quick", "cpu", "gpu", "finetune", "lab", "vitb", "ac_tiny"])
def test_the_presets_of_the_repository_are_whole(name: str):
    settings = load_settings(name)
    assert settings.posttrain.trainer.steps > 0


def test_changes_reach_the_settings(preset: Path):
    settings = load_settings(str(preset), ["posttrain.losses.augment.gain=0.3"])
    assert settings.posttrain.losses.augment.gain == 0.3


def test_no_episodes_is_one_clear_line(tmp_path: Path, preset: Path, small):
    with pytest.raises(UserError, match="found no episodes"):
        run("pretrain", "--data", tmp_path, "--out", tmp_path / "a", "--preset", preset)


def test_a_window_longer_than_the_episodes_is_one_clear_line(
    tmp_path: Path, folder: Path, preset: Path, small
):
    with pytest.raises(UserError, match="a training window needs 40"):
        run(
            "pretrain", "--data", folder, "--out", tmp_path / "a", "--preset", preset,
            "--set", "pretrain.losses.frames=40",
        )  # fmt: skip
