"""The stack as data, and the launch file that is made of it."""

import argparse
import dataclasses
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from vjepa_gate.errors import UserError
from vjepa_gate.robots import load_robot
from vjepa_gate.share import config_folder
from vjepa_ros.images import encode_jpeg, encode_png
from vjepa_ros.stack import (
    Options,
    add_options,
    goal_sender,
    goals_of,
    options_of,
    processes,
    told,
)

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def weights(small_weights):
    return str(small_weights(step_period=0.4))


@pytest.fixture
def goal(tmp_path):
    path = tmp_path / "goal.png"
    path.write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    return str(path)


def named(stack):
    return {process.name: process for process in stack}


def test_each_node_has_a_process(weights):
    stack = processes(Options(weights=weights, solver="mppi", seed=7, device="cpu", dry_run=True))
    assert list(named(stack)) == ["arm_gate", "encoder", "predictor", "planner"]
    gate, encoder, predictor, planner = stack
    assert gate.parameters == {"robot": "sim", "dry_run": True}
    assert (gate.package, gate.arguments) == ("vjepa_gate", ("--autostart",))
    for process in (encoder, predictor):
        assert process.parameters["weights"] == weights
        assert process.parameters["device"] == "cpu"
    assert planner.parameters["solver"] == "mppi"
    assert planner.parameters["seed"] == 7
    assert planner.parameters["step_period"] == pytest.approx(0.4)  # of the weights
    assert all(process.respawn for process in stack)


def test_composed_and_simulated(weights):
    options = Options(weights=weights, composed=True, sim=True, scene=3, record=True)
    stack = named(processes(options))
    assert list(stack) == ["sim", "arm_gate", "recorder", "models"]
    assert stack["recorder"].parameters == {"robot": "sim", "task": "grasp cube"}
    assert stack["models"].arguments == ("encoder", "predictor", "planner")
    assert stack["sim"].parameters == {"task": "grasp cube", "seed": 3}
    assert not stack["sim"].respawn


def test_every_parameter_is_one_that_its_nodes_declare(weights):
    import rclpy

    from vjepa_gate.arm_gate import ArmGate
    from vjepa_ros.nodes.composed import make_nodes

    context = rclpy.Context()
    context.init()
    stack = processes(Options(weights=weights, record=True))
    for process in stack:
        if process.name == "arm_gate":
            nodes = [ArmGate(context=context)]
        else:
            nodes = make_nodes(process.arguments, context=context)
        for name, value in process.parameters.items():
            declared = nodes[0].get_parameter(name).value
            assert type(declared) is type(value), (process.name, name)
        for node in nodes:
            node.destroy_node()
    context.try_shutdown()


def test_goals_in_order_for_the_sender(weights, goal, tmp_path):
    assert goal_sender(Options(weights=weights)) is None
    sender = goal_sender(Options(goal=goal, max_steps=9, energy=0.5))
    assert sender.arguments == ("--max-steps", "9", "--energy", "0.5", goal)
    folder = tmp_path / "goals"
    folder.mkdir()
    for name in ("2_lift.jpg", "1_grasp.jpg", "3_place.JPG"):
        (folder / name).write_bytes(encode_jpeg(np.zeros((8, 8, 3), np.uint8)))
    (folder / "notes.txt").write_text("not one of them")
    sent = goal_sender(Options(subgoals=str(folder))).arguments[4:]
    assert [Path(path).name for path in sent] == ["1_grasp.jpg", "2_lift.jpg", "3_place.JPG"]


