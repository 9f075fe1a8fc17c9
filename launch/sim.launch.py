"""The simulated robot alone.

ros2 launch vjepa_ros sim.launch.py task:="pick_place cube bowl" seed:=7 config:=lockstep.yaml
ros2 launch vjepa_ros sim.launch.py namespace:=left params_file:=mine.yaml log_level:=debug
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from launch import LaunchDescription
from launch.launch_context import LaunchContext
from launch.substitutions import PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from vjepa_gate.graph_names import check_namespace
from vjepa_gate.settings import make, read_launch, setting
from vjepa_ros import launching


@dataclass(frozen=True, kw_only=True)
class SimSettings:
    """Of the robot; it gives the clock, and is told none."""

    config: str = setting("real_time.yaml", "a file of sim/config")
    task: str = setting("grasp cube", "one of `vjepa-sim tasks`")
    seed: int = setting(0, "of the scene", low=0)
    params_file: Path | None = setting(None, "ROS parameter file that goes before config")
    namespace: str = setting("", "of the node, such as left: one for each robot of a domain")
    log_level: Literal["debug", "info", "warn", "error", "fatal"] = setting(
        "info", "from which on it tells"
    )
    respawn: bool = setting(False, "start again what has died: with a scene that is new")

    def __post_init__(self) -> None:
        check_namespace(self.namespace)
        if self.params_file and not self.params_file.is_file():
            raise ValueError(f"params_file is {self.params_file}, expected a file")


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(launching.described(start, SimSettings))


def start(context: LaunchContext) -> list:
    settings = make(SimSettings, read_launch(SimSettings, context))
    config = PathJoinSubstitution([FindPackageShare("vjepa_sim"), "config", settings.config])
    more = [str(settings.params_file)] if settings.params_file else []
    return [
        Node(
            package="vjepa_sim",
            executable="vjepa_sim_robot",
            namespace=settings.namespace,
            parameters=[config, *more, {"task": settings.task, "seed": settings.seed}],
            arguments=["--ros-args", "--log-level", settings.log_level],
            respawn=settings.respawn,
            output="screen",
        )
    ]
