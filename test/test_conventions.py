"""State and action algebra: exact against scipy, a recording of a real arm, and the gate's."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from vjepa_gate import conventions as gate_conventions
from vjepa_gate.rotations import from_euler, to_euler
from vjepa_ros import conventions as c

RECORDED_PAIR = Path(__file__).parents[2] / "shared" / "data" / "franka_example_traj.npz"
EXACT = {"atol": 1e-12, "rtol": 0}


def rotations(count: int, seed: int = 0) -> Rotation:
    return Rotation.random(count, rng=np.random.default_rng(seed))


def states(count: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(
        np.hstack(
            (
                rng.uniform(-0.8, 0.8, (count, 3)),
                rotations(count, seed).as_euler("xyz"),
                rng.uniform(0, 1, (count, 1)),
            )
        )
    )


def tensor(array) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


# --- rotations ---------------------------------------------------------------------------


def test_euler_angles_are_scipys_extrinsic_xyz():
    r = rotations(5000)
    torch.testing.assert_close(
        c.euler_to_matrix(tensor(r.as_euler("xyz"))), tensor(r.as_matrix()), **EXACT
    )
    torch.testing.assert_close(
        c.matrix_to_euler(tensor(r.as_matrix())), tensor(r.as_euler("xyz")), atol=1e-10, rtol=0
    )


def test_quaternions_are_scipys_scalar_last():
    r = rotations(5000)
    torch.testing.assert_close(
        c.quaternion_to_matrix(tensor(r.as_quat())), tensor(r.as_matrix()), **EXACT
    )
    torch.testing.assert_close(
        c.matrix_to_quaternion(tensor(r.as_matrix())),
        tensor(r.as_quat(canonical=True)),
        atol=1e-10,
        rtol=0,
    )


def test_half_turns_keep_their_axis():
    """Where w is 0 the quaternion must come from its largest component, not from w."""
    axes = np.vstack((np.eye(3), rotations(500).apply([0, 0, 1])))
    matrices = Rotation.from_rotvec(math.pi * axes).as_matrix()
    back = c.quaternion_to_matrix(c.matrix_to_quaternion(tensor(matrices)))
    torch.testing.assert_close(back, tensor(matrices), atol=1e-12, rtol=0)


@pytest.mark.parametrize("pitch", [math.pi / 2, -math.pi / 2])
@pytest.mark.parametrize("off", [0, 1e-12, 1e-9, 1e-6, 1e-4])
def test_gimbal_edge_keeps_the_rotation(pitch, off):
    rng = np.random.default_rng(1)
    euler = np.stack(
        (
            rng.uniform(-3, 3, 200),
            np.full(200, pitch - np.sign(pitch) * off),
            rng.uniform(-3, 3, 200),
        ),
        -1,
    )
    matrices = tensor(Rotation.from_euler("xyz", euler).as_matrix())
    back = c.euler_to_matrix(c.matrix_to_euler(matrices))
    # Nearer to the edge than the float can tell, the rotation itself is known to ~1e-7 only.
    torch.testing.assert_close(back, matrices, atol=5e-4 if off else 1e-7, rtol=0)
    assert (c.matrix_to_euler(matrices).abs() <= math.pi + 1e-9).all()


def test_unwrap_removes_the_jump_of_a_gripper_that_points_down():
    roll = torch.tensor([3.13, -3.14, 3.12, -3.10, -3.0], dtype=torch.float64)
    euler = torch.stack((roll, torch.zeros(5), torch.zeros(5)), -1)
    unwrapped = c.unwrap_euler(euler)
    np.testing.assert_allclose(unwrapped[:, 0], np.unwrap(roll.numpy()), atol=1e-12)
    assert unwrapped.diff(dim=0).abs().max() < 0.11
    np.testing.assert_allclose(c.euler_to_matrix(unwrapped), c.euler_to_matrix(euler), atol=1e-12)


# --- states and actions ------------------------------------------------------------------


def test_action_turns_about_the_base_axes():
    """A quarter turn about the base's z, of a gripper that points down."""
    state = torch.tensor([0.4, 0, 0.3, math.pi, 0, 0, 0], dtype=torch.float64)
    action = torch.tensor([0, 0, 0, 0, 0, math.pi / 2, 0], dtype=torch.float64)
    expected = Rotation.from_euler("z", 90, degrees=True) * Rotation.from_euler("x", math.pi)
    turned = c.euler_to_matrix(c.apply_action(state, action)[c.ROTATION])
    np.testing.assert_allclose(turned, expected.as_matrix(), atol=1e-12)


