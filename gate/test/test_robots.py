"""Robot files: those we ship are good, and each mistake is told by file, key and range."""

import dataclasses
import math
from pathlib import Path

import pytest
import yaml

from vjepa_gate.errors import UserError
from vjepa_gate.robots import STOPPING_TIME, load_robot
from vjepa_gate.share import config_folder
from vjepa_gate.units import ARM_REACH

SHIPPED = ("franka_crisp", "franka_servo", "sim")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_robots_load_by_name_and_by_path(name):
    robot = load_robot(name)
    assert robot == load_robot(config_folder("vjepa_gate") / f"{name}.yaml")
    assert robot.gripper.max_width == 0.08
    assert hash(robot)  # frozen all through


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_robots_stop_in_time_and_stay_off_the_table(name):
    limits = load_robot(name).limits
    assert limits.speed / limits.acceleration <= STOPPING_TIME
    assert limits.turn_speed / limits.turn_acceleration <= STOPPING_TIME
    assert limits.workspace_low[2] > 0
    assert limits.max_tilt < math.pi / 2


def test_the_franka_is_spoken_to_as_its_drivers_want():
    crisp = load_robot("franka_crisp")
    assert crisp.command == "pose"
    assert crisp.topics.target.name == "target_pose"
    assert crisp.topics.current_pose.reliability == "best_effort"
    assert crisp.base_frame == "base"  # the URDF's root, in which the broadcaster gives poses
    assert (crisp.gripper.kind, crisp.gripper.action) == ("franka_hand", "franka_gripper")
    assert crisp.gripper.epsilon >= crisp.gripper.max_width
    servo = load_robot("franka_servo")
    assert servo.command == "twist"
    assert servo.topics.current_pose is None  # from TF


@pytest.mark.parametrize(
    ("position", "measured", "commanded"), [("per_finger", 0.06, 0.02), ("total", 0.03, 0.04)]
)
def test_what_a_gripper_position_means(position, measured, commanded):
    gripper = dataclasses.replace(load_robot("sim").gripper, position=position)
    assert gripper.width([0.03, 0.03]) == pytest.approx(measured)
    assert gripper.command(0.04) == pytest.approx(commanded)


def edited(tmp_path, key, value):
    """sim.yaml with one key set, or deleted where the value is None."""
    content = yaml.safe_load((config_folder("vjepa_gate") / "sim.yaml").read_text())
    *parents, last = key.split(".")
    part = content
    for parent in parents:
        part = part[parent]
    if value is None:
        del part[last]
    else:
        part[last] = value
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("limits.speed", 3, "limits.speed is 3, expected a number in [0.005, 1.5] m/s"),
        ("limits.speed", "fast", "limits.speed is 'fast', expected a number in"),
        ("limits.speed", True, "limits.speed is True"),
        ("limits.speed", math.nan, "limits.speed is nan"),
        ("limits.max_tilt", None, "limits.max_tilt is missing, expected a number in [0, 1.5] rad"),
        ("limits.max_tild", 0.3, "limits.max_tild is unknown, expected max_tilt"),
        ("limits.acceleration", 0.5, "expected at least 1.2, so that the arm can stop"),
        ("limits.turn_acceleration", 1, "limits.turn_acceleration is 1, expected at least 4"),
        ("limits.workspace_low", [0, 0], "a list of 3, each a number in [-3, 3] m"),
        ("limits.workspace_low", [0, 0, 250], "limits.workspace_low[2] is 250"),
        ("limits.workspace_low", [0, 0.5, 0], "0.5 is not below workspace_high 0.4 in y"),
        ("command", "joints", "command is 'joints', expected one of pose, twist"),
        ("base_frame", 7, "base_frame is 7, expected a text"),
        ("base_frame", "", "base_frame is '', expected a text"),
        ("topics", "none", "topics is 'none', expected keys and values"),
        ("topics.camera.compressed", "no!", "topics.camera.compressed is 'no!', expected true"),
        ("topics.target.depth", 1.5, "topics.target.depth is 1.5, expected a whole number in"),
        ("topics.target.reliability", "udp", "expected one of reliable, best_effort"),
        ("gripper.joints", [], "gripper.joints is [], expected a list of one or more"),
        ("gripper.position", "wide", "expected one of per_finger, total"),
        ("gripper.max_width", 80, "gripper.max_width is 80, expected a number in [0.001, 0.5] m"),
        ("gripper.force", -1, "gripper.force is -1"),
    ],
)
def test_a_mistake_is_told(tmp_path, key, value, told):
    path = edited(tmp_path, key, value)
    with pytest.raises(UserError) as error:
        load_robot(path)
    assert str(error.value).startswith(f"{path}: ")
    assert told in str(error.value)


def test_the_reach_in_messages_is_that_of_the_conventions():
    assert ARM_REACH == 3


@pytest.mark.parametrize("content", [b"limits: [", b"\xff\xfe\x00", b"", b"- 1"])
def test_a_file_that_is_no_mapping(tmp_path, content):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        load_robot(path)


def test_unknown_names_and_missing_files():
    with pytest.raises(UserError, match=r"robot 'ur5' is unknown: .*franka_crisp.*sim"):
        load_robot("ur5")
    with pytest.raises(UserError, match=r"nowhere/arm\.yaml: cannot be read"):
        load_robot(Path("nowhere/arm.yaml"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("contact", {"max_force": 20.0, "max_torque": 5.0}),
        ("topics.external_wrench", {"name": "wrench"}),
    ],
)
def test_limits_of_contact_and_its_topic_belong_together(tmp_path, key, value):
    with pytest.raises(UserError, match=r"contact and topics\.external_wrench belong together"):
        load_robot(edited(tmp_path, key, value))
