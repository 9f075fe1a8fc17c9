"""How long the arm stands idle through the graph in real time, without and with overlap.

    python benchmarks/overlap.py --out runs/overlap --episodes 50 --seed 5100

The simulated robot, the arm gate, encoder, predictor and planner, each in a process of its own
(or the last three in one, with --composed); one task after the other, its goals drawn by the
simulation. The arm is idle while no action is under way, from the moment a goal is sent until the
last action ends. Every task is written down when it is done; started again, the run goes on with
those that are missing. Needs an idle machine.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import loopback  # noqa: F401 (before all that looks at the environment)
import numpy as np
from rclpy.action import ActionClient
from rclpy.node import Node
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta
from vjepa_msgs.srv import ResetScene

from vjepa_gate.ros.qos import DELTAS
from vjepa_gate.ros.spinning import ask, spinning_node, wait_for
from vjepa_gate.ros.stamps import seconds
from vjepa_ros.demo.performance import Witness
from vjepa_ros.evaluation.statistics import median_and_p95, wilson_interval
from vjepa_ros.options import Options
from vjepa_ros.planning.overlap import CORRECTED
from vjepa_ros.stack import processes
from vjepa_ros.supervisor import Supervisor

PATIENCE = 120.0  # seconds for an answer
REST = 1.0  # seconds between the end and the judgement, as in an evaluation


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What one task came to."""

    seed: int
    success: bool
    reason: str  # of the judgement
    end: str  # as the planner tells it
    steps: int
    idle: float  # share of the time
    first: float  # seconds until the first action
    ahead: int  # of the actions, those that were planned while the one before was made
    planning: list[float]  # seconds, of each plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the trials")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=5100)
    parser.add_argument("--task", default="grasp cube", help="one of `vjepa-sim tasks`")
    parser.add_argument("--goals", choices=("single", "paper", "dense"), default="dense")
    parser.add_argument("--composed", action="store_true", help="the models in one process")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print("| overlap | success | 95 % | steps | s a plan | arm idle, median (p10 … p90) | ahead |")
    print("|---|---|---|---|---|---|---|")
    for overlap in (False, True):
        print(row(overlap, trials(overlap, arguments)), flush=True)


def trials(overlap: bool, arguments: argparse.Namespace) -> list[Trial]:
    """Do the tasks that are not written down yet; all of them."""
    file = arguments.out / f"{'with' if overlap else 'without'}.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    done = [Trial(**json.loads(line)) for line in lines]
    missing = range(arguments.seed + len(done), arguments.seed + arguments.episodes)
    if missing:
        options = Options(
            sim=True, task=arguments.task, overlap=overlap, composed=arguments.composed
        )
        with graph(options, arguments.out / "nodes.log") as node, file.open("a") as written:
            robot = Robot(node, arguments.goals)
            for seed in missing:
                done.append(robot.attempt(seed))
                print(json.dumps(asdict(done[-1])), file=written, flush=True)
    return done


@contextmanager
def graph(options: Options, log: Path) -> Iterator[Node]:
    with (
        log.open("a") as lines,
        Supervisor(processes(options), lines) as supervisor,
        spinning_node("benchmark") as node,
    ):
        client = ActionClient(node, ReachGoal, "reach_goal")
        while not client.wait_for_server(1.0):
            supervisor.check()
        client.destroy()
        yield node


class Robot:
    """The simulated one, asked to do tasks, and watched."""

    def __init__(self, node: Node, schedule: str) -> None:
        self._node, self._schedule = node, schedule
        self._witness = Witness(node)
        self._deltas: list[EndEffectorDelta] = []
        node.create_subscription(EndEffectorDelta, "ee_delta", self._deltas.append, DELTAS)
        self._reset = node.create_client(ResetScene, "sim/reset")
        self._client = ActionClient(node, ReachGoal, "reach_goal")

    def attempt(self, seed: int) -> Trial:
        request = ResetScene.Request(seed=seed, schedule=self._schedule)
        scene = wait_for(self._reset.call_async(request), PATIENCE)
        if not scene.success:
            raise SystemExit(scene.message)
        time.sleep(REST)  # encoder and gate see the new scene
        self._deltas.clear()
        self._witness.plans.clear()
        ahead = 0

        def count(message: Any) -> None:
            nonlocal ahead
            ahead += message.feedback.message.endswith(CORRECTED)

        goal, asked = ReachGoal.Goal(images=scene.goals), time.time()
        handle = ask(self._node, self._client.send_goal_async, goal, count, timeout=PATIENCE)
        result = ask(self._node, handle.get_result_async, timeout=PATIENCE).result
        time.sleep(REST)
        truth = self._witness.newest_truth(lambda: False)
        assert truth is not None
        if not self._deltas:
            raise SystemExit(f"scene {seed}: the arm was not moved: {result.message}")
        return Trial(
            seed=seed,
            success=truth.success,
            reason=truth.reason,
            end=result.message,
            steps=result.steps,
            idle=idle(self._deltas, asked),
            first=seconds(self._deltas[0].header.stamp) - asked,
            ahead=ahead,
            planning=[plan.seconds for plan in self._witness.plans],
        )


def idle(deltas: list[EndEffectorDelta], asked: float) -> float:
    """The share of the time in which no action was under way; one that follows early ends the
    one before.
    """
    starts = np.array([seconds(delta.header.stamp) for delta in deltas])
    ends = starts + [delta.duration for delta in deltas]
    made = np.minimum(ends, np.append(starts[1:], np.inf)) - starts
    return float(1 - made.sum() / (ends[-1] - asked))


def row(overlap: bool, done: list[Trial]) -> str:
    successes, shares = sum(one.success for one in done), [100 * one.idle for one in done]
    low, high = wilson_interval(successes, len(done))
    least, middle, most = np.percentile(shares, (10, 50, 90))
    planning = median_and_p95([second for one in done for second in one.planning])
    steps = sum(one.steps for one in done)
    return (
        f"| {'yes' if overlap else 'no'} | {successes} of {len(done)} | {low:.0%} … {high:.0%} "
        f"| {np.median([one.steps for one in done]):.0f} "
        f"| {planning['median']:.3f} (p95 {planning['p95']:.3f}) "
        f"| {middle:.0f} % ({least:.0f} … {most:.0f}) "
        f"| {f'{sum(one.ahead for one in done)} of {steps}' if overlap else '–'} |"
    )


if __name__ == "__main__":
    main()
