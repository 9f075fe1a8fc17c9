"""Sends a goal to the planner, tells how it goes, and ends as it ends.

    vjepa_reach subgoal_1.png subgoal_2.png goal.png

Exit 0: reached; 1: not reached, with the reason; 0 too when a signal cancels it.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.utilities import remove_ros_args
from vjepa_msgs.action import ReachGoal

from vjepa_ros.nodes.spinning import spinning_node, wait_for

_POLL = 0.1  # seconds
_PATIENCE = 10.0  # seconds for an answer of a planner that is there


class Progress:
    """One line that is written over and over on a terminal; in a log only what is new."""

    def __init__(self, goals: int) -> None:
        self._goals = goals
        self._live = sys.stdout.isatty()
        self._last = ""

    def show(self, feedback: Any) -> None:
        line = (
            f"step {feedback.step}  sub-goal {feedback.subgoal + 1}/{self._goals}  "
            f"energy {feedback.energy:.4f}  moved {feedback.distance_moved:.2f} m"
        )
        if feedback.message and not feedback.message.startswith("sub-goal"):
            line += f"  ({feedback.message})"
        if line != self._last:
            print(f"\r\x1b[K{line}" if self._live else line, end="" if self._live else "\n")
            sys.stdout.flush()
        self._last = line

    def end(self, line: str) -> None:
        print(f"\n{line}" if self._live else line, flush=True)


def reach(
    node: Node,
    pictures: Sequence[Path],
    *,
    max_steps: int = 0,
    energy: float = 0.0,
    stopped: Callable[[], bool],
) -> Any:
    """The result, or None when it was stopped first. Waits for a planner that takes the goal."""
    goal = ReachGoal.Goal(
        files=[str(picture.resolve()) for picture in pictures],
        max_steps=max_steps,
        energy_threshold=energy,
    )
    progress = Progress(len(pictures))
    client = ActionClient(node, ReachGoal, "reach_goal")
    try:
        handle = _accepted(client, goal, progress, stopped)
        if handle is None:
            return None
        server, finished = _servers(node), threading.Event()
        result = handle.get_result_async()
        result.add_done_callback(lambda _: finished.set())
        while not finished.wait(_POLL):
            if stopped():
                wait_for(handle.cancel_goal_async(), _PATIENCE)
                progress.end("canceled: the arm holds")
                return None
            if not server & _servers(node):
                raise TimeoutError("the planner was stopped or killed: send the goal again")
        end = result.result().result
        progress.end(
            f"{end.message}. {end.steps} steps, {end.subgoals_reached} of {len(pictures)} goals "
            f"reached, energy {end.final_energy:.4f}, {end.seconds:.1f} s"
        )
        return end
    finally:
        client.destroy()


def _accepted(
    client: ActionClient, goal: Any, progress: Progress, stopped: Callable[[], bool]
) -> Any:
    while not stopped():
        if not client.wait_for_server(timeout_sec=_POLL):
            continue
        sent = client.send_goal_async(goal, lambda message: progress.show(message.feedback))
        handle = wait_for(sent, _PATIENCE)
        if handle.accepted:
            return handle
    return None


def _servers(node: Node) -> set[bytes]:
    """Who serves the action: a planner that was started again is another one."""
    publishers = node.get_publishers_info_by_topic("reach_goal/_action/status")
    return {bytes(publisher.endpoint_gid) for publisher in publishers}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="vjepa_reach", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("pictures", nargs="+", type=Path, help="sub-goals in order, the goal last")
    parser.add_argument("--max-steps", type=int, default=0, help="0: the planner's limit")
    parser.add_argument("--energy", type=float, default=0.0, help="0: the planner's threshold")
    arguments = parser.parse_args(remove_ros_args(sys.argv)[1:])
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with spinning_node("reach_client") as node:
        try:
            end = reach(
                node,
                arguments.pictures,
                max_steps=arguments.max_steps,
                energy=arguments.energy,
                stopped=stop.is_set,
            )
        except TimeoutError as error:
            print(error, file=sys.stderr)
            return 1
    return 0 if end is None or end.outcome == ReachGoal.Result.REACHED else 1


if __name__ == "__main__":
    sys.exit(main())