def test_actions_equal_scipys_one_by_one():
    before, after = states(2000, 1), states(2000, 2)
    actions = c.action_between(before, after)
    turn = (
        Rotation.from_euler("xyz", after[:, 3:6]) * Rotation.from_euler("xyz", before[:, 3:6]).inv()
    )
    np.testing.assert_allclose(actions[:, 3:6], turn.as_euler("xyz"), atol=1e-9)
    np.testing.assert_allclose(actions[:, :3], after[:, :3] - before[:, :3], atol=1e-15)
    np.testing.assert_allclose(actions[:, 6], after[:, 6] - before[:, 6], atol=1e-15)


def test_applying_the_action_between_two_states_gives_the_second():
    before, after = states(5000, 3), states(5000, 4)
    reached = c.apply_action(before, c.action_between(before, after))
    torch.testing.assert_close(reached, after, atol=1e-9, rtol=0)


def test_pose_round_trip():
    state = states(5000)
    torch.testing.assert_close(
        c.state_from_pose(*c.pose_from_state(state)), state, atol=1e-9, rtol=0
    )


def test_trajectories_and_batches_have_any_number_of_dimensions():
    trajectory = states(24).reshape(2, 3, 4, 7)
    actions = c.actions_of(trajectory)
    assert actions.shape == (2, 3, 3, 7)
    one = c.action_between(trajectory[1, 2, 1], trajectory[1, 2, 2])
    torch.testing.assert_close(actions[1, 2, 1], one, **EXACT)


def test_float32_stays_float32_and_close():
    state, action = states(500).float(), c.actions_of(states(501)).float()
    reached = c.apply_action(state, action)
    assert reached.dtype == torch.float32
    precise = c.apply_action(state.double(), action.double())
    rotation = c.euler_to_matrix(reached[:, 3:6]) - c.euler_to_matrix(precise[:, 3:6]).float()
    assert rotation.abs().max() < 1e-5


def test_gradients_flow_through_a_rollout_of_poses():
    action = torch.full((7,), 0.01, dtype=torch.float64, requires_grad=True)
    state = states(1)[0]
    state[c.GRIPPER] = 0.5
    for _ in range(3):
        state = c.apply_action(state, action)
    state.sum().backward()
    np.testing.assert_allclose(action.grad[:3], 3.0)
    assert action.grad.isfinite().all()
    assert action.grad[6] == 3.0


def test_closing_is_positive_and_stays_in_range():
    state = states(1)[0]
    state[c.GRIPPER] = 0.9
    action = torch.zeros(7, dtype=torch.float64)
    action[c.GRIPPER] = 0.5
    assert c.apply_action(state, action)[c.GRIPPER] == 1.0
    assert c.apply_action(state, -action)[c.GRIPPER] == pytest.approx(0.4)


