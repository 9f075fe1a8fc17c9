import numpy as np
import pytest

from vjepa_sim import kinematics
from vjepa_sim.bullet import Bullet
from vjepa_sim.geometry import (
    matrix_to_quaternion,
    pointing_down,
    quaternion_to_matrix,
    rotation_about,
    rotation_vector,
)
from vjepa_sim.robot import ASSETS

JOINTS = np.array((0.3, -0.5, 0.2, -2.1, -0.4, 1.9, 0.6))


def test_forward_agrees_with_the_urdf():
    bullet = Bullet()
    robot = bullet.loadURDF(str(ASSETS / "panda" / "panda.urdf"), useFixedBase=True)
    names = {
        bullet.getJointInfo(robot, index)[1].decode(): index
        for index in range(bullet.getNumJoints(robot))
    }
    for index, angle in enumerate(JOINTS):
        bullet.resetJointState(robot, index, angle)
    link = bullet.getLinkState(robot, names["panda_hand_joint"], computeForwardKinematics=True)
    hand = quaternion_to_matrix(np.array(link[5]))
    pose, _ = kinematics.forward(JOINTS)
    np.testing.assert_allclose(pose[:3, :3], hand, atol=1e-6)
    tcp = np.array(link[4]) + hand[:, 2] * kinematics.TCP_OFFSET
    np.testing.assert_allclose(pose[:3, 3], tcp, atol=1e-6)
    bullet.close()


def test_jacobian_is_the_derivative_of_forward():
    pose, jacobian = kinematics.forward(JOINTS)
    for joint in range(kinematics.JOINTS):
        nudge = np.zeros(7)
        nudge[joint] = 1e-6
        moved, _ = kinematics.forward(JOINTS + nudge)
        turn = rotation_vector(moved[:3, :3] @ pose[:3, :3].T)
        numeric = np.concatenate((moved[:3, 3] - pose[:3, 3], turn)) / 1e-6
        np.testing.assert_allclose(jacobian[:, joint], numeric, atol=1e-5)


@pytest.mark.parametrize("yaw", [-0.6, 0.0, 0.8])
def test_solve_reaches_the_table_in_any_yaw(yaw):
    rotation = quaternion_to_matrix(pointing_down(yaw))
    for position in ((0.35, -0.2, 0.05), (0.6, 0.2, 0.02), (0.45, 0.0, 0.4)):
        pose, _ = kinematics.forward(kinematics.solve(np.array(position), rotation))
        np.testing.assert_allclose(pose[:3, 3], position, atol=5e-4)
        np.testing.assert_allclose(pose[:3, :3], rotation, atol=1e-3)


def test_solve_names_what_is_out_of_reach():
    with pytest.raises(ValueError, match=r"cannot reach \[2\.0, 0\.0, 0\.5\]"):
        kinematics.solve(np.array((2.0, 0.0, 0.5)), np.eye(3))


def test_rotations_go_there_and_back():
    rng = np.random.default_rng(0)
    for _ in range(50):
        vector = rng.normal(size=3)
        vector *= rng.uniform(0, 3.1) / np.linalg.norm(vector)
        matrix = rotation_about(vector)
        np.testing.assert_allclose(rotation_vector(matrix), vector, atol=1e-7)
        np.testing.assert_allclose(quaternion_to_matrix(matrix_to_quaternion(matrix)), matrix)


def test_pointing_down_turns_the_fingers_with_yaw():
    matrix = quaternion_to_matrix(pointing_down(0.3))
    np.testing.assert_allclose(matrix[:, 2], (0, 0, -1), atol=1e-12)
    np.testing.assert_allclose(matrix[:, 0], (np.cos(0.3), np.sin(0.3), 0), atol=1e-12)
