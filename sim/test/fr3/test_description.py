"""The URDF with an FR3's names, and transforms that agree with the arm's own kinematics."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pybullet
import pytest

from vjepa_sim import kinematics
from vjepa_sim.fr3.description import ARM_JOINTS, BASE, TOOL, links, robot_description

URDF = robot_description(kinematics.TCP_OFFSET)
FRANKA_LINKS = [
    BASE,
    *(f"fr3_link{number}" for number in range(9)),
    "fr3_hand",
    "fr3_hand_tcp",
    "fr3_leftfinger",
    "fr3_rightfinger",
]


def test_links_are_those_of_franka_description():
    names = [link.attrib["name"] for link in ElementTree.fromstring(URDF).iter("link")]
    assert sorted(names) == sorted(FRANKA_LINKS)
    assert "panda_" not in URDF


def test_meshes_are_found_from_anywhere():
    meshes = [mesh.attrib["filename"] for mesh in ElementTree.fromstring(URDF).iter("mesh")]
    assert meshes
    assert all(Path(mesh.removeprefix("file://")).is_file() for mesh in meshes)


def test_it_is_one_tree_from_the_base():
    parents = {link.child: link.parent for link in links(URDF)}
    assert set(FRANKA_LINKS) - parents.keys() == {BASE}


@pytest.mark.parametrize("seed", range(3))
def test_the_tool_is_where_the_kinematics_say(seed):
    joints = np.random.default_rng(seed).uniform(kinematics.LOWER, kinematics.UPPER)
    values = dict(zip(ARM_JOINTS, joints, strict=True))
    by_child = {link.child: link for link in links(URDF)}
    pose, at = np.eye(4), TOOL
    while at != BASE:
        link = by_child[at]
        pose, at = link.pose(values.get(link.joint, 0.0)) @ pose, link.parent
    np.testing.assert_allclose(pose, kinematics.forward(joints)[0], atol=1e-9)


def test_another_program_reads_it(tmp_path):
    path = tmp_path / "fr3.urdf"
    path.write_text(URDF.replace("file://", ""))
    client = pybullet.connect(pybullet.DIRECT)
    body = pybullet.loadURDF(str(path), physicsClientId=client)
    assert pybullet.getNumJoints(body, physicsClientId=client) == len(links(URDF))
    pybullet.disconnect(client)
