"""What the launch files have in common: options as launch arguments, processes as nodes."""

from typing import Any

from launch.actions import (
    EmitEvent,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_context import LaunchContext
from launch.substitutions import EnvironmentVariable

from vjepa_gate.settings import launch_arguments, read_launch, refuse_undeclared
from vjepa_ros import active_environment  # noqa: F401  (first, for all that follow)
from vjepa_ros.options import KINDS, Options
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.stack import Process
from vjepa_ros.supervisor import PROFILE, environment


def described(start: Any, *kinds: type) -> list[Any]:
    """The arguments that say these settings, the transport, and what is started by them."""

    def checked(context: LaunchContext) -> Any:
        refuse_undeclared(context, *kinds)
        return start(context)

    declared = launch_arguments(*kinds, derived=(PlannerConfig,))
    return [*declared, transport(), OpaqueFunction(function=checked)]


def options(context: LaunchContext, *kinds: type) -> Options:
    """As the arguments say; raises UserError."""
    given: dict[str, Any] = {}
    for kind in kinds or KINDS:
        given |= read_launch(kind, context)
    return Options(**given)


def transport() -> SetEnvironmentVariable:
    """The one that loses no images, if the user chose none."""
    profile = EnvironmentVariable(PROFILE, default_value=environment()[PROFILE])
    return SetEnvironmentVariable(PROFILE, profile)


def node(process: Process) -> Any:
    """Make a launch action of a process."""
    from launch_ros.actions import Node

    return Node(
        package=process.package,
        executable=process.executable,
        namespace=process.namespace,
        arguments=process.words(),
        respawn=process.respawn,
        respawn_delay=0.5,
        output="screen",
    )


def nodes(stack: list[Process]) -> list[Any]:
    """Make launch actions of processes, with what they have to tell first."""
    notices = [LogInfo(msg=process.notice) for process in stack if process.notice]
    return [*notices, *map(node, stack)]


def end_with(action: object, reason: str) -> RegisterEventHandler:
    """Shut all down when this process has ended."""
    end = EmitEvent(event=Shutdown(reason=reason))
    return RegisterEventHandler(OnProcessExit(target_action=action, on_exit=[end]))
