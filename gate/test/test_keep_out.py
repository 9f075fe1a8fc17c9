"""Hand, forearm and joints stay where they may be, in words that name what is in the way."""

import dataclasses

import numpy as np
import pytest

from vjepa_gate.admission import Refused
from vjepa_gate.keep_out import KeepOut
from vjepa_gate.kinematics import Chain
from vjepa_gate.pose import apart
from vjepa_gate.robots import Box, load_robot

fr3 = pytest.importorskip("vjepa_sim.fr3.description", reason="vjepa_sim is not here")
kinematics = pytest.importorskip("vjepa_sim.kinematics")

NAMES = fr3.ARM_JOINTS
TABLE = Box(low=(-1.0, -1.0, -0.5), high=(2.0, 1.0, 0.0))
FAR, UP = np.array((0.5, 0.0, 0.3)), np.array((0.0, 0.0, 0.1))
SHELF = Box(low=(0.3, 0.2, 0.0), high=(0.8, 0.5, 0.3))


@pytest.fixture(scope="module")
def urdf():
    return fr3.robot_description(kinematics.TCP_OFFSET)


@pytest.fixture(scope="module")
def chain(urdf):
    return Chain(urdf, "base", "fr3_hand_tcp")


def robot_with(**boxes):
    return dataclasses.replace(load_robot("franka_crisp"), keep_out=boxes or None)


@pytest.fixture
def knowing(urdf, chain):
    """A KeepOut that has heard description and joints; and the tool's pose for them."""

    def make(joints=kinematics.HOME, **boxes):
        keep_out = KeepOut(robot_with(**boxes))
        keep_out.observe_description(urdf)
        keep_out.observe_joints(("elbow", *NAMES), (9.0, *joints))
        return keep_out, chain.frames(np.array(joints))[2]

    return make


def test_the_arm_of_the_urdf_is_where_the_simulated_one_is(chain):
    rng = np.random.default_rng(0)
    assert tuple(joint.name for joint in chain.moving) == NAMES
    for _ in range(20):
        joints = rng.uniform(kinematics.LOWER, kinematics.UPPER)
        pose, _ = kinematics.forward(joints)
        frames, _, tool = chain.frames(joints)
        np.testing.assert_allclose(tool.position, pose[:3, 3], atol=1e-6)
        assert tool.state(0.0)[:3] == pytest.approx(pose[:3, 3])
        assert len(frames) == 7


def test_joints_for_a_pose(chain):
    start = kinematics.HOME
    wanted = chain.frames(start + 0.05)[2]
    joints, missing = chain.solve(wanted, start)
    assert missing < 1e-3
    assert apart(chain.frames(joints)[2], wanted) == pytest.approx((0, 0), abs=1e-3)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<robot", "is no XML"),
        ("<robot/>", "no way from base to fr3_hand_tcp"),
        (
            '<robot><joint name="a" type="fixed"><parent link="fr3_hand_tcp"/>'
            '<child link="fr3_hand_tcp"/></joint></robot>',
            "no way from base",
        ),
    ],
)
def test_a_description_of_another_arm_is_refused(text, why):
    with pytest.raises(ValueError, match=why):
        Chain(text, "base", "fr3_hand_tcp")


def test_a_box_keeps_the_hand_out_by_its_width(make_pose):
    """The palm is 8 cm to each side of the tool, along y."""
    keep_out = KeepOut(robot_with(shelf=SHELF))
    inside = keep_out.refusal(make_pose(y=0.0, z=0.2), make_pose(y=0.1, z=0.2))
    assert inside == "the hand would be 15 mm inside shelf (keep_out)"
    assert keep_out.refusal(make_pose(y=0.0, z=0.2), make_pose(y=0.08, z=0.2)) == ""
    assert keep_out.refusal(make_pose(y=0.1, z=0.4), make_pose(y=0.1, z=0.38)) == ""


def test_the_way_to_a_goal_must_be_free_too(make_pose):
    post = Box(low=(0.49, -0.01, 0.0), high=(0.51, 0.01, 0.3))
    keep_out = KeepOut(robot_with(post=post))
    assert "post" in keep_out.refusal(make_pose(x=0.43, z=0.28), make_pose(x=0.57, z=0.28))


def test_a_hand_that_is_in_a_box_may_leave_it(make_pose):
    keep_out = KeepOut(robot_with(table=TABLE))
    pressed = make_pose(z=-0.02)
    deeper = keep_out.refusal(pressed, make_pose(z=-0.04))
    assert deeper == "the hand would be 30 mm inside table (keep_out)"
    assert keep_out.refusal(pressed, make_pose(z=0.05)) == ""
    assert keep_out.refusal(make_pose(z=0.05), make_pose(z=0.005)) == ""


def test_a_joint_is_kept_inside_its_limits(knowing):
    joints = kinematics.HOME.copy()
    joints[6] = 2.75  # of 2.97, and the hand is turned on
    keep_out, tool = knowing(joints)
    further, back = (
        dataclasses.replace(tool, rotation=knowing(joints + np.eye(7)[6] * turn)[1].rotation)
        for turn in (0.3, -0.3)
    )
    said = keep_out.refusal(tool, further)
    assert said.startswith("fr3_joint7 would be 0.0")
    assert said.endswith("rad beyond its limit 2.97 rad")
    assert keep_out.refusal(tool, back) == ""


def test_a_goal_out_of_reach_is_refused(knowing):
    keep_out, tool = knowing()
    far = dataclasses.replace(tool, position=tool.position + FAR)
    assert "the arm does not reach its goal" in keep_out.refusal(tool, far)


def test_the_forearm_stays_out_of_boxes_and_the_hand_off_the_column(knowing):
    lamp = Box(low=(-0.1, -0.2, 0.76), high=(0.15, 0.2, 1.0))
    keep_out, tool = knowing(lamp=lamp)
    up = dataclasses.replace(tool, position=tool.position + UP)
    assert "the forearm would be " in keep_out.refusal(tool, up)
    assert "inside lamp (keep_out)" in keep_out.refusal(tool, up)
    free, _ = knowing()
    assert free.refusal(tool, up) == ""
    near = dataclasses.replace(tool, position=np.array((0.12, 0.0, 0.3)))
    assert "inside the arm's own column" in free.refusal(tool, near)


def test_the_gate_refuses_the_action_and_stays_where_it_is(robot, make_rig):
    side = Box(low=(0.3, 0.13, 0.0), high=(0.8, 0.5, 0.6))
    rig = make_rig(robot=dataclasses.replace(robot, keep_out={"side": side}))
    with pytest.raises(Refused, match=r"the hand would be \d+ mm inside side \(keep_out\)"):
        rig.send(dy=0.1)
    assert rig.gate.silent
    rig.send(dy=-0.1)
    rig.pass_time(1.0)
    assert rig.pose.position[1] < -0.08
