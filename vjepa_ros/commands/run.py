"""`vjepa-ros run`: the node suite as plain processes, where there is no `ros2 launch`."""

import argparse
import os
import time
from typing import TYPE_CHECKING

from vjepa_gate.errors import UserError
from vjepa_gate.signals import Noted, signals_noted
from vjepa_ros.options import add_arguments, options_of
from vjepa_ros.supervisor import PROFILE, Supervisor, environment

if TYPE_CHECKING:
    from vjepa_ros.goals import Goals

__all__ = ["add_arguments", "run"]

_POLL = 0.1  # seconds


def run(arguments: argparse.Namespace) -> int:
    """0 when the goal was reached, or when a signal ended it; 1 when it was not reached."""
    from vjepa_ros.stack import goals_of, processes  # not for --help: torch takes seconds

    options = options_of(arguments)
    stack, goals = processes(options), goals_of(options)
    os.environ[PROFILE] = environment()[PROFILE]  # before rclpy is loaded here
    with signals_noted() as ended, Supervisor(stack) as supervisor:
        if goals.pictures:
            return _reach(goals, supervisor, ended)
        print("up: send goals to the action reach_goal; Ctrl-C ends all", flush=True)
        while not ended.wait(_POLL):
            supervisor.check()
        return 0


def _reach(goals: "Goals", supervisor: Supervisor, ended: Noted) -> int:
    try:
        from vjepa_msgs.action import ReachGoal

        from vjepa_gate.ros.spinning import spinning_node
        from vjepa_ros.nodes.reach_client import reach
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error

    def stopped() -> bool:
        supervisor.check()
        return ended.is_set()

    with spinning_node("vjepa_ros_run") as node:
        try:
            end = reach(node, goals, stopped=stopped)
        except TimeoutError as error:
            raise UserError(f"goal not reached: {error}") from error
    if end is None:
        return 0
    time.sleep(_POLL)  # for the last lines of the nodes
    return 0 if end.outcome == ReachGoal.Result.REACHED else 1
