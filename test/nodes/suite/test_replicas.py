"""Candidates shared out to predictor nodes in processes of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from std_msgs.msg import Header
from vjepa_msgs.msg import Latent

from vjepa_gate.ros.spinning import spinning
from vjepa_gate.status import Status
from vjepa_ros.model.checkpoints import open_checkpoint
from vjepa_ros.nodes.latents import Frame, to_message
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.qos import LATENTS
from vjepa_ros.nodes.settings import predictor_names
from vjepa_ros.nodes.world import RemoteWorld, Unavailable
from vjepa_ros.planning.config import choose_planner
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.world_model import Context, Goal

PATIENCE = 120  # seconds; a machine may be slow
COUNT = 2


class Asker(ModelNode):
    """As much of the planner as asks the predictors."""

    def status(self):
        return Status(level="ok", message="asking")


@pytest.fixture
def asker(bench):
    node = Asker("asker", context=bench.node.context)
    node.active = True
    with spinning(node):
        yield node
    node.active = False
    node.resources.close()
    node.destroy_node()


@pytest.fixture
def predictors(weights):
    """Processes by the nodes' names."""
    command = [sys.executable, "-m", "vjepa_ros.nodes.composed", "predictor", "--ros-args"]
    told = ["-p", f"weights:={weights}"]
    with contextlib.ExitStack() as running:
        processes = {
            name: running.enter_context(
                subprocess.Popen([*command, "-r", f"__node:={name}", *told], env=os.environ)
            )
            for name in predictor_names(COUNT)
        }
        for process in processes.values():
            running.callback(process.kill)
        yield processes


class Killing:
    """A world in which a process is killed before the third population is asked for."""

    def __init__(self, world, process):
        self.world, self.process, self.populations = world, process, 0

    def cost(self, context, goal, objective):
        score = self.world.cost(context, goal, objective)

        def energies(actions):
            self.populations += 1
            if self.populations == 3:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            return score(actions)

        return energies


def until(what, why):
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, why
        time.sleep(0.2)


def test_one_killed_in_mid_plan_costs_only_its_candidates(
    asker, predictors, model, weights, picture, bench, start_nodes
):
    rgb = torch.from_numpy(picture(1, (2 * 48, 64))).unflatten(0, (2, 48))
    now, goal = model.encode(rgb)
    frame = Frame(
        header=Header(stamp=asker.get_clock().now().to_msg()),
        latents=now,
        weights=open_checkpoint(weights).identity,
        crop="center",
        source="test",
    )
    state = torch.tensor([[0.5, 0.0, 0.3, 3.1, 0.0, 0.0, 0.0]])
    context = Context(latents=now[None], states=state, name=frame.name)
    goal = Goal(latents=goal, name="the goal")
    world = RemoteWorld(asker, PATIENCE, load=lambda: model, predictors=COUNT)
    world.frames.put(None, frame)
    latents = asker.publisher(Latent, "latent", LATENTS)
    config = choose_planner("plain", {"iterations": 6, "horizon": 2})

    def plan(world):
        planner = Planner(config, world)
        return planner.plan(planner.start(context, [goal], seed=5), context)[1].solution

    def all_answer():
        """Both predictors have the frame, and both score."""
        latents.publish(to_message(frame))
        try:
            plan(world)
        except Unavailable:
            return False
        return not world.lost()

    def named():
        """What /diagnostics tells of the planner, which plans nothing meanwhile."""
        values = bench.diagnostics["planner"].values
        return [value.value for value in values if value.key == "predictors lost"]

    until(all_answer, "the predictors do not answer")
    start_nodes("planner", predictors=COUNT)
    until(lambda: "planner" in bench.diagnostics and not named(), "one is lost")
    alone, together = plan(model), plan(world)
    victim = predictor_names(COUNT)[1]
    killed = plan(Killing(world, predictors[victim]))
    assert world.lost() == [victim]
    until(lambda: named() == [victim], "nobody says who is lost")
    for found in (together, killed):
        assert torch.equal(found.actions, alone.actions)
        assert torch.equal(found.statistics.energies, alone.statistics.energies)
