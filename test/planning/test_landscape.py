import math

import numpy as np
import pytest
import torch

from vjepa_ros.images import decode_picture
from vjepa_ros.planning.landscape import AXES, Mark, measure_landscape, plot_landscape
from vjepa_ros.planning.solvers import PlanningError

RECORDED = torch.tensor([0.05, -0.02, 0.03, 0.1, 0, 0, 0.3])


def bowl(actions):
    """Least where an action is the recorded one."""
    assert actions.shape[1:] == (1, 7)
    return (actions[:, 0] - RECORDED).square().sum(-1)


@pytest.mark.parametrize("axes", [("dx",), ("gripper",), ("dx", "dz"), ("gripper", "dy")])
def test_energies_are_those_of_the_actions_on_the_grid(axes):
    extents = [0.5 if axis == "gripper" else 0.1 for axis in axes]
    landscape = measure_landscape(bowl, axes, extents, 11, RECORDED)
    assert landscape.energies.shape == (11,) * len(axes)
    for index in np.ndindex(*landscape.energies.shape):
        action = RECORDED.clone()
        for axis, extent, i in zip(axes, extents, index, strict=True):
            action[AXES[axis]] = -extent + 2 * extent * i / 10
        expected = bowl(action[None, None])[0]
        torch.testing.assert_close(landscape.energies[index], expected)


def test_the_least_is_the_grid_point_nearest_to_the_optimum():
    landscape = measure_landscape(bowl, ("dy", "dx"), (0.1, 0.1), 21, RECORDED)
    torch.testing.assert_close(landscape.least, RECORDED)
    coarse = measure_landscape(bowl, ("dx",), (0.12,), 5, RECORDED).least
    torch.testing.assert_close(coarse, torch.tensor([0.06, -0.02, 0.03, 0.1, 0, 0, 0.3]))


def test_points_without_a_finite_energy_are_counted_and_never_the_least():
    def half(actions):
        return torch.where(actions[:, 0, 0] > 0, torch.nan, bowl(actions))

    landscape = measure_landscape(half, ("dx", "dy"), (0.1, 0.1), 5, RECORDED)
    assert landscape.dropped == 2 * 5
    assert landscape.least[0] <= 0
    with pytest.raises(PlanningError, match="each of the 5 candidates"):
        measure_landscape(lambda actions: bowl(actions) * math.nan, ("dx",), (0.1,), 5, RECORDED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((("dx", "dx"), (0.1, 0.1), 5, RECORDED), "axes is dx, dx"),
        ((("roll",), (0.1,), 5, RECORDED), "axes is roll, expected one or two of dx, dy, dz"),
        ((("dx", "dy", "dz"), (0.1,) * 3, 5, RECORDED), "axes is dx, dy, dz"),
        ((("dx",), (75.0,), 5, RECORDED), r"extents is \[75.0\]"),
        ((("dx",), (0.1, 0.1), 5, RECORDED), "expected one for each axis"),
        ((("dx",), (0.1,), 1, RECORDED), "points is 1"),
        ((("dx",), (0.1,), 5, RECORDED[None]), r"at has shape \[1, 7\]"),
        ((("dx",), (0.1,), 5, RECORDED * torch.nan), "action holds NaN"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        measure_landscape(bowl, *arguments)


@pytest.mark.parametrize("axes", [("dx",), ("dx", "dz")])
@pytest.mark.parametrize("cost", [bowl, lambda actions: torch.ones(len(actions))])
def test_the_picture_shows_the_actions_where_they_are(tmp_path, axes, cost):
    landscape = measure_landscape(cost, axes, (0.1,) * len(axes), 9, RECORDED)
    camera = np.zeros((48, 64, 3), np.uint8)

    def drawn(name, *marks):
        path = tmp_path / name
        pictures = {"now": camera, "goal": camera}
        plot_landscape(
            landscape, path, marks=marks, pictures=pictures, title="title", energy_name="energy"
        )
        return decode_picture(path.read_bytes()).astype(int)

    def at(dx):
        action = torch.tensor([dx, 0, 0, 0, 0, 0, 0.0])
        return Mark(kind="planned", action=action, energy=1.0)

    # Between two pictures only the mark moves: to the right, as dx grows.
    left, right = drawn("left.png", at(-0.05)), drawn("right.png", at(0.05))
    orange = [((picture - [255, 127, 14]) ** 2).sum(-1) < 500 for picture in (left, right)]
    moved_from = np.nonzero(orange[0] & ~orange[1])
    moved_to = np.nonzero(orange[1] & ~orange[0])
    assert min(len(moved_from[0]), len(moved_to[0])) > 20
    assert moved_from[1].max() < moved_to[1].min()
    assert abs(moved_from[0].mean() - moved_to[0].mean()) < 1
