"""An FR3 with its hand, crisp's controllers and a RealSense, on the control PC, ready for the gate.

ros2 launch docs/examples/fr3_bringup.launch.py robot_ip:=172.16.0.2
ros2 control switch_controllers --activate cartesian_impedance_controller   # when all is at rest

An example to copy: franka_ros2 3.x (franka_bringup), crisp_controllers 2.x and realsense2_camera
on Jazzy; no hardware has seen it. docs/REAL_FRANKA.md tells what comes before and after.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

CONTROLLERS = Path(__file__).with_name("fr3_controllers.yaml")
# A controller that moves the arm is switched on by a person: crisp's pulls to whatever target it
# had last.
INACTIVE = ("cartesian_impedance_controller", "gravity_compensation")


def generate_launch_description() -> LaunchDescription:
    """Arm, hand, controllers and camera."""
    robot_ip, namespace = LaunchConfiguration("robot_ip"), LaunchConfiguration("namespace")
    arm = including(
        "franka_bringup",
        "launch/franka.launch.py",
        robot_type="fr3",
        robot_ip=robot_ip,
        load_gripper="true",
        namespace=namespace,
        controllers_yaml=str(CONTROLLERS),
    )
    spawners = [
        Node(
            package="controller_manager",
            executable="spawner",
            namespace=namespace,
            arguments=[controller, "--inactive"],
        )
        for controller in INACTIVE
    ]
    camera = including(
        "realsense2_camera",
        "launch/rs_launch.py",
        camera_namespace="camera",
        camera_name="camera",
        enable_depth="false",
        enable_infra1="false",
        enable_infra2="false",
        **{"rgb_camera.color_profile": "640x480x30"},
    )
    return LaunchDescription(
        [
            DeclareLaunchArgument("robot_ip", description="address of the arm's control box"),
            DeclareLaunchArgument("namespace", default_value="", description="of the arm's nodes"),
            arm,
            *spawners,
            camera,
        ]
    )


def including(package: str, file: str, **arguments: object) -> IncludeLaunchDescription:
    """Another package's launch file, with these arguments."""
    path = PathJoinSubstitution([FindPackageShare(package), file])
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource(path), launch_arguments=arguments.items()
    )
