"""A recording through encoder, predictor and planner, the arm gate in dry run.

ros2 launch vjepa_ros replay.launch.py bag:=runs/morning/bag
ros2 launch vjepa_ros replay.launch.py bag:=recordings/ rate:=0 json:=graph.json
"""

from dataclasses import dataclass
from pathlib import Path

from launch import LaunchDescription
from launch.actions import ExecuteProcess
from launch.launch_context import LaunchContext
from launch_ros.substitutions import ExecutableInPackage

from vjepa_gate.settings import REQUIRED, make, read_launch, setting
from vjepa_ros import launching
from vjepa_ros.commands.replay_graph import command_line
from vjepa_ros.options import NODES, GraphSettings
from vjepa_ros.replay.graph import graph_processes


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    bag: Path = setting(REQUIRED, "a recording, or a folder of them")
    rate: float = setting(1.0, "times its own speed; 0: as nodes follow", low=0.0, high=1000.0)
    json: Path | None = setting(None, "file for all figures")


KINDS = (GraphSettings, *NODES["planner"], *NODES["encoder"], *NODES["predictor"])


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(launching.described(start, ReplaySettings, *KINDS))


def start(context: LaunchContext) -> list:
    options = launching.options(context, *KINDS)
    replay = make(ReplaySettings, read_launch(ReplaySettings, context))
    program = ExecutableInPackage(package="vjepa_ros", executable="vjepa-ros")
    words = command_line(replay.bag, options, rate=replay.rate, json=replay.json)
    play = ExecuteProcess(cmd=[program, *words], output="screen")
    nodes = launching.nodes(graph_processes(options))
    return [*nodes, play, launching.end_with(play, "the recordings have been played")]
