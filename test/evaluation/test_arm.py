"""The simulated arm behind the arm gate's core: what is carried out, and what is not."""

import numpy as np
import pytest
import torch

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

from vjepa_gate.robots import load_robot
from vjepa_ros.evaluation.arm import GatedArm
from vjepa_sim.scene import SceneConfig

ROBOT = load_robot("sim")


@pytest.fixture
def arm(scene):
    scene.config = SceneConfig(randomise=frozenset())
    scene.reset(0)
    return GatedArm(scene, ROBOT)


def action(*values):
    return torch.tensor(values)


def test_an_action_ends_where_it_says(scene, arm):
    before = arm.look()
    arm.carry_out(action(0.05, -0.02, 0.03, 0, 0, 0, 0.5), 0.25)
    now = arm.look()
    assert now.position - before.position == pytest.approx((0.05, -0.02, 0.03), abs=0.005)
    assert now.stamp - before.stamp == pytest.approx(0.35, abs=0.02)
    arm.rest(0.5)
    assert arm.look().width == pytest.approx(0.04, abs=2e-3)
    assert arm.refused == []


def test_small_changes_leave_the_fingers_alone(scene, arm):
    before = scene.robot.target_width
    arm.look()
    arm.carry_out(action(0, 0, 0, 0, 0, 0, 0.9 * ROBOT.gripper.hysteresis), 0.25)
    assert scene.robot.target_width == before


def test_no_action_leaves_the_limits_of_the_arm_gate(scene, arm):
    start = arm.look().position
    arm.carry_out(action(0, 0, -0.9, 0, 0, 0, 0), 0.25)
    arm.rest(1.0)
    fallen = start - arm.look().position
    assert np.linalg.norm(fallen) == pytest.approx(ROBOT.limits.max_step, abs=0.005)
    for _ in range(6):
        arm.look()
        arm.carry_out(action(0, 0, -0.1, 0, 0, 0, 0), 0.25)
    arm.rest(1.0)
    assert scene.robot.target_position[2] == pytest.approx(ROBOT.limits.workspace_low[2], abs=1e-6)


def test_what_the_gate_refuses_is_not_carried_out_and_said(scene, arm):
    arm.look()
    before = scene.robot.target_position.copy()
    arm.carry_out(action(float("nan"), 0, 0, 0, 0, 0, 0), 0.25)
    assert np.allclose(scene.robot.target_position, before)
    assert len(arm.refused) == 1
    assert "NaN" in arm.refused[0]
    # From a picture that is too old, too.
    arm.rest(3.0)
    arm.carry_out(action(0.05, 0, 0, 0, 0, 0, 0), 0.25)
    assert "old" in arm.refused[1]
