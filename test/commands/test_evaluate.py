import json
from dataclasses import fields, replace

import pytest

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

import torch

from vjepa_gate.errors import UserError
from vjepa_gate.settings import settings_of, words
from vjepa_ros import cli
from vjepa_ros.commands.settings.planning import Evaluate
from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.model.checkpoints import open_checkpoint, save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.located import located
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.model.shipped import shipped
from vjepa_ros.planning.choice import planner_of
from vjepa_ros.planning.config import PLANNERS, PlannerConfig
from vjepa_sim.tasks import GRASPABLE, SCHEDULES

KEYS = {
    *("task", "object", "goals", "episodes", "successes", "rate", "interval"),
    *("seconds_per_plan", "steps", "reasons"),
}


def run(*words):
    return cli.run(["evaluate", *map(str, words)])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    config = PRESETS["tiny"]
    torch.manual_seed(0)
    metadata = {"planner": "tiny"}
    save_weights(
        path, config, Encoder(config.encoder), Predictor(config.predictor), metadata=metadata
    )
    return path


def test_a_run_prints_a_table_and_writes_json(weights, tmp_path, capsys):
    out = tmp_path / "out.json"
    words = ("--task", "reach", "--goals", "paper", "--object", "cup", "--episodes", 1)
    search = ("--samples", 11, "--iterations", 1, "--workers", 1, "--solver", "icem")
    turned = ("--condition", "light", "--turn", 20)
    others = ("--seed", 5930, "--weights", weights, "--json", out)
    assert run(*words, *search, *turned, *others) == 0

    found = json.loads(out.read_text())
    assert found.keys() >= KEYS
    assert (found["task"], found["object"], found["goals"]) == ("reach", "cup", "paper")
    assert found["episodes"] == 1
    assert (found["planner"]["name"], found["planner"]["solver"]) == ("tiny", "icem")
    table = capsys.readouterr().out
    assert "0 of 1" in table
    assert "95 % interval 0% … 79%" in table
    assert "failed 5930" in table
    assert found["weights"] in table
    assert "light: the light has changed since the goal pictures" in table
    assert "turned by 20°, not calibrated" in table


class Asked(Exception):
    """What a command would have evaluated."""


@pytest.fixture
def asked(monkeypatch):
    """A function that gives the evaluation that some words ask for."""

    def stop(evaluation, **_):
        raise Asked(evaluation)

    monkeypatch.setattr("vjepa_ros.commands.evaluate.evaluate", stop)

    def ask(*words):
        with pytest.raises(Asked) as stopped:
            run("--task", "grasp", *words)
        return stopped.value.args[0]

    return ask


def test_the_planner_is_the_one_that_the_weights_name(asked, small_weights):
    paper = asked("--weights", small_weights(planner="paper"))
    assert (paper.planner_name, paper.planner) == ("paper", PLANNERS["paper"])
    assert paper.planner.rules == ()
    path = small_weights(planner=None)
    unnamed = asked("--weights", path)
    assert unnamed.planner_name == planner_of(open_checkpoint(path), "cpu")
    assert unnamed.planner == PLANNERS[unnamed.planner_name]
    other = asked("--weights", path, "--planner", "tiny", "--horizon", 2, "--objective", "l2")
    assert other.planner_name == "tiny"
    assert other.planner == replace(PLANNERS["tiny"], horizon=2, objective="l2")


@pytest.mark.parametrize(
    ("words", "taken"),
    [
        (("--goals", "single"), "objects"),
        (("--goals", "dense"), "objects"),
        (("--goals", "dense", "--subgoals", "none"), "tiny"),
        (("--goals", "single", "--weights", "tiny"), "tiny"),
    ],
)
def test_weights_that_know_ways_are_taken_unless_no_way_is_wanted(asked, words, taken):
    assert located(asked(*words).weights) == shipped(taken)


@pytest.mark.parametrize("name", [field.name for field in fields(PlannerConfig)])
def test_every_setting_of_the_planner_is_an_option(asked, small_weights, name):
    """Each is given another value than it has."""
    other = {
        "solver": "icem", "objective": "cosine", "axis": "z=0", "rules": ("warm_start",),
        "goal_steps": (3, 2), "close_gripper": 1, "patience": 7, "tolerance": 0.01,
        "max_turn": 0.2, "mean_in_population": True, "policy_mode": "rank",
        "overlap": True, "decay": 2.0,
    }  # fmt: skip
    value = getattr(PlannerConfig(), name)
    value = other.get(name, value + 1 if isinstance(value, int) else None) or value / 2
    (word,) = words({name: value})
    weights = small_weights(planner="paper")
    assert asked("--weights", weights, word).planner == replace(PlannerConfig(), **{name: value})


def test_the_options_know_what_there_is_in_the_simulation():
    known = {name: about.choices for name, about in settings_of(Evaluate).items()}
    assert known["object"] == GRASPABLE
    assert known["condition"] == tuple(CONDITIONS)
    for task in set(known["task"]) - {"surprise"}:
        assert set(known["goals"]) == set(SCHEDULES[task])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--weights", "nowhere.safetensors"), "nowhere.safetensors: .*No such file"),
        (("--episodes", 0), "--episodes is 0, expected a whole number of at least 1"),
        (("--seed=-1",), "--seed is -1, expected a whole number of at least 0"),
        (("--turn", 200), r"--turn is 200, expected a number in \[-180, 180\] degrees"),
        (("--axes", "nowhere.yaml"), r"nowhere\.yaml: cannot be read: No such file"),
        (("--json", "no/such/folder/out.json"), "expected a file in a folder that exists"),
        (
            ("--horizon", 40, "--episodes", 1, "--workers", 1),
            "--horizon is 40, expected a whole number in",
        ),
        (("--elites", 20, "--episodes", 1, "--workers", 1), "elites is"),
    ],
)
def test_what_cannot_be_is_said(weights, words, complaint):
    with pytest.raises(UserError, match=complaint):
        run("--task", "reach", "--weights", weights, *words)


def test_weights_without_a_predictor_cannot_plan(tmp_path):
    path = tmp_path / "encoder.safetensors"
    config = PRESETS["tiny"].__class__(preset="tiny", encoder=PRESETS["tiny"].encoder)
    save_weights(path, config, Encoder(config.encoder), None)
    with pytest.raises(UserError, match="holds no predictor"):
        run("--task", "reach", "--weights", path, "--episodes", 1, "--workers", 1)
