"""Encoder, predictor, planner and arm gate, and a goal for them.

ros2 launch vjepa_ros pick_place.launch.py goal:=img.png
ros2 launch vjepa_ros pick_place.launch.py goal:=img.png sim:=true composed:=true
ros2 launch vjepa_ros pick_place.launch.py --show-args
"""

import dataclasses

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_context import LaunchContext
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node

from vjepa_ros.stack import Options, Process, goal_sender, processes
from vjepa_ros.supervisor import PROFILE, environment


def generate_launch_description() -> LaunchDescription:
    arguments = [
        DeclareLaunchArgument(
            option.name,
            default_value=str(option.default).lower()
            if isinstance(option.default, bool)
            else str(option.default),
            description=option.metadata["description"],
        )
        for option in dataclasses.fields(Options)
    ]
    profile = EnvironmentVariable(PROFILE, default_value=environment()[PROFILE])
    return LaunchDescription(
        [*arguments, SetEnvironmentVariable(PROFILE, profile), OpaqueFunction(function=start)]
    )


def start(context: LaunchContext) -> list:
    texts = {
        option.name: LaunchConfiguration(option.name).perform(context)
        for option in dataclasses.fields(Options)
    }
    options = Options.from_texts(texts)
    actions: list = [node(process) for process in processes(options)]
    sender = goal_sender(options)
    if sender is not None:
        send = node(sender)
        end = EmitEvent(event=Shutdown(reason="the task has ended"))
        actions += [send, RegisterEventHandler(OnProcessExit(target_action=send, on_exit=[end]))]
    return actions


def node(process: Process) -> Node:
    return Node(
        package=process.package,
        executable=process.executable,
        arguments=list(process.arguments),
        parameters=[process.parameters] if process.parameters else [],
        respawn=process.respawn,
        respawn_delay=0.5,
        output="screen",
    )
