"""Calibration of the simulated arm with the shipped weights, from the words to the file."""

import pytest
import torch
import yaml

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

from vjepa_gate.errors import UserError
from vjepa_ros import cli
from vjepa_ros.model.checkpoints import save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.axes import load_axes
from vjepa_ros.planning.loading import load_world_model


def run(*words):
    return cli.run(["calibrate", *map(str, words)])


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    config = PRESETS["tiny"]
    torch.manual_seed(0)
    save_weights(path, config, Encoder(config.encoder), Predictor(config.predictor))
    return path


def test_the_turn_of_the_simulated_camera_is_found(tmp_path, capsys):
    """Led counter-clockwise around the table, it sees motions turned clockwise."""
    out = tmp_path / "axes.yaml"
    words = ("--sim", "--turn", 40, "--scene", 4900, "--moves", 16)
    assert run(*words, "--out", out) == 0
    identity = load_world_model(SHIPPED_WEIGHTS).identity
    axes = load_axes(out)
    axes.check_weights(identity)
    assert -80 < axes.angle < -15
    assert axes.moves == 16
    found = yaml.safe_load(out.read_text())
    assert found["robot"] == "simulated Franka"
    said = capsys.readouterr().out
    assert f"turn         {axes.angle:+.1f}°" in said
    assert "residual" in said
    assert f"wrote {out}" in said


def test_a_model_that_sees_no_motion_writes_no_file(random_weights, tmp_path):
    out = tmp_path / "axes.yaml"
    words = ("--sim", "--moves", 8, "--weights", random_weights, "--out", out)
    with pytest.raises(UserError, match="nothing written: a matrix explains only"):
        run(*words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--weights", "nowhere.safetensors"), r"nowhere\.safetensors: .*No such file"),
        (("--out", "no/such/folder/axes.yaml"), "expected a file in a folder that exists"),
        (("--seed=-1",), "--seed is -1, expected a whole number of at least 0"),
        (("--turn", 20), "--turn does nothing without --sim"),
        (("--scene", 0), "--scene does nothing without --sim"),
        (("--sim", "--moves", 3), r"--moves is 3, expected a whole number in \[8, 10000\]"),
        (("--sim", "--box", 1.0), r"--box is 1.0, expected a number in \[0.02, 0.2\] m"),
        (("--robot", "no_such_robot"), "robot 'no_such_robot' is unknown"),
    ],
)
def test_what_cannot_be_is_said(words, complaint, tmp_path):
    with pytest.raises(UserError, match=complaint):
        run("--out", tmp_path / "axes.yaml", *words)
