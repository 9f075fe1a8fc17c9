"""What the graph adds to planning: from a picture to the command, and through the service.

    python benchmarks/latency.py

Picture to command: the simulated camera at 640×480 and the whole stack, composed and in
separate processes. The time runs from the stamp of the image that was planned from to the
`ee_delta` that a subscriber receives, less the seconds that planning took. The camera's own
part, which the stamp includes, is the time in which the same picture reaches a subscriber: a
simulation draws it in that time.

Service: one search, the same samples, asking a predictor in a process of its own and asking
the world model in this process, in turns. Needs an idle machine.

    python benchmarks/latency.py --predictors 2

Replicas: the same search shared out to several predictors, each in a process of its own. What
sharing out adds to a plan is its time less that of the slowest share of each population, as the
predictors measure it, and less what the search itself takes, which is what is left of the plan in
this process without the model's part; the plan must be the same, to the bit.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import loopback  # noqa: F401 (before all that looks at the environment)
import numpy as np
import rclpy
import torch
from rclpy.action import ActionClient
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from torch import Tensor
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta, Latent, Plan

from vjepa_gate.ros.spinning import ask, spinning, spinning_node
from vjepa_gate.status import Status
from vjepa_ros.images import encode_png
from vjepa_ros.model.checkpoints import load_weights
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.nodes.latents import Frame, stamp_key, to_message
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.qos import LATENTS
from vjepa_ros.nodes.settings import predictor_names
from vjepa_ros.nodes.world import RemoteWorld, Unavailable
from vjepa_ros.options import Options
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import Cost, Solution
from vjepa_ros.planning.world_model import Context, Goal, WorldModel
from vjepa_ros.stack import processes, with_parameters
from vjepa_ros.supervisor import Supervisor

WIDTH, HEIGHT = 640, 480
PATIENCE = 120.0  # seconds
LIMITS = {"composed": 20, "separate processes": 50}  # ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=30, help="actions in each measurement")
    parser.add_argument("--plans", type=int, default=10, help="searches for the service's share")
    parser.add_argument(
        "--predictors", type=int, help="only measure searches that so many of them share"
    )
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.predictors:
        through_the_service(arguments.plans, arguments.predictors)
        return
    for name, composed in (("composed", True), ("separate processes", False)):
        picture_to_command(name, composed, arguments.steps)
    through_the_service(arguments.plans, 1)


# --- from a picture to the command -------------------------------------------------------


def picture_to_command(name: str, composed: bool, steps: int) -> None:
    options = Options(
        sim=True,
        composed=composed,
        subgoals="none",
        samples=32,
        iterations=2,
        horizon=1,
        step_period=0.25,
        max_image_age=20.0,
    )
    size = {"image_width": WIDTH, "image_height": HEIGHT}
    stack = with_parameters(processes(options), {"sim": size})
    with (
        tempfile.TemporaryFile("w+") as log,
        Supervisor(stack, log) as supervisor,
        spinning_node("benchmark") as node,
    ):
        seen: dict[tuple[int, int], float] = {}
        commanded: dict[tuple[int, int], float] = {}
        planned: dict[tuple[int, int], float] = {}

        def note_image(image: Image) -> None:
            seen[stamp_key(image.header.stamp)] = age(image.header.stamp)

        def note_command(delta: EndEffectorDelta) -> None:
            commanded[stamp_key(delta.image_stamp)] = age(delta.image_stamp)

        def note_plan(plan: Plan) -> None:
            planned[stamp_key(plan.image_stamp)] = plan.seconds

        node.create_subscription(Image, "camera/image_raw", note_image, qos_profile_sensor_data)
        node.create_subscription(EndEffectorDelta, "ee_delta", note_command, 100)
        node.create_subscription(Plan, "plan", note_plan, 100)
        goal = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        picture = CompressedImage(format="png", data=encode_png(goal))
        request = ReachGoal.Goal(images=[picture], max_steps=steps, energy_threshold=1e-6)
        client = ActionClient(node, ReachGoal, "reach_goal")
        while not client.wait_for_server(1.0):
            supervisor.check()
        handle = ask(node, client.send_goal_async, request, timeout=PATIENCE)
        answer = ask(node, handle.get_result_async, timeout=PATIENCE + 10 * steps)
        client.destroy()
        log.seek(0)
        lines = log.readlines()
    stamps = [stamp for stamp in commanded if stamp in planned and stamp in seen]
    if len(stamps) < steps / 2:
        why = answer.result.message or f"status {answer.status}"
        last = "".join(lines[-20:])
        raise SystemExit(f"{name}: only {len(stamps)} of {steps} actions: {why}\n{last}")
    camera = np.array([seen[stamp] for stamp in stamps])
    graph = np.array([commanded[stamp] - planned[stamp] for stamp in stamps])
    print(f"\n{name}, {WIDTH}×{HEIGHT}, {len(stamps)} actions (ms)")
    row("image stamp to command, less planning", graph)
    row("of this the camera's own", camera)
    row(f"of this the nodes' (limit {LIMITS[name]})", graph - camera)
    row("planning", np.array([planned[stamp] for stamp in stamps]))


def age(stamp: object) -> float:
    return time.time() - stamp.sec - 1e-9 * stamp.nanosec  # type: ignore[attr-defined]


def row(name: str, seconds: np.ndarray) -> None:
    median, p95 = 1e3 * np.median(seconds), 1e3 * np.quantile(seconds, 0.95)
    print(f"  {name:40} median {median:7.1f}   p95 {p95:7.1f}", flush=True)


# --- planning through the service --------------------------------------------------------


class Asker(ModelNode):
    """As much of the planner as asks the predictor."""

    def status(self) -> Status:
        return Status(level="ok", message="measuring")


def through_the_service(plans: int, count: int) -> None:
    weights = load_weights(SHIPPED_WEIGHTS)
    assert weights.encoder is not None
    assert weights.predictor is not None
    preprocessor = Preprocessor(weights.config.image_size, weights.config.crop)
    local = WorldModel(weights.encoder, weights.predictor, preprocessor)
    rgb = torch.randint(0, 256, (2, HEIGHT, WIDTH, 3), dtype=torch.uint8)
    now, goal = local.encode(rgb[0][None])[0], local.encode(rgb[1][None])[0]
    rclpy.init()
    node = Asker("benchmark")
    node.active = True
    remote = Timed(node, PATIENCE, lambda: local, count)
    latents = node.publisher(Latent, "latent", LATENTS)
    command = [sys.executable, "-m", "vjepa_ros.nodes.composed", "predictor", "--ros-args", "-r"]
    predictors = [
        subprocess.Popen([*command, f"__node:={name}"]) for name in predictor_names(count)
    ]
    try:
        with spinning(node):
            frame = Frame(
                header=Header(stamp=node.get_clock().now().to_msg()),
                latents=now,
                weights=weights.identity,
                crop=weights.config.crop,
                source="benchmark",
            )
            remote.frames.put(None, frame)
            state = torch.tensor([[0.5, 0.0, 0.3, torch.pi, 0.0, 0.0, 0.0]])
            context = Context(latents=now[None], states=state, name=frame.name)

            def search(world: CostModel) -> tuple[float, float, Solution]:
                return timed_plan(world, context, Goal(latents=goal, name="the goal"))

            wait_until_asked(
                lambda: latents.publish(to_message(frame)), lambda: search(remote), remote
            )
            here = Here(local)
            search(here)
            pairs, added, asking, own = [], [], [], []
            for _ in range(plans):
                (alone, _, one), (together, cpu, other) = search(here), search(remote)
                if not torch.equal(one.actions, other.actions):
                    raise SystemExit("the plans differ: shares have changed the bits")
                pairs.append((alone, together))
                own.append(alone - here.spent)
                added.append(together - remote.slowest_shares())
                asking.append(cpu)
            compare(pairs)
            row("CPU of the process that asks, search and all", np.array(asking))
            row("the search itself, without the model", np.array(own))
            row(f"sharing out to {count} adds (limit 5)", np.array(added) - np.median(own))
    finally:
        for predictor in predictors:
            predictor.terminate()
        for predictor in predictors:
            predictor.wait()
        node.resources.close()
        node.destroy_node()
        rclpy.try_shutdown()


class Here:
    """A world model in this process; `spent` is the seconds in it of the last plan."""

    def __init__(self, model: WorldModel) -> None:
        self.model, self.spent = model, 0.0

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        started = time.perf_counter()
        score = self.model.cost(context, goal, objective)
        self.spent += time.perf_counter() - started

        def energies(actions: Tensor) -> Tensor:
            started = time.perf_counter()
            found = score(actions)
            self.spent += time.perf_counter() - started
            return found

        return energies

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        return self.model.rollout(context, actions)


class Timed(RemoteWorld):
    """Notes how long each predictor scored, population by population."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._populations: list[list[float]] = []

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        score = super().cost(context, goal, objective)

        def energies(actions: Tensor) -> Tensor:
            self._populations.append([])
            return score(actions)

        return energies

    def _call(self, server: str, client: Any, request: Any) -> Any:
        response = super()._call(server, client, request)
        self._populations[-1].append(response.seconds)
        return response

    def slowest_shares(self) -> float:
        """Seconds, all populations since the last call together."""
        total = sum(max(shares) for shares in self._populations if shares)
        self._populations.clear()
        return total


