"""Calibration's arm over ROS: through the arm gate, alone, and only if there is one."""

import numpy as np
import pytest
import torch

from vjepa_gate.robots import load_robot
from vjepa_ros.conventions import action_between
from vjepa_ros.nodes import mover

SLOW = {
    "max_image_age": 20.0,
    "max_camera_age": 20.0,
    "max_command_age": 20.0,
    "max_state_age": 5.0,
}


def action(x, y):
    return torch.tensor([x, y, 0, 0, 0, 0, 0], dtype=torch.float64)


def see(rgb):
    assert rgb.shape == (2, 2, 3)
    return torch.full((4, 8), float(rgb.sum()))


def running_arm():
    return mover.running_arm(load_robot("sim"), see, period=0.25)


def test_the_arm_goes_where_it_is_told(bench, active_gate, wait_until):
    active_gate(**SLOW)
    bench.node.destroy_publisher(bench.deltas)
    with running_arm() as arm:
        seen = [arm.look()]
        while bench.position[0] < 0.51:  # lost, until the gate has found this node
            arm.move(action(0.02, 0.0))
            seen = [arm.look()]
        for x, y in ((0.05, -0.03), (-0.06, 0.02)):
            wanted = np.add(bench.position, (x, y, 0.0))
            arm.move(action(x, y))
            wait_until(
                lambda wanted=wanted: np.allclose(bench.position, wanted, atol=1e-3), "there"
            )
            seen.append(arm.look())
            moved = action_between(seen[-2].states[-1], seen[-1].states[-1])
            assert moved[:3].tolist() == pytest.approx((x, y, 0.0), abs=2e-3)
    assert seen[0].latents.shape == (1, 4, 8)
    assert not torch.equal(seen[0].latents, seen[1].latents)  # the camera's newest picture
    assert bench.gripper_goals == []


def test_beside_a_planner_nothing_is_moved(bench, active_gate, wait_until):
    active_gate(**SLOW)
    with running_arm() as arm:
        wait_until(lambda: arm._node.count_publishers("ee_delta") == 2, "discovered")
        with pytest.raises(ValueError, match="another node publishes on /ee_delta"):
            arm.move(action(0.0, 0.0))


def test_without_a_gate_it_says_so(bench, monkeypatch):
    monkeypatch.setattr(mover, "_PATIENCE", 0.5)
    with pytest.raises(ValueError, match="no arm gate on /ee_delta"), running_arm():
        pass


def test_without_pictures_it_says_so(bench, active_gate, monkeypatch):
    active_gate(**SLOW)
    with running_arm() as arm:
        bench.alive.discard("camera")
        monkeypatch.setattr(mover, "_PATIENCE", 0.5)
        arm._due = float("inf")
        with pytest.raises(ValueError, match="no new image on camera/image_raw"):
            arm.look()
