"""The stand-in for a person asks for what leads to a waypoint, in the lab's own hand."""

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("rclpy", reason="ROS is not here")

from vjepa_ros.conventions import apply_action, state_from_pose
from vjepa_sim.expert import STRIDE, Waypoint
from vjepa_sim.geometry import pointing_down

ROOT = Path(__file__).parents[2]


@pytest.fixture
def towards(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import teleoperation

    return teleoperation.towards


def state(position, closedness, yaw=0.0):
    turned = torch.from_numpy(pointing_down(yaw))
    return state_from_pose(torch.tensor(position).double(), turned, torch.tensor(closedness))


def test_a_near_waypoint_is_reached_by_one_action(towards):
    aim = Waypoint(
        name="around",
        position=np.array((0.50, 0.02, 0.10)),
        quaternion_xyzw=pointing_down(0.1),
        width=0.035,
    )
    here = state((0.52, 0.0, 0.12), 1.0)
    there = apply_action(here.double(), towards(here, aim, 0.07))
    np.testing.assert_allclose(there[:3], aim.position, atol=1e-9)
    assert there[6] == pytest.approx(0.5)


def test_a_far_one_takes_strides_and_an_open_hand_is_as_open_as_it_can_be(towards):
    aim = Waypoint(
        name="above",
        position=np.array((0.40, 0.20, 0.30)),
        quaternion_xyzw=pointing_down(),
        width=0.08,
    )
    action = towards(state((0.60, -0.20, 0.10), 0.25), aim, 0.07)
    assert action[:3].norm() == pytest.approx(STRIDE)
    assert action[6] == pytest.approx(-0.25)
