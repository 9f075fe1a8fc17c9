"""The arm's URDF with the names of an FR3, and where its links are for given joints."""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np

from vjepa_sim.geometry import rotation_about
from vjepa_sim.robot import ASSETS

PREFIX = "fr3"
BASE, TOOL = "base", f"{PREFIX}_hand_tcp"
ARM_JOINTS = tuple(f"{PREFIX}_joint{number}" for number in range(1, 8))
FINGER_JOINTS = tuple(f"{PREFIX}_finger_joint{number}" for number in (1, 2))
_TOOL_JOINT = "panda_grasptarget_hand"
_TOOL_LINK = "panda_grasptarget"


@dataclass(frozen=True, kw_only=True)
class Link:
    """A joint of the URDF, as the transform between the two links it joins."""

    joint: str
    parent: str
    child: str
    origin: np.ndarray  # (4, 4)
    axis: np.ndarray  # (3,)
    kind: str  # revolute, prismatic or fixed

    def pose(self, value: float) -> np.ndarray:
        """The child in the parent (4, 4), for radians or metres of the joint."""
        moved = np.eye(4)
        if self.kind == "revolute":
            moved[:3, :3] = rotation_about(self.axis * value)
        elif self.kind == "prismatic":
            moved[:3, 3] = self.axis * value
        return self.origin @ moved


def robot_description(tool_offset: float, prefix: str = PREFIX, base: str = BASE) -> str:
    """The URDF as text, rooted in `base`; tool_offset is metres from hand to TCP."""
    folder = ASSETS / "panda"
    robot = ElementTree.parse(folder / "panda.urdf").getroot()
    robot.set("name", prefix)
    for mesh in robot.iter("mesh"):
        mesh.set("filename", f"file://{folder / mesh.attrib['filename']}")
    for joint in robot.iter("joint"):
        if joint.attrib["name"] == _TOOL_JOINT:
            joint.set("name", "panda_hand_tcp_joint")
            joint.find("origin").set("xyz", f"0 0 {tool_offset}")  # type: ignore[union-attr]
    ElementTree.SubElement(robot, "link", name=base)
    joint = ElementTree.SubElement(robot, "joint", name="panda_base_joint", type="fixed")
    ElementTree.SubElement(joint, "parent", link=base)
    ElementTree.SubElement(joint, "child", link="panda_link0")
    text = ElementTree.tostring(robot, encoding="unicode")
    text = text.replace(f'"{_TOOL_LINK}"', '"panda_hand_tcp"')
    return text.replace('"panda_', f'"{prefix}_')


def links(description: str) -> list[Link]:
    """All joints of a URDF."""
    return [_link(joint) for joint in ElementTree.fromstring(description).iter("joint")]


def _link(joint: ElementTree.Element) -> Link:
    origin, axis = joint.find("origin"), joint.find("axis")
    pose = np.eye(4)
    if origin is not None:
        pose[:3, 3] = _numbers(origin.get("xyz", "0 0 0"))
        pose[:3, :3] = _rotation(*_numbers(origin.get("rpy", "0 0 0")))
    return Link(
        joint=joint.attrib["name"],
        parent=joint.find("parent").attrib["link"],  # type: ignore[union-attr]
        child=joint.find("child").attrib["link"],  # type: ignore[union-attr]
        origin=pose,
        axis=np.zeros(3) if axis is None else _numbers(axis.attrib["xyz"]),
        kind=joint.attrib["type"],
    )


def _numbers(text: str) -> np.ndarray:
    return np.array([float(number) for number in text.split()])


def _rotation(roll: float, pitch: float, yaw: float) -> np.ndarray:
    """About fixed axes: roll about x, then pitch about y, then yaw about z."""
    x, y, z = np.eye(3)
    return rotation_about(yaw * z) @ rotation_about(pitch * y) @ rotation_about(roll * x)
