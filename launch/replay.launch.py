"""A recording through encoder, predictor and planner, the arm gate in dry run.

ros2 launch vjepa_ros replay.launch.py bag:=runs/morning/bag
ros2 launch vjepa_ros replay.launch.py bag:=recordings/ rate:=0 json:=graph.json
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction
from launch.launch_context import LaunchContext
from launch.substitutions import LaunchConfiguration
from launch_ros.substitutions import ExecutableInPackage

from vjepa_ros import launching
from vjepa_ros.commands.replay_graph import command_line
from vjepa_ros.replay.graph import graph_processes

OPTIONS = (
    *("robot", "weights", "device", "composed", "picture"),
    *("solver", "samples", "iterations", "horizon", "seed", "axes"),
)


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="a recording, or a folder of them"),
            DeclareLaunchArgument(
                "rate", default_value="1.0", description="times its own speed; 0: as nodes follow"
            ),
            DeclareLaunchArgument("json", default_value="", description="file for all figures"),
            *launching.arguments(OPTIONS),
            launching.transport(),
            OpaqueFunction(function=start),
        ]
    )


def start(context: LaunchContext) -> list:
    options = launching.options(context, OPTIONS)
    bag, rate, json = (
        LaunchConfiguration(name).perform(context) for name in ("bag", "rate", "json")
    )
    program = ExecutableInPackage(package="vjepa_ros", executable="vjepa-ros")
    play = ExecuteProcess(
        cmd=[program, *command_line(bag, options, rate=rate, json=json)], output="screen"
    )
    nodes = [launching.node(process) for process in graph_processes(options)]
    return [*nodes, play, launching.end_with(play, "the recordings have been played")]
