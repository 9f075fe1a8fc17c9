"""What the launch files have in common: options as launch arguments, processes as nodes."""

import dataclasses
from collections.abc import Sequence

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_context import LaunchContext
from launch.substitutions import EnvironmentVariable, LaunchConfiguration
from launch_ros.actions import Node

from vjepa_ros import active_environment  # noqa: F401  (first, for all that follow)
from vjepa_ros.stack import Options, Process
from vjepa_ros.supervisor import PROFILE, environment

_OPTIONS = {option.name: option for option in dataclasses.fields(Options)}
ALL = tuple(_OPTIONS)


def arguments(names: Sequence[str] = ALL) -> list[DeclareLaunchArgument]:
    """Of the named options."""
    declared = []
    for name in names:
        default, description = _OPTIONS[name].default, _OPTIONS[name].metadata["description"]
        text = str(default).lower() if isinstance(default, bool) else str(default)
        declared.append(DeclareLaunchArgument(name, default_value=text, description=description))
    return declared


def options(context: LaunchContext, names: Sequence[str] = ALL) -> Options:
    """As the arguments say; raises UserError."""
    texts = {name: str(option.default) for name, option in _OPTIONS.items()}
    given = {name: LaunchConfiguration(name).perform(context) for name in names}
    return Options.from_texts(texts | given)


def transport() -> SetEnvironmentVariable:
    """The one that loses no images, if the user chose none."""
    profile = EnvironmentVariable(PROFILE, default_value=environment()[PROFILE])
    return SetEnvironmentVariable(PROFILE, profile)


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


def end_with(action: object, reason: str) -> RegisterEventHandler:
    """Shut all down when this process has ended."""
    end = EmitEvent(event=Shutdown(reason=reason))
    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=[end]))