def timed_plan(world: CostModel, context: Context, goal: Goal) -> tuple[float, float, Solution]:
    """The plan, and the seconds of the clock and of this process's CPU that it took."""
    planner = Planner(PLANNERS["tiny"], world)
    task = planner.start(context, [goal])
    if isinstance(world, Timed):
        world.slowest_shares()
    elif isinstance(world, Here):
        world.spent = 0.0
    started, cpu = time.perf_counter(), time.process_time()
    _, decision = planner.plan(task, context)
    assert decision.solution is not None
    return time.perf_counter() - started, time.process_time() - cpu, decision.solution


def wait_until_asked(
    tell: Callable[[], None], work: Callable[[], object], remote: RemoteWorld
) -> None:
    """Until each predictor has the frame, and has scored a share in time."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        tell()
        with contextlib.suppress(Unavailable):
            work()
            if not remote.lost():
                return
    raise SystemExit("the predictors do not answer")


def compare(pairs: Sequence[tuple[float, float]]) -> None:
    local, remote = np.array(pairs).T
    print(f"\na search of {len(pairs)}, in turns (ms)")
    row("in this process", local)
    row("through the service", remote)
    ratio = np.median(remote / local)
    print(f"  the service costs {100 * (ratio - 1):+.1f} % (limit 5 %)", flush=True)


if __name__ == "__main__":
    main()
