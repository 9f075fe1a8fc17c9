import argparse
import json

import pytest

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

import torch

from vjepa_gate.errors import UserError
from vjepa_ros.commands import evaluate
from vjepa_ros.model.checkpoints import save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.planning.planners import PLANNERS
from vjepa_ros.planning.solvers import PRESETS as SOLVER_PRESETS

KEYS = {
    *("task", "object", "goals", "episodes", "successes", "rate", "interval"),
    *("seconds_per_plan", "steps", "reasons"),
}


def parse(*words):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    config = PRESETS["tiny"]
    torch.manual_seed(0)
    save_weights(path, config, Encoder(config.encoder), Predictor(config.predictor))
    return path


def test_a_run_prints_a_table_and_writes_json(weights, tmp_path, capsys):
    out = tmp_path / "out.json"
    words = ("--task", "reach", "--goals", "paper", "--object", "cup", "--episodes", 1)
    search = ("--samples", 11, "--iterations", 1, "--workers", 1, "--solver", "icem")
    turned = ("--condition", "light", "--turn", 20)
    others = ("--seed", 5930, "--weights", weights, "--json", out)
    arguments = parse(*words, *search, *turned, *others)
    assert evaluate.run(arguments) == 0

    found = json.loads(out.read_text())
    assert found.keys() >= KEYS
    assert (found["task"], found["object"], found["goals"]) == ("reach", "cup", "paper")
    assert found["episodes"] == 1
    assert found["planner"]["solver"] == "icem"
    table = capsys.readouterr().out
    assert "0 of 1" in table
    assert "95 % interval 0% … 79%" in table
    assert "failed 5930" in table
    assert found["weights"] in table
    assert "light: the light has changed since the goal pictures" in table
    assert "turned by 20°, not calibrated" in table


def test_settings_are_the_planners_unless_given():
    assert evaluate._planner(parse("--task", "grasp")) == PLANNERS["tiny"]
    changed = evaluate._planner(parse("--task", "grasp", "--horizon", 2, "--objective", "l2"))
    assert (changed.horizon, changed.objective) == (2, "l2")
    assert changed.samples == PLANNERS["tiny"].samples


def test_a_solver_preset_brings_its_own_numbers():
    config = evaluate._planner(parse("--task", "grasp", "--solver", "notebook", "--samples", 30))
    _, values = SOLVER_PRESETS["notebook"]
    assert (config.samples, config.iterations) == (30, values["iterations"])
    assert config.horizon == values["horizon"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--weights", "nowhere.safetensors"), "nowhere.safetensors: no such file"),
        (("--episodes", 0), "--episodes 0: expected at least 1"),
        (("--seed", -1), "--seed -1: expected 0 or more"),
        (("--turn", 200), "--turn 200: expected degrees"),
        (("--axes", "nowhere.yaml"), r"nowhere\.yaml: not a readable YAML file"),
        (("--json", "no/such/folder/out.json"), "expected a file in a folder that exists"),
        (("--horizon", 40, "--episodes", 1, "--workers", 1), "horizon of 40"),
        (("--samples", 5, "--episodes", 1, "--workers", 1), "elites is"),
    ],
)
def test_what_cannot_be_is_said(weights, words, complaint):
    with pytest.raises(UserError, match=complaint):
        evaluate.run(parse("--task", "reach", "--weights", weights, *words))


def test_weights_without_a_predictor_cannot_plan(tmp_path):
    path = tmp_path / "encoder.safetensors"
    config = PRESETS["tiny"].__class__(preset="tiny", encoder=PRESETS["tiny"].encoder)
    save_weights(path, config, Encoder(config.encoder), None)
    with pytest.raises(UserError, match="holds no predictor"):
        evaluate.run(parse("--task", "reach", "--weights", path, "--episodes", 1, "--workers", 1))
