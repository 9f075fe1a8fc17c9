"""The launch files, by `launch` itself; a process is told instead of started."""

import sys
from pathlib import Path

import pytest

pytest.importorskip("launch.actions")  # the folder launch/ can be imported, too

from launch import LaunchContext, LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription, LogInfo
from launch.launch_description_sources import PythonLaunchDescriptionSource

from vjepa_ros import launching
from vjepa_ros.supervisor import command_line

REQUIRED = {"replay": ("bag:=bag",), "sim": ()}
FOLDER = Path(__file__).parents[1] / "launch"


@pytest.fixture
def launch(monkeypatch, capfd, small_weights):
    weights = small_weights()

    def tell(process):
        words = [process.name, *command_line(process), f"respawn:={process.respawn}"]
        return LogInfo(msg=f"{process.name}: {' '.join(words)}")

    def run(*arguments, file="pick_place"):
        if file != "sim":
            arguments = (f"weights:={weights}", *arguments)
        path = str(FOLDER / f"{file}.launch.py")
        monkeypatch.setattr(sys, "argv", ["ros2", "launch", path, *arguments])
        service = LaunchService(argv=arguments, noninteractive=True)
        file = IncludeLaunchDescription(
            PythonLaunchDescriptionSource(path),
            launch_arguments=[argument.split(":=") for argument in arguments],
        )
        service.include_launch_description(LaunchDescription([file]))
        ended = service.run()
        captured = capfd.readouterr()
        return ended, captured.out + captured.err

    monkeypatch.setattr(launching, "node", tell)
    return run


def line_of(name, said):
    return next(line for line in said.splitlines() if f"{name}: " in line)


def test_settings_of_gate_and_planner_take_effect(launch):
    """Both were taken, and dropped without a word."""
    ended, said = launch("deadman:=true", "max_image_age:=20.0")
    assert ended == 0, said
    assert "deadman:=true" in line_of("arm_gate", said)
    for name in ("arm_gate", "planner", "encoder"):
        assert "max_image_age:=20.0" in line_of(name, said)
    assert "planner tiny, as the weights name it" in said


def test_a_parameter_file_is_taken(launch, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("planner: {ros__parameters: {rules: [], samples: 16}}\n")
    ended, said = launch(f"params_file:={path}", "samples:=20")
    assert ended == 0, said
    assert 'rules:="none"' in line_of("planner", said)
    assert "samples:=20" in line_of("planner", said)
    path.write_text("planner: {ros__parameters: {sampels: 16}}\n")
    ended, said = launch(f"params_file:={path}")
    assert ended == 1
    assert "planner.sampels is unknown, expected samples" in said


def test_what_is_unknown_or_out_of_range_ends_the_launch(launch):
    ended, said = launch("deadmann:=true")
    assert ended == 1
    assert "argument deadmann is unknown, expected deadman" in said
    ended, said = launch("max_image_age:=nan")
    assert ended == 1
    assert "argument max_image_age is 'nan', expected a number in [0.05, 3600] s" in said


def test_where_in_the_graph_the_nodes_are(launch):
    ended, said = launch(
        *("namespace:=left", "use_sim_time:=true", "log_level:=debug", "respawn:=false"),
        "autostart:=false",
    )
    assert ended == 0, said
    for name in ("arm_gate", "encoder", "predictor", "planner"):
        line = line_of(name, said)
        for words in ("__ns:=/left", "use_sim_time:=true", "--log-level debug", "respawn:=False"):
            assert words in line
        assert " --autostart" not in line
    assert "--no-autostart" in line_of("planner", said)


@pytest.mark.parametrize("file", ["replay", "sim"])
def test_every_launch_file_says_where_in_the_graph_its_nodes_are(launch, file):
    ended, said = launch(*REQUIRED[file], "namespace:=2nd", "respawn:=true", file=file)
    assert ended == 1
    assert "namespace is '2nd', expected names of letters" in said
    for wrong in ("log_level:=loud", "params_file:=none.yaml", "respwn:=true"):
        ended, said = launch(*REQUIRED[file], wrong, file=file)
        assert ended == 1
        assert wrong.partition(":=")[0] in said or "none.yaml" in said


def test_the_example_of_a_bringup_can_be_read():
    path = str(FOLDER.parent / "docs/examples/fr3_bringup.launch.py")
    description = PythonLaunchDescriptionSource(path).get_launch_description(LaunchContext())
    assert [argument.name for argument in description.get_launch_arguments()] == [
        "robot_ip",
        "namespace",
    ]


def test_a_namespace_that_ros_would_not_take(launch):
    ended, said = launch("namespace:=2nd")
    assert ended == 1
    assert "namespace is '2nd', expected names of letters" in said
