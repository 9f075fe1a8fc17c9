"""The stack as data, and the launch file that is made of it."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from vjepa_gate.errors import UserError
from vjepa_gate.robots import load_robot
from vjepa_gate.settings import make, option, read_parameters, settings_of
from vjepa_gate.share import config_folder
from vjepa_ros.images import encode_jpeg, encode_png
from vjepa_ros.model.checkpoints import open_checkpoint
from vjepa_ros.options import KINDS, Options, add_arguments, options_of
from vjepa_ros.planning import choice
from vjepa_ros.planning.config import PLANNERS, PlannerConfig
from vjepa_ros.stack import goal_sender, goals_of, processes, with_parameters

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
    assert gate.parameters == {"dry_run": True, "max_image_age": 2.0}
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
    assert stack["recorder"].parameters == {"task": "grasp cube"}
    assert stack["models"].arguments == ("encoder", "predictor", "planner")
    assert stack["sim"].parameters == {"task": "grasp cube", "seed": 3, "robot": "sim"}
    assert not stack["sim"].respawn


def test_an_arm_that_somebody_else_drives_is_recorded_without_models(weights, goal):
    stack = processes(Options(weights=weights, models=False, sim=True, record=True))
    assert list(named(stack)) == ["sim", "arm_gate", "recorder"]
    with pytest.raises(UserError, match="models false: nobody would plan to it"):
        processes(Options(weights=weights, models=False, goal=goal))


def test_predictors_that_share_out_candidates(weights):
    stack = named(processes(Options(weights=weights, predictors=3)))
    names = ["arm_gate", "encoder", "predictor", "predictor_2", "predictor_3", "planner"]
    assert list(stack) == names
    assert stack["planner"].parameters["predictors"] == 3
    third = stack["predictor_3"]
    assert third.parameters == stack["predictor"].parameters
    assert third.words()[:4] == ["predictor", "--ros-args", "-r", "__node:=predictor_3"]

    here = named(processes(Options(weights=weights, predictors=3, predictors_here=2)))
    assert list(here) == [name for name in names if name != "predictor_3"]
    for told, given in (
        ("predictors is 2, but composed", {"predictors": 2, "composed": True}),
        ("predictors_here is 2, expected at most", {"predictors_here": 2}),
    ):
        with pytest.raises(UserError, match=told):
            processes(Options(weights=weights, **given))


def test_the_simulation_is_of_the_robot_that_is_asked_for(weights):
    stack = named(processes(Options(weights=weights, sim=True, robot="franka_crisp")))
    assert stack["sim"].parameters["robot"] == "fr3"
    assert stack["arm_gate"].parameters["robot"] == "franka_crisp"


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
        for name in process.parameters:
            assert nodes[0].has_parameter(name), (process.name, name)
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


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({}, "objects"),
        ({"goal": None}, "objects"),
        ({"subgoals": "none"}, "tiny"),
        ({"weights": "tiny"}, "tiny"),
    ],
)
def test_weights_that_know_ways_are_taken_unless_no_way_is_wanted(goal, given, taken):
    stack = named(processes(Options(**{"goal": goal} | given)))
    for node in ("encoder", "predictor", "planner"):
        assert Path(stack[node].parameters["weights"]).stem == taken


def test_options_go_before_what_a_list_of_goals_says(goal, tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text("pictures: [goal.png]\nmax_steps: 9\nenergy: 0.5\n")
    goals = goals_of(Options(subgoals=str(path), max_steps=4))
    assert (goals.max_steps, goals.energy) == (4, 0.5)
    assert goal_sender(Options(subgoals=str(path))).arguments == (
        *("--max-steps", "9", "--energy", "0.5"),
        goal,
    )


def test_a_process_can_have_more_parameters(weights):
    stack = processes(Options(weights=weights, seed=3))
    changed = named(with_parameters(stack, {"planner": {"max_wait": 9.0, "seed": 4}}))
    assert changed["planner"].parameters["max_wait"] == pytest.approx(9.0)
    assert changed["planner"].parameters["seed"] == 4
    assert changed["encoder"] == named(stack)["encoder"]
    assert named(stack)["planner"].parameters["seed"] == 3


def test_rviz_shows_the_robot_that_is_there(weights):
    stack = named(processes(Options(weights=weights, rviz=True, robot="franka_servo")))
    arguments = stack["rviz"].arguments
    robot = load_robot("franka_servo")
    assert arguments[arguments.index("-f") + 1] == robot.base_frame
    assert f"/camera/image_raw:=/{robot.topics.camera.name}" in arguments
    assert stack["encoder"].parameters["picture"]


def test_rerun_is_a_node_of_the_stack(weights):
    stack = named(processes(Options(weights=weights, rerun=True, rerun_to="run.rrd")))
    assert stack["viewer"].arguments == ("viewer",)
    assert stack["viewer"].parameters["rerun_to"] == "run.rrd"
    assert stack["encoder"].parameters["picture"]
    assert "viewer" not in named(processes(Options(weights=weights)))


def test_rviz_configuration_shows_topics_that_are_published():
    config = yaml.safe_load((config_folder("vjepa_ros") / "vjepa.rviz").read_text())
    manager = config["Visualization Manager"]
    assert manager["Global Options"]["Fixed Frame"] == load_robot("sim").base_frame
    topics = {one["Topic"]["Value"] for one in manager["Displays"] if "Topic" in one}
    assert topics == {
        *("/camera/image_raw", "/encoder/picture", "/plan/markers", "/plan/path"),
        *("/predictor/imagined", "/way/compressed"),
        *("/target_pose", "/franka_robot_state_broadcaster/current_pose"),
    }


def test_sub_goals_to_one_picture_are_proposed_by_the_planner(goal):
    options = Options(goal=goal, subgoals="auto")
    assert len(goals_of(options).pictures) == 1
    assert options.of("planner")["subgoals"] == "auto"


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


# --- settings of the nodes ---------------------------------------------------------------


def test_settings_of_gate_and_planner_reach_them(weights):
    stack = named(processes(Options(weights=weights, deadman=True, max_image_age=20.0, rate=60)))
    gate, planner = stack["arm_gate"].parameters, stack["planner"].parameters
    assert gate == {"deadman": True, "max_image_age": 20.0, "rate": 60.0}
    assert planner["max_image_age"] == stack["encoder"].parameters["max_image_age"] == 20.0
    assert "deadman" not in planner
    assert "max_image_age" not in stack["predictor"].parameters


def test_a_parameter_file_goes_between_defaults_and_names(weights, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "/**: {ros__parameters: {max_image_age: 9.0, robot: franka_crisp}}\n"
        "planner: {ros__parameters: {samples: 20, goal_steps: [5, 6], step_period: 1, elites: 4}}\n"
        "arm_gate: {ros__parameters: {deadman: true, rate: 80}}\n"
    )
    stack = named(processes(Options(weights=weights, params_file=path, rate=60, samples=30)))
    gate, planner = stack["arm_gate"].parameters, stack["planner"].parameters
    assert gate == {"max_image_age": 9.0, "robot": "franka_crisp", "deadman": True, "rate": 60.0}
    assert planner["samples"] == 30
    assert planner["goal_steps"] == [5, 6]
    assert planner["step_period"] == 1.0  # though the weights have another
    assert planner["max_image_age"] == stack["encoder"].parameters["max_image_age"] == 9.0
    assert planner["robot"] == stack["predictor"].parameters["robot"] == "franka_crisp"


def test_one_file_may_be_of_two_robots(weights, tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text(
        "/**: {ros__parameters: {robot: franka_crisp}}\n"
        "/left/arm_gate: {ros__parameters: {rate: 80}}\n"
        "/right/arm_gate: {ros__parameters: {rate: 60, qos_overrides: "
        "{/right/target_pose: {publisher: {depth: 5}}}}}\n"
    )
    options = Options(weights=weights, params_file=path, namespace="right")
    assert named(processes(options))["arm_gate"].parameters == {
        "robot": "franka_crisp",
        "rate": 60.0,
        "max_image_age": 2.0,
        "qos_overrides./right/target_pose.publisher.depth": 5,
    }
    path.write_text(
        "arm_gate: {ros__parameters: {qos_overrides: {/a: {publisher: {liveliness: x}}}}}\n"
    )
    with pytest.raises(UserError, match=r"qos_overrides\./a\.publisher\.liveliness is unknown"):
        Options(weights=weights, params_file=path)


def test_nodes_in_one_process_share_what_a_file_says(weights, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "planner: {ros__parameters: {objective: l1}}\n"
        "predictor: {ros__parameters: {objective: l2}}\n"
    )
    processes(Options(weights=weights, params_file=path))
    with pytest.raises(UserError, match=r"objective is 'l2' for one node and 'l1' for planner"):
        processes(Options(weights=weights, params_file=path, composed=True))


def test_what_is_unknown_or_out_of_range_is_named():
    with pytest.raises(UserError, match=r"^deadmann is unknown, expected deadman$"):
        Options(deadmann=True)
    with pytest.raises(UserError, match=r"^rate is 5, expected a number in \[50, 1000\] Hz$"):
        Options(rate=5)


def test_settings_of_one_name_are_one_setting():
    """Of one kind and range wherever they are: one option and one launch argument give them."""
    found = {}
    for kind in KINDS:
        for name, about in settings_of(kind).items():
            kept = found.setdefault(name, about)
            same = ("hint", "optional", "low", "high", "unit")
            assert [getattr(about, key) for key in same] == [getattr(kept, key) for key in same], (
                name
            )


# --- the planner -------------------------------------------------------------------------


def test_the_planner_is_that_of_the_weights_if_none_is_named(weights, small_weights):
    planner = named(processes(Options(weights=weights, samples=20)))["planner"]
    assert planner.parameters["planner"] == "tiny"
    assert planner.parameters["samples"] == 20
    assert "iterations" not in planner.parameters  # the planner's own
    assert "planner tiny, as the weights name it" in planner.notice
    chosen = named(processes(Options(weights=weights, planner="notebook")))["planner"]
    assert chosen.parameters["planner"] == "notebook"
    assert "planner notebook, as was chosen" in chosen.notice
    assert f"{chosen.parameters['max_image_age']:g} s old (max_image_age)" in chosen.notice


def test_a_slow_plan_is_not_thrown_away_by_construction(weights, monkeypatch):
    """`paper` at its own pace took longer than gate and planner let an image be old."""
    monkeypatch.setattr(choice, "matmul_rate", lambda *_: 1e6)
    slow = choice.planning_seconds(open_checkpoint(weights), PLANNERS["paper"], torch.device("cpu"))
    assert slow > 20
    stack = named(processes(Options(weights=weights, planner="paper", device="cpu")))
    ages = {stack[name].parameters["max_image_age"] for name in ("arm_gate", "encoder", "planner")}
    (age,) = ages
    assert age > 2 * slow or age == 3600
    assert f"{slow:.2f} s here" in stack["planner"].notice


def test_a_search_that_cannot_be_is_refused_before_anything_starts(weights):
    with pytest.raises(UserError, match="elites is 4, expected at most samples, 3"):
        processes(Options(weights=weights, samples=3, elites=4))


# --- command line and launch ---------------------------------------------------------------


def test_every_setting_is_an_option_and_reaches_its_nodes():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = ["--sim", "--seed", "4", "--energy", "0.3", "--dry-run", "--goal", "a.png"]
    options = options_of(parser.parse_args([*given, "--deadman", "--rules", "none"]))
    assert options.given == {
        "sim": True,
        "seed": 4,
        "energy": 0.3,
        "dry_run": True,
        "goal": Path("a.png"),
        "deadman": True,
        "rules": (),
    }
    assert options_of(parser.parse_args([])).given == {}
    words = parser.format_help()
    for kind in KINDS:
        for name in settings_of(kind):
            assert option(name) in words
    with pytest.raises(UserError, match="--seed is 'x', expected a whole number"):
        options_of(parser.parse_args(["--seed", "x"]))


def test_what_a_node_is_told_in_words_is_what_it_reads(weights):
    """Of each kind of value, through the command line that starts it."""
    import rclpy

    from vjepa_ros.nodes.composed import make_nodes

    given = {"rules": (), "goal_steps": (3, 4), "patience": None, "min_improvement": 1e-06}
    options = Options(weights=weights, axis="z=0", axes=None, **given)
    words = named(processes(options))["planner"].words()
    context = rclpy.Context()
    context.init(args=words)
    (node,) = make_nodes(("planner",), context=context)
    config = make(PlannerConfig, read_parameters(PlannerConfig, node))
    node.destroy_node()
    context.try_shutdown()
    assert (config.rules, config.goal_steps, config.axis) == ((), (3, 4), "z=0")
    assert config.patience is None
    assert config.min_improvement == 1e-06