def test_width_and_closedness():
    widths = torch.tensor([0.08, 0.04, 0.0])
    torch.testing.assert_close(c.closedness_from_width(widths), torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(c.width_from_closedness(c.closedness_from_width(widths)), widths)
    assert c.closedness_from_width(torch.tensor(0.0855), max_width=0.085) == 0


# --- the arm gate's own, in numpy ----------------------------------------------------------

numbers = st.floats(-3, 3)
angles = st.one_of(st.floats(-math.pi, math.pi), st.sampled_from([0, math.pi / 2, -math.pi / 2]))
closednesses = st.floats(0, 1)
states_7 = st.tuples(numbers, numbers, numbers, angles, angles, angles, closednesses)
actions_7 = st.tuples(numbers, numbers, numbers, angles, angles, angles, st.floats(-1, 1))


@given(st.lists(st.tuples(states_7, actions_7), min_size=1, max_size=4))
def test_the_gate_goes_where_the_planner_imagines_it(pairs):
    before, actions = (np.array(rows) for rows in zip(*pairs, strict=True))
    imagined = c.apply_action(torch.from_numpy(before), torch.from_numpy(actions))
    commanded = np.array(
        [gate_conventions.apply_action(*rows) for rows in zip(before, actions, strict=True)]
    )
    np.testing.assert_allclose(commanded[:, :3], imagined[:, :3], atol=1e-12)
    np.testing.assert_allclose(commanded[:, 6], imagined[:, 6], atol=1e-12)
    # As rotations: near the gimbal edge the same one has many angles.
    np.testing.assert_allclose(
        c.euler_to_matrix(torch.from_numpy(commanded[:, 3:6])),
        c.euler_to_matrix(imagined[:, 3:6]),
        atol=1e-6,
    )


@given(st.tuples(angles, angles, angles))
def test_the_gate_turns_by_the_same_angles(euler):
    quaternion = from_euler(np.array(euler))
    matrix = c.euler_to_matrix(torch.tensor(euler, dtype=torch.float64))
    of_the_gate = c.quaternion_to_matrix(torch.tensor(quaternion, dtype=torch.float64))
    np.testing.assert_allclose(of_the_gate, matrix, atol=1e-12)
    back = c.euler_to_matrix(torch.tensor(to_euler(quaternion), dtype=torch.float64))
    np.testing.assert_allclose(back, matrix, atol=1e-6)
    if abs(matrix[2, 0]) < 0.999:
        np.testing.assert_allclose(
            np.exp(1j * np.array(to_euler(quaternion))),  # pi and -pi are one angle
            np.exp(1j * c.matrix_to_euler(matrix).numpy()),
            atol=1e-9,
        )


@given(closednesses, st.floats(0.001, 0.5))
def test_the_gate_means_the_same_by_a_width(closedness, max_width):
    width = gate_conventions.width_from_closedness(closedness, max_width)
    measured = torch.tensor(width, dtype=torch.float64)
    asked = torch.tensor(closedness, dtype=torch.float64)
    assert c.width_from_closedness(asked, max_width) == width
    back = gate_conventions.closedness_from_width(width, max_width)
    assert c.closedness_from_width(measured, max_width) == back == pytest.approx(closedness)


# --- what must not pass ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: c.closedness_from_width(torch.tensor(0.5)), "not a closedness"),
        (lambda: c.closedness_from_width(torch.tensor(float("nan"))), "gripper width nan"),
        (lambda: c.closedness_from_width(torch.tensor(-0.01)), "gripper width -0.01"),
        (lambda: c.closedness_from_width(torch.tensor(0.04), max_width=80.0), "max_width is 80"),
        (lambda: c.width_from_closedness(torch.tensor(1.5)), "closedness 1.5"),
        (lambda: c.check_state(torch.tensor([0.4, 0, 0.3, 180, 0, 0, 0])), "not degrees"),
        (lambda: c.check_state(torch.tensor([400, 0, 300, 3.1, 0, 0, 0.0])), "not millimetres"),
        (lambda: c.check_state(torch.tensor([0.4, 0, 0.3, 3.1, 0, 0, 80])), "not a width"),
        (lambda: c.check_state(torch.tensor([0.4, 0, 0.3, 3.1, 0, 0, math.nan])), "NaN"),
        (lambda: c.check_state(torch.zeros(3, 6)), r"shape \[3, 6\], expected \[\.\.\., 7\]"),
        (lambda: c.check_action(torch.tensor([0, 0, 0, 0, 0, 45.0, 0])), "not degrees"),
        (lambda: c.check_action(torch.tensor([75.0, 0, 0, 0, 0, 0, 0])), "not millimetres"),
        (lambda: c.check_action(torch.tensor([0, 0, 0, 0, 0, 0, 2.0])), "positive to close"),
        (lambda: c.check_quaternion(torch.zeros(4)), "all-zero"),
        (lambda: c.quaternion_to_matrix(torch.tensor([0, 0, 90.0, 0])), "norm 90"),
        (lambda: c.state_from_pose(torch.zeros(3), torch.zeros(4), torch.tensor(0.0)), "norm 0"),
    ],
)  # fmt: skip
def test_wrong_units_are_refused_by_name(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_a_recorded_franka_step():
    """The reference's example: a real arm lifts a cup by 12.8 cm in one step."""
    if not RECORDED_PAIR.exists():
        pytest.skip(f"no recording at {RECORDED_PAIR}")
    recorded = tensor(np.load(RECORDED_PAIR)["states"][0].astype(np.float64))
    c.check_state(recorded)
    action = c.actions_of(recorded)[0]
    c.check_action(action)
    assert action[:3].norm() == pytest.approx(0.128, abs=0.001)
    # The roll's sign may flip between the frames: the turn itself is small.
    assert action[3:6].abs().max() < 0.3
    torch.testing.assert_close(c.apply_action(recorded[0], action), recorded[1], atol=1e-9, rtol=0)
    torch.testing.assert_close(
        c.state_from_pose(*c.pose_from_state(recorded)), recorded, atol=1e-9, rtol=0
    )
