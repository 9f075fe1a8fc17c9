"""Encoder, predictor, planner and arm gate, and a goal for them.

ros2 launch vjepa_ros pick_place.launch.py goal:=img.png
ros2 launch vjepa_ros pick_place.launch.py goal:=img.png sim:=true composed:=true
ros2 launch vjepa_ros pick_place.launch.py params_file:=mine.yaml deadman:=true
ros2 launch vjepa_ros pick_place.launch.py --show-args
"""

from launch import LaunchDescription
from launch.launch_context import LaunchContext

from vjepa_ros import launching
from vjepa_ros.options import KINDS
from vjepa_ros.stack import goal_sender, processes


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription(launching.described(start, *KINDS))


def start(context: LaunchContext) -> list:
    options = launching.options(context, *KINDS)
    actions = launching.nodes(processes(options))
    sender = goal_sender(options)
    if sender is not None:
        send = launching.node(sender)
        actions += [send, launching.end_with(send, "the task has ended")]
    return actions
