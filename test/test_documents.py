"""What leads from one document to another, and examples; `make docs` looks after links in docs/."""

import re
from pathlib import Path

import pytest
import yaml

from vjepa_gate.gate_config import ArmGateSettings
from vjepa_gate.robots import load_robot

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "vjepa_ros/weights/MODEL_CARD.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    document = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_page_of_docs_is_in_the_navigation_and_the_contents():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    navigation = (ROOT / "mkdocs.yml").read_text()
    contents = (ROOT / "docs" / "index.md").read_text()
    for page in pages:
        assert page in navigation, page
        assert f"({page})" in contents, page


def example(name):
    """What stands under the one pattern of a parameter file."""
    text = (ROOT / "docs" / "examples" / name).read_text()
    ((pattern, content),) = yaml.safe_load(text).items()
    return pattern, content


def test_the_controllers_of_the_example_are_those_of_the_robots_yaml():
    (_, found), robot = example("fr3_controllers.yaml"), load_robot("franka_crisp")
    assert found["controller_manager"]["ros__parameters"]["update_rate"] == 1000
    for name in ("cartesian_impedance_controller", "gravity_compensation"):
        controller = found[name]["ros__parameters"]
        assert controller["base_frame"] == robot.base_frame
        assert controller["end_effector_frame"] == robot.tool_frame
    for topic in (robot.topics.current_pose, robot.topics.franka_state):
        assert topic.name.partition("/")[0] in found


def test_servo_of_the_example_takes_what_the_gate_sends():
    (pattern, content), robot = example("fr3_servo.yaml"), load_robot("franka_servo")
    servo, name = content["ros__parameters"]["moveit_servo"], pattern.rpartition("/")[2]
    assert servo["cartesian_command_in_topic"].replace("~", name) == robot.topics.target.name
    assert servo["command_in_type"] == "speed_units"  # m/s and rad/s
    assert not servo["apply_twist_commands_about_ee_frame"]
    period = 1 / ArmGateSettings().rate
    assert servo["publish_period"] == period
    assert servo["incoming_command_timeout"] > 2 * period
