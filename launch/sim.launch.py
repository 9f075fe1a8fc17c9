"""The simulated robot alone.

ros2 launch vjepa_ros sim.launch.py task:="pick_place cup bowl" seed:=7 config:=lockstep.yaml
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.substitutions import EnvironmentVariable, LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"


def generate_launch_description() -> LaunchDescription:
    shared = FindPackageShare("vjepa_sim")
    config = PathJoinSubstitution([shared, "config", LaunchConfiguration("config")])
    task = {
        "task": ParameterValue(LaunchConfiguration("task"), value_type=str),
        "seed": ParameterValue(LaunchConfiguration("seed"), value_type=int),
    }
    profile = PathJoinSubstitution([FindPackageShare("vjepa_ros"), "config", "fastdds.xml"])
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                "config", default_value="real_time.yaml", description="a file of sim/config"
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