def test_options_go_before_what_a_list_of_goals_says(goal, tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("pictures: [goal.png]\nmax_steps: 9\nenergy: 0.5\n")
    goals = goals_of(Options(subgoals=str(path), max_steps=4))
    assert (goals.max_steps, goals.energy) == (4, 0.5)
    assert goal_sender(Options(subgoals=str(path))).arguments == (
        *("--max-steps", "9", "--energy", "0.5"),
        goal,
    )


def test_a_process_can_be_told_more(weights):
    stack = processes(Options(weights=weights, seed=3))
    changed = named(told(stack, {"planner": {"patience": 9.0, "seed": 4}}))
    assert changed["planner"].parameters["patience"] == pytest.approx(9.0)
    assert changed["planner"].parameters["seed"] == 4
    assert changed["encoder"] == named(stack)["encoder"]
    assert named(stack)["planner"].parameters["seed"] == 3


def test_rviz_shows_the_robot_that_is_there(weights):
    stack = named(processes(Options(weights=weights, rviz=True, robot="franka_servo")))
    arguments = stack["rviz"].arguments
    robot = load_robot("franka_servo")
    assert arguments[arguments.index("-f") + 1] == robot.base_frame
    assert f"camera/image_raw:={robot.topics.camera.name}" in arguments
    assert stack["encoder"].parameters["picture"]
    assert "frame" not in stack  # a real robot's TF has it
    assert "frame" in named(processes(Options(weights=weights, rviz=True, sim=True)))


def test_rviz_configuration_shows_topics_that_are_published():
    config = yaml.safe_load((config_folder("vjepa_ros") / "vjepa.rviz").read_text())
    manager = config["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == load_robot("sim").base_frame
    topics = {one["Topic"]["Value"] for one in manager["Displays"] if "Topic" in one}
    assert topics == {
        *("/camera/image_raw", "/encoder/picture", "/plan/markers", "/plan/path"),
        *("/target_pose", "/franka_robot_state_broadcaster/current_pose"),
    }


def test_what_cannot_work_is_one_line(weights, small_weights, goal, tmp_path):
    def refused(**options):
        with pytest.raises(UserError) as error:
            processes(Options(**{"weights": weights} | options))
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "none.png cannot be read" in refused(goal=str(tmp_path / "none.png"))
    (tmp_path / "text.png").write_text("no picture")
    assert "text.png is not an image" in refused(goal=str(tmp_path / "text.png"))
    assert "expected one of the two" in refused(goal=goal, subgoals=str(tmp_path))
    assert "no folder" in refused(subgoals=str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    assert "holds no pictures" in refused(subgoals=str(tmp_path / "empty"))
    assert "no file" in refused(weights=str(tmp_path / "none.safetensors"))
    assert "robot 'ur5'" in refused(robot="ur5")


def test_an_encoder_alone_is_refused(small_weights):
    with pytest.raises(UserError, match="holds no predictor"):
        processes(Options(weights=str(small_weights(predictor=None))))


def test_launch_arguments_and_command_line_say_the_same():
    parser = argparse.ArgumentParser()
    add_options(parser)
    given = ["--sim", "--seed", "4", "--energy", "0.3", "--dry-run", "--goal", "a.png"]
    from_command_line = options_of(parser.parse_args(given))
    texts = {
        option.name: str(option.default).lower()
        if isinstance(option.default, bool)
        else str(option.default)
        for option in dataclasses.fields(Options)
    }
    texts |= {"sim": "true", "seed": "4", "energy": "0.3", "dry_run": "True", "goal": "a.png"}
    assert Options.from_texts(texts) == from_command_line
    assert options_of(parser.parse_args([])) == Options()
    with pytest.raises(UserError, match="seed is 'x', expected a whole number"):
        Options.from_texts(texts | {"seed": "x"})
    with pytest.raises(UserError, match="sim is 'yes', expected true or false"):
        Options.from_texts(texts | {"sim": "yes"})


def test_every_option_is_explained():
    assert all(option.metadata["description"] for option in dataclasses.fields(Options))


@pytest.mark.parametrize(
    ("active", "said"), [(sys.prefix, sys.prefix), ("", "activate the virtual environment")]
)
def test_launch_files_find_torch_where_an_environment_is_active(active, said):
    """Though they run in a Python that has none: that of apt's `ros2`."""
    program = "from vjepa_ros import active_environment; import torch; print(torch.__file__)"
    base = shutil.which(f"python3.{sys.version_info.minor}", path=f"{sys.base_prefix}/bin")
    done = subprocess.run(
        [base, "-S", "-c", program],  # without what else is installed there
        env={"VIRTUAL_ENV": active, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said in done.stdout + done.stderr


def test_launch_file_compiles(tmp_path):
    for path in (ROOT / "launch").glob("*.launch.py"):
        py_compile.compile(str(path), cfile=str(tmp_path / path.name), doraise=True)
