"""The command on Meta's recorded pair and on weights that were never trained."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from vjepa_gate.errors import UserError
from vjepa_gate.settings import settings_of
from vjepa_ros import cli
from vjepa_ros.commands.settings.planning import Landscape
from vjepa_ros.images import decode_picture
from vjepa_ros.model.checkpoints import save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.planning.config import SOLVERS, PlannerConfig
from vjepa_ros.planning.solvers import make_solver

PAIR = Path(__file__).parents[2] / "../shared/data/franka_example_traj.npz"
pytestmark = pytest.mark.skipif(not PAIR.exists(), reason=f"{PAIR} is not here")


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """A shallow tiny model whose predictions depend on the action, as a fresh one's do not."""
    torch.manual_seed(0)
    tiny = PRESETS["tiny"]
    config = replace(
        tiny, encoder=replace(tiny.encoder, depth=1), predictor=replace(tiny.predictor, depth=1)
    )
    encoder, predictor = Encoder(config.encoder), Predictor(config.predictor)
    torch.nn.init.normal_(predictor.predictor_proj.weight, std=0.1)
    torch.nn.init.normal_(predictor.action_encoder.weight, std=3.0)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(path, config, encoder, predictor)
    return path


def run(weights: Path, out: Path, *options: str) -> int:
    paths = ["--weights", str(weights), "--episode", str(PAIR), "--out", str(out)]
    return cli.run(["landscape", *paths, *options])


@pytest.mark.parametrize("axes", ["dx,dz", "gripper"])
def test_it_draws_the_landscape_and_lists_the_actions(weights, tmp_path, capsys, axes):
    out = tmp_path / "landscape.png"
    assert run(weights, out, "--axes", axes, "--points", "7", "--planner", "plain") == 0
    assert decode_picture(out.read_bytes()).shape[1] > 1000

    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("planned with plain: ")
    rows = dict(line.split(maxsplit=1) for line in lines[1:-2])
    assert list(rows) == ["stay", "recorded", "planned", "least"]
    actions = {kind: [float(value) for value in row.split()] for kind, row in rows.items()}
    assert actions["recorded"][:4] == [9.24, 3.10, 8.43, 0.0]  # centimetres, closedness
    assert actions["planned"][-1] <= actions["stay"][-1]


def test_the_picture_is_the_same_every_time(weights, tmp_path):
    for name in ("one.png", "two.png"):
        run(weights, tmp_path / name, "--points", "5", "--seed", "3")
    one, two = (decode_picture((tmp_path / name).read_bytes()) for name in ("one.png", "two.png"))
    assert (one == two).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "2"], r"has no frame 2: expected --from and --to in 0 … 1"),
        (["--from=-1"], "--from is -1, expected a whole number of at least 0"),
        (["--axes", "dx,roll"], r"--axes\[1\] is 'roll', expected one of dx, dy, dz, gripper"),
        (["--axes", "dx,dx"], "axes is dx, dx, expected one or two"),
        (["--points", "1"], "--points is 1"),
        (["--extent", "75"], "--extent is 75, expected a number in"),
        (["--extent", "0"], "--extent is 0, expected a number in"),
        (["--horizon", "2"], "--horizon is unknown"),
    ],
)
def test_wrong_options_are_named(weights, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(weights, tmp_path / "out.png", *options)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("out", ["out.jpg", "nowhere/out.png"])
def test_the_picture_is_a_png_in_a_folder_that_exists(weights, tmp_path, out):
    with pytest.raises(UserError, match=r"expected a (\.png|file) in a folder that exists"):
        run(weights, tmp_path / out)


def test_an_encoder_alone_cannot_predict(tmp_path):
    config = replace(PRESETS["tiny"], predictor=None)
    path = tmp_path / "encoder.safetensors"
    save_weights(path, config, Encoder(config.encoder), None)
    with pytest.raises(UserError, match="predictor"):
        run(path, tmp_path / "out.png")


def test_it_takes_the_settings_of_each_search():
    """Those that a solver has itself; horizon, step and grip are those of the picture."""
    solvers = [make_solver(PlannerConfig(solver=solver)) for solver in SOLVERS]
    known = {field.name for solver in solvers for field in fields(solver)}
    taken = Landscape.planner_settings
    assert known & set(settings_of(PlannerConfig)) == taken & known | {"horizon"}
    assert taken - known == {"solver", "objective", "axis", "close_gripper", "max_turn"}
