"""The simulated robot alone.

ros2 launch vjepa_ros sim.launch.py task:="pick_place cup bowl" seed:=7 config:=lockstep
"""

from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchDescription

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"


def generate_launch_description() -> LaunchDescription:
    shared = FindPackageShare("vjepa_sim")
    config = PathJoinSubstitution([shared, "config", [LaunchConfiguration("config"), ".yaml"]])
    task = {
        "task": ParameterValue(LaunchConfiguration("task"), value_type=str),
        "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
    }
    profile = PathJoinSubstitution([FindPackageShare("vjepa_ros"), "config", "fastdds.xml"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "config", default_value="real_time", description="of sim/config, without .yaml"
            ),
            DeclareLaunchArgument(
                "task", default_value="grasp cube", description="one of `vjepa-sim tasks`"
            ),
            DeclareLaunchArgument("seed", default_value="0", description="of the scene"),
            SetEnvironmentVariable(PROFILE, EnvironmentVariable(PROFILE, default_value=profile)),
            Node(
                package="vjepa_sim",
                executable="vjepa_sim_robot",
                parameters=[config, task],
                output="screen",
            ),
        ]
    )
