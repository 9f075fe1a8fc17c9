"""`vjepa-ros run`: the node suite as plain processes, where there is no `ros2 launch`."""

import argparse
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from vjepa_gate.errors import UserError
from vjepa_gate.signals import signals_noted
from vjepa_ros.options import NODES, add_arguments, options_of
from vjepa_ros.supervisor import PROFILE, Supervisor, environment

if TYPE_CHECKING:
    from rclpy.node import Node

    from vjepa_ros.goals import Goals

__all__ = ["add_arguments", "run"]

_POLL = 0.1  # seconds


def run(arguments: argparse.Namespace) -> int:
    """0 when the goal was reached, or when a signal ended it; 1 when it was not reached."""
    from vjepa_ros.stack import goals_of, processes  # not for --help: torch takes seconds

    options = options_of(arguments)
    stack, goals = processes(options), goals_of(options)
    os.environ[PROFILE] = environment()[PROFILE]  # before rclpy is loaded here
    try:
        from vjepa_gate.ros.spinning import spinning_node
        from vjepa_ros.nodes.silence import Silence
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error

    with (
        signals_noted() as ended,
        Supervisor(stack) as supervisor,
        spinning_node("vjepa_ros_run", namespace=options.stack.namespace) as node,
    ):
        silence = Silence(node, NODES, lambda what: print(what, flush=True))

        def stopped() -> bool:
            supervisor.check()
            silence.check()
            return ended.is_set()

        if goals.pictures:
            return _reach(node, goals, stopped)
        print("up: send goals to the action reach_goal; Ctrl-C ends all", flush=True)
        while not stopped():
            ended.wait(_POLL)
        return 0


def _reach(node: "Node", goals: "Goals", stopped: Callable[[], bool]) -> int:
    from vjepa_msgs.action import ReachGoal

    from vjepa_ros.nodes.reach_client import reach

    try:
        end = reach(node, goals, stopped=stopped)
    except TimeoutError as error:
        raise UserError(f"goal not reached: {error}") from error
    if end is None:
        return 0
    time.sleep(_POLL)  # for the last lines of the nodes
    return 0 if end.outcome == ReachGoal.Result.REACHED else 1
