"""`vjepa-ros run`: the node suite as plain processes, where there is no `ros2 launch`."""

import argparse
import os
import signal
import threading
import time

from vjepa_ros.errors import UserError
from vjepa_ros.stack import Options, add_options, goal_pictures, options_of, processes
from vjepa_ros.supervisor import PROFILE, Supervisor, environment

_POLL = 0.1  # seconds


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 when the goal was reached, or when a signal ended it; 1 when it was not reached."""
    options = options_of(arguments)
    stack = processes(options)
    os.environ[PROFILE] = environment()[PROFILE]  # before rclpy is loaded here
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        with Supervisor(stack) as supervisor:
            if goal_pictures(options):
                return _reach(options, supervisor, ended)
            print("up: send goals to the action reach_goal; Ctrl-C ends all", flush=True)
            while not ended.wait(_POLL):
                supervisor.check()
            return 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reach(options: Options, supervisor: Supervisor, ended: threading.Event) -> int:
    try:
        from vjepa_msgs.action import ReachGoal

        from vjepa_ros.nodes.reach_client import reach
        from vjepa_ros.nodes.spinning import spinning_node
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error

    failure: list[UserError] = []

    def stopped() -> bool:
        try:
            supervisor.check()
        except UserError as error:
            failure.append(error)
        return ended.is_set() or bool(failure)

    with spinning_node("vjepa_ros_run") as node:
        try:
            end = reach(
                node,
                goal_pictures(options),
                max_steps=options.max_steps,
                energy=options.energy,
                stopped=stopped,
            )
        except TimeoutError as error:
            raise UserError(f"goal not reached: {error}") from error
    if failure:
        raise failure[0]
    if end is None:
        return 0
    time.sleep(_POLL)  # for the last lines of the nodes
    return 0 if end.outcome == ReachGoal.Result.REACHED else 1
