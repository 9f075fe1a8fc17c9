"""`vjepa-ros memory build` and `vjepa-ros train subgoals`, from recordings to files."""

from pathlib import Path

import pytest
import torch
from table_world import write_demonstrations

from vjepa_gate.settings import settings_of
from vjepa_ros.cli import main
from vjepa_ros.commands.settings.training import TrainSubGoals
from vjepa_ros.model.checkpoints import save_weights
from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.planning.subgoals.bank import load_bank
from vjepa_ros.planning.subgoals.proposer import ProposerSource, load_proposer
from vjepa_ros.training.subgoals import SubGoalConfig

MODEL = ModelConfig(
    preset="small",
    encoder=EncoderConfig(width=32, depth=1, heads=2, patch=8, stem="conv"),
    predictor=PredictorConfig(
        latent_width=32, grid=4, width=32, depth=1, heads=2, max_frames=4, residual=True
    ),
    image_size=32,
)


def write_weights(path: Path, seed: int = 0) -> str:
    torch.manual_seed(seed)
    assert MODEL.predictor is not None
    return save_weights(path, MODEL, Encoder(MODEL.encoder), Predictor(MODEL.predictor))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_demonstrations(tmp_path / "data", [True] * 4 + [False], size=32)
    return tmp_path / "data"


def test_a_memory_is_built(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    identity = write_weights(tmp_path / "w.safetensors")
    arguments = ["memory", "build", data, "--out", tmp_path / "bank"]
    assert main([*map(str, arguments), "--weights", str(tmp_path / "w.safetensors")]) == 0
    assert "4 episodes, 72 frames, in which the fingers move 8 times" in capsys.readouterr().out
    bank = load_bank(tmp_path / "bank")
    assert bank.weights == identity
    assert bank.latents.shape == (72, 16, 32)


def test_a_proposer_is_trained(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    identity = write_weights(tmp_path / "w.safetensors")
    arguments = ["train", "subgoals", "--data", data, "--weights", tmp_path / "w.safetensors"]
    arguments += ["--out", tmp_path / "net.safetensors", "--steps", "2"]
    assert main([str(one) for one in arguments]) == 0
    assert "key frame 7, cm" in capsys.readouterr().out
    net = load_proposer(tmp_path / "net.safetensors", identity)
    proposals = ProposerSource(net=net).propose(*torch.randn(2, 16, 32), torch.zeros(7))
    assert len(proposals) == net.config.moves + 1


def test_latents_of_other_weights_are_not_trained_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_weights(tmp_path / "w.safetensors")
    write_weights(tmp_path / "others.safetensors", seed=1)
    common = ["train", "subgoals", "--data", data, "--out", tmp_path / "net.safetensors"]
    common += ["--steps", "1", "--weights"]
    assert main([*map(str, common), str(tmp_path / "w.safetensors")]) == 0
    assert main([*map(str, common), str(tmp_path / "others.safetensors")]) == 2
    assert "net.bank holds latents of" in capsys.readouterr().err


def test_scenes_that_teach_nothing_are_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_weights(tmp_path / "w.safetensors")
    common = ["train", "subgoals", "--data", data, "--out", tmp_path / "net.safetensors"]
    common += ["--weights", tmp_path / "w.safetensors", "--steps", "1", "--scenes"]
    assert main([*map(str, common), str(data)]) == 2
    assert "the scenes do not tell where any object is" in capsys.readouterr().err
    write_demonstrations(tmp_path / "fewer", [True], size=32)
    assert main([*map(str, common), str(tmp_path / "fewer")]) == 2
    assert "other recordings" in capsys.readouterr().err


def test_the_command_knows_how_long_a_proposer_is_trained():
    assert settings_of(TrainSubGoals)["steps"].default == SubGoalConfig.steps
