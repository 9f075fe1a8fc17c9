"""Camera axes from a world that sees every motion turned: found, refused, applied, kept."""

import math

import pytest
import torch

from vjepa_gate.errors import UserError
from vjepa_ros.conventions import apply_action
from vjepa_ros.planning.axes import (
    FEWEST_MOVES,
    XY,
    Axes,
    AxesTurned,
    explore,
    fit_axes,
    infer_motion,
    load_axes,
    write_axes,
)
from vjepa_ros.planning.objectives import L1, L2
from vjepa_ros.planning.world_model import Context, Goal

ABOUT = {"weights": "tiny-1", "robot": "bench", "camera": "camera/image_raw", "date": "today"}
HOME = torch.tensor([0.5, 0.0, 0.3, 3.14, 0.0, 0.0, 0.0])


def turn(degrees, scale=1.0):
    c, s = (scale * f(math.radians(degrees)) for f in (math.cos, math.sin))
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def axes_of(matrix, **changed):
    (a, b), (c, d) = matrix.tolist()
    figures = {"moves": 24, "residual": 0.001, "r2": 0.99}
    return Axes(matrix=((a, b), (c, d)), **{**figures, **ABOUT, **changed})


class TurnedPictures:
    """An arm whose pictures show the position turned; latents are that position [3, 1]."""

    def __init__(self, matrix=None, stuck=False):
        self.matrix = torch.eye(2, dtype=torch.float64) if matrix is None else matrix
        self.state, self.stuck, self.actions = HOME.clone(), stuck, []

    def look(self):
        position = self.state[:3].double()
        seen = torch.cat((self.matrix @ position[XY], position[2:]))
        return Context(latents=seen.float()[None, :, None], states=self.state[None])

    def move(self, action):
        self.actions.append(action)
        if not self.stuck:
            self.state = apply_action(self.state, 0.8 * action.float())  # it lags


class Straight:
    """A world model that takes pictures for unturned ones: it adds the motion to what it sees."""

    def cost(self, context, goal, objective):
        now = context.latents[-1]

        def energies(actions):
            return objective.distance(now + actions.sum(1)[:, :3, None], goal.latents)

        return energies


def calibrated(matrix, moves=16):
    made = list(explore(TurnedPictures(matrix), moves, 0.06, seed=1))
    inferred = torch.stack([infer_motion(Straight(), move, L2(), seed=0) for move in made])
    return fit_axes(torch.stack([move.action[XY] for move in made]), inferred, **ABOUT)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (30, 1.0), (-40, 0.8), (120, 1.2)])
def test_a_turned_camera_is_found(degrees, scale):
    axes = calibrated(turn(degrees, scale))
    assert axes.angle == pytest.approx(degrees, abs=2)
    assert axes.scale == pytest.approx(scale, abs=0.04)
    assert axes.residual < 0.003
    assert axes.r2 > 0.98
    assert axes.moves == 16


def test_the_arm_stays_in_its_box_at_its_height():
    mover = TurnedPictures()
    moves = list(explore(mover, 60, 0.05, seed=3))
    ends = torch.stack([move.before.states[-1, :3] + move.action[:3] for move in moves])
    away = ends - HOME[:3]
    assert away[:, XY].abs().max() <= 0.05
    assert away[:, XY].abs().max() > 0.03
    assert away[:, 2].abs().max() < 1e-6
    lengths = torch.stack(mover.actions)[:, XY].norm(dim=-1)
    assert lengths.max() <= 0.07
    assert lengths.min() >= 0.02
    assert (torch.stack(mover.actions)[:, 3:] == 0).all()


def test_motions_are_those_of_their_seed():
    first, again, other = (
        [move.action for move in explore(TurnedPictures(), 8, 0.06, seed)] for seed in (1, 1, 2)
    )
    assert torch.equal(torch.stack(first), torch.stack(again))
    assert not torch.equal(torch.stack(first), torch.stack(other))


def test_the_fit_is_least_squares():
    """Against the normal equations, with noise that no matrix explains."""
    generator = torch.Generator().manual_seed(0)
    executed = 0.04 * torch.randn(30, 2, generator=generator, dtype=torch.float64)
    inferred = executed @ turn(25).mT
    inferred += 0.005 * torch.randn(30, 2, generator=generator, dtype=torch.float64)
    axes = fit_axes(executed, inferred, **ABOUT)
    expected = torch.linalg.inv(executed.mT @ executed) @ executed.mT @ inferred
    assert torch.tensor(axes.matrix, dtype=torch.float64).allclose(expected.mT)
    assert axes.residual == pytest.approx(0.005 * math.sqrt(2), rel=0.3)


