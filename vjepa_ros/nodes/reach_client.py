"""Sends a goal to the planner, tells how it goes, and ends as it ends.

    vjepa_reach subgoal_1.png subgoal_2.png goal.png

Exit 0: reached; 1: not reached, with the reason; 0 too when a signal cancels it.
"""

import argparse
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import Plan

from vjepa_gate.ros.qos import SIGNALS
from vjepa_gate.ros.spinning import ask, send, spinning_node
from vjepa_gate.signals import signals_noted
from vjepa_ros.goals import Goals

_POLL = 0.1  # seconds
_PATIENCE = 10.0  # seconds for an answer of a planner that is there
_SETTLE = 1.0  # seconds for that planner to find this client: its answer would be lost before


class ProgressLine:
    """One line that is written over and over on a terminal; in a log only what is new."""

    def __init__(self, goals: int) -> None:
        self._goals = goals
        self._live = sys.stdout.isatty()
        self._last = ""
        self._planning = ""  # how long the last plan took
        self.remark = ""  # what a person should know

    def note(self, plan: Plan) -> None:
        """Take the plan behind the next line."""
        self._planning = f"  {plan.seconds:.2f} s a plan"

    def show(self, feedback: Any) -> None:
        """Show where the task is."""
        told = feedback.message
        self.remark = "" if told.startswith("sub-goal") else told
        line = (
            f"step {feedback.step}  sub-goal {feedback.subgoal + 1}/{self._goals}  "
            f"energy {feedback.energy:.4f}  moved {feedback.distance_moved:.2f} m{self._planning}"
        )
        if self.remark:
            line += f"  ({self.remark})"
        if self._live:
            columns = shutil.get_terminal_size().columns
            print(f"\r\x1b[K{line[: columns - 1]}", end="", flush=True)
        elif line != self._last:
            print(line, flush=True)
        self._last = line

    def end(self, line: str) -> None:
        """Show a last line."""
        self.close()
        print(line, flush=True)

    def close(self) -> None:
        """Leave the line, if it is being written."""
        if self._live and self._last:
            print(flush=True)
        self._last = ""


def reach(node: Node, goals: Goals, *, stopped: Callable[[], bool]) -> Any:
    """The result, or None when it was stopped first. Waits for a planner that takes the goal.

    `stopped` is asked again and again; what it raises ends the waiting as well.
    """
    goal = ReachGoal.Goal(
        files=[str(picture.resolve()) for picture in goals.pictures],
        max_steps=goals.max_steps,
        energy_threshold=goals.energy,
    )
    progress = ProgressLine(len(goals.pictures))
    plans = node.create_subscription(Plan, "plan", progress.note, SIGNALS)
    client = ActionClient(node, ReachGoal, "reach_goal")
    try:
        handle = _accepted(node, client, goal, progress, stopped)
        if handle is None:
            return None
        server, finished = _servers(node), threading.Event()
        result = send(node, handle.get_result_async, timeout=_PATIENCE)
        result.add_done_callback(lambda _: finished.set())
        while not finished.wait(_POLL):
            if stopped():
                ask(node, handle.cancel_goal_async, timeout=_PATIENCE)
                progress.end("canceled: the arm holds")
                return None
            if not server & _servers(node):
                raise TimeoutError("the planner was stopped or killed: send the goal again")
        end = result.result().result
        reached, remark = end.outcome == ReachGoal.Result.REACHED, progress.remark
        said = f" ({remark})" if remark and not reached and remark not in end.message else ""
        progress.end(
            f"{end.message}{said}. {end.steps} steps, {end.subgoals_reached} of "
            f"{len(goals.pictures)} goals reached, energy {end.final_energy:.4f}, "
            f"{end.seconds:.1f} s"
        )
        return end
    finally:
        progress.close()
        client.destroy()
        node.destroy_subscription(plans)


def _accepted(
    node: Node, client: ActionClient, goal: Any, progress: ProgressLine, stopped: Callable[[], bool]
) -> Any:
    def show(message: Any) -> None:
        progress.show(message.feedback)

    while not stopped():
        if not client.wait_for_server(timeout_sec=_POLL):
            continue
        time.sleep(_SETTLE)
        try:
            handle = ask(node, client.send_goal_async, goal, show, timeout=_PATIENCE)
        except TimeoutError as error:
            # If only the answer was lost, the same goal takes over from itself.
            progress.end(f"the planner is there, but {error}: asking again")
            continue
        if handle.accepted:
            return handle
    return None


def _servers(node: Node) -> set[bytes]:
    """Who serves the action: a planner that was started again is another one."""
    publishers = node.get_publishers_info_by_topic("reach_goal/_action/status")
    return {bytes(publisher.endpoint_gid) for publisher in publishers}


def main() -> int:
    """Send the goal, and tell how it goes."""
    parser = argparse.ArgumentParser(
        prog="vjepa_reach", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("pictures", nargs="+", type=Path, help="sub-goals in order, the goal last")
    parser.add_argument("--max-steps", type=int, default=0, help="0: the planner's limit")
    parser.add_argument("--energy", type=float, default=0.0, help="0: the planner's threshold")
    arguments = parser.parse_args(remove_ros_args(sys.argv)[1:])
    goals = Goals(
        pictures=tuple(arguments.pictures),
        max_steps=arguments.max_steps,
        energy=arguments.energy,
    )
    with signals_noted() as stop, spinning_node("reach_client") as node:
        try:
            end = reach(node, goals, stopped=stop.is_set)
        except TimeoutError as error:
            print(error, file=sys.stderr)
            return 1
    return 0 if end is None or end.outcome == ReachGoal.Result.REACHED else 1


if __name__ == "__main__":
    sys.exit(main())