# --- what means nothing is refused ---------------------------------------------------------


def random_motions(count=20, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 0.04 * torch.randn(count, 2, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(
    ("executed", "inferred", "complaint"),
    [
        (random_motions(5), random_motions(5), "5 moves, expected at least"),
        (0.1 * random_motions(), random_motions(), "moved only 0.[0-9] cm .* /diagnostics"),
        (random_motions() * torch.tensor([1.0, 0.0]), random_motions(), "moved only 0.0 cm"),
        (random_motions(), random_motions(seed=1), "does not see these motions"),
        (random_motions(), random_motions() * torch.tensor([1.0, -1.0]), "mirrored"),
        (random_motions(), random_motions() * torch.tensor([1.0, 0.2]), "5.0 times longer"),
    ],
)
def test_a_bad_fit_is_refused(executed, inferred, complaint):
    with pytest.raises(ValueError, match=complaint):
        fit_axes(executed, inferred, **ABOUT)


def test_an_arm_that_does_not_move_is_refused():
    moves = list(explore(TurnedPictures(stuck=True), FEWEST_MOVES, 0.06, seed=0))
    executed = torch.stack([move.action[XY] for move in moves])
    with pytest.raises(ValueError, match=r"moved only 0\.0 cm"):
        fit_axes(executed, executed, **ABOUT)


@pytest.mark.parametrize(
    ("moves", "box", "complaint"),
    [(FEWEST_MOVES - 1, 0.06, "moves is 7"), (9, 0.01, "box is 0.01 m"), (9, 0.5, "box is 0.5 m")],
)
def test_senseless_numbers_are_refused(moves, box, complaint):
    with pytest.raises(ValueError, match=complaint):
        next(explore(TurnedPictures(), moves, box, seed=0))


# --- the planner's side --------------------------------------------------------------------


def test_the_model_is_asked_about_the_motion_that_it_sees():
    """Through the matrix, the action that really leads to the goal has the least energy."""
    there = turn(35, 0.9)
    mover = TurnedPictures(there)
    action = torch.tensor([0.05, -0.03, 0.02, 0.0, 0.0, 0.1, 0.5])
    now = mover.look()
    mover.state = apply_action(mover.state, action)
    goal = Goal(latents=mover.look().latents[-1])

    candidates = torch.stack((action, torch.zeros(7)))[:, None]  # [2, 1, 7]
    before = candidates.clone()
    plain = Straight().cost(now, goal, L1())(candidates)
    turned = AxesTurned(Straight(), axes_of(there)).cost(now, goal, L1())(candidates)
    assert turned[0] < 1e-6 < plain[0]
    assert turned[1] == plain[1]
    assert torch.equal(candidates, before)


def test_only_x_and_y_are_turned():
    class Recorder:
        def cost(self, context, goal, objective):
            return lambda actions: actions.sum((1, 2)) + actions[:, 0, 3]

    actions = torch.rand(5, 2, 7, requires_grad=True)
    cost = AxesTurned(Recorder(), axes_of(turn(90))).cost(None, None, None)
    expected = actions.clone()
    expected[..., 0], expected[..., 1] = -actions[..., 1], actions[..., 0]
    assert torch.allclose(cost(actions), expected.sum((1, 2)) + actions[:, 0, 3], atol=1e-6)
    cost(actions).sum().backward()
    assert actions.grad.abs().sum() > 0  # gradient solvers reach through


# --- the file ------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written(tmp_path):
    path, axes = tmp_path / "axes.yaml", axes_of(turn(-31.3, 0.9))
    write_axes(path, axes)
    assert load_axes(path) == axes
    assert "turned by -31.3 degrees and 0.90 times" in path.read_text()


def test_axes_of_other_weights_are_refused():
    axes = axes_of(turn(10))
    axes.check_weights("tiny-1")
    with pytest.raises(UserError, match="found with the weights tiny-1, the planner has tiny-2"):
        axes.check_weights("tiny-2")


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        (
            "moves: 24",
            "motions: 24",
            "motions is unknown.*make them anew",
        ),
        ("- - 1.0", "- - one", r"matrix\[0\]\[0\] is 'one', expected a number"),
        ("- - 1.0", "- - .nan", r"matrix\[0\]\[0\] is nan, expected a number"),
        ("- - 1.0\n", "- ", "matrix"),
        ("moves: 24", "moves: 24\nmoves: 24", "moves is given twice"),
        ("matrix:", "matrix: [", "not YAML"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, before, after, complaint):
    path = tmp_path / "axes.yaml"
    write_axes(path, axes_of(turn(0)))
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(UserError, match=complaint):
        load_axes(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_axes(tmp_path / "nowhere.yaml")
