"""The stack as `vjepa-ros run` starts it, with the simulated Franka, for all tests of a module."""

import contextlib
import dataclasses
import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest
import yaml
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.action import ActionClient
from sensor_msgs.msg import CompressedImage
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta

from audit import violations
from vjepa_gate.robots import load_robot
from vjepa_gate.ros.spinning import ask, spinning_node
from vjepa_gate.share import config_folder
from vjepa_ros.images import encode_png
from vjepa_ros.model.predictor import PredictorConfig
from vjepa_ros.options import Options
from vjepa_ros.stack import processes, with_parameters
from vjepa_ros.supervisor import Supervisor
from vjepa_sim.faults import PREFIX, Faults

PATIENCE = 120  # seconds: a node that starts anew on a busy machine
# A residual predictor that nobody trained sees no difference between actions: the arm wanders
# about. (Any other one has a favourite direction, and waits where its workspace ends.)
INDIFFERENT = PredictorConfig(latent_width=48, grid=4, width=48, depth=1, heads=2, residual=True)
# Slow, so that the arm is on its way all the time, and well above the table.
SLOW = {"speed": 0.05, "acceleration": 0.5, "workspace_low": [0.25, -0.4, 0.15]}
MAX_COMMAND_AGE = 0.5
SIM = {"image_width": 64, "image_height": 64, "camera_rate": 8.0, "state_rate": 40.0}
# Ages that a busy machine keeps.
SETTINGS = {
    "rate": 50.0,
    "max_command_age": MAX_COMMAND_AGE,
    "max_state_age": 2.0,
    "max_camera_age": 3.0,
    "max_image_age": 4.5,
    "settle": 0.0,
    "max_wait": 300.0,
}
HEALTHY = dataclasses.asdict(Faults())
Result = ReachGoal.Result


class Lab:
    """Has goals and faults; keeps all that is published and told."""

    def __init__(self, node, watcher, pids, limits, restarts):
        self.node, self.watcher, self.pids, self._limits = node, watcher, pids, limits
        self._restarts = restarts
        self.deltas, self.feedback = [], []
        self._handles = []
        node.create_subscription(EndEffectorDelta, "ee_delta", self.deltas.append, 100)
        self.action = ActionClient(node, ReachGoal, "reach_goal")

    # --- goals ---

    def head_for(self, patience=PATIENCE, **fields):
        """The handle of a goal, which is never reached if not said otherwise."""
        request = ReachGoal.Goal(
            **{"images": [png(1)], "max_steps": 10_000, "energy_threshold": 1e-6} | fields
        )
        assert self.action.wait_for_server(PATIENCE)
        send = self.action.send_goal_async
        handle = ask(self.node, send, request, self._on_feedback, timeout=patience)
        assert handle.accepted
        self._handles.append(handle)
        return handle

    def head_for_anew(self):
        """The handle of a goal of a planner that was killed: until the middleware knows of the new
        one, a request goes to the old one, whom it still takes for alive, and nobody answers it.
        """
        for _ in range(5):
            with contextlib.suppress(TimeoutError):
                return self.head_for(patience=PATIENCE / 5)
        raise TimeoutError(f"no answer within {PATIENCE} s")

    def _on_feedback(self, message):
        self.feedback.append(message.feedback.message)

    def _ask(self, request, *arguments):
        return ask(self.node, request, *arguments, timeout=PATIENCE)

    def has_ended(self, handle):
        return handle.status in (GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_CANCELED)

    def result(self, handle):
        result = self._ask(handle.get_result_async).result
        self.forget(handle)
        return result

    def cancel(self, handle):
        self._ask(handle.cancel_goal_async)
        return self.result(handle)

    def forget(self, handle):
        """It has ended, or its planner is gone."""
        self._handles.remove(handle)

    def waits_because(self, text):
        """Whether feedback says what the planner is waiting for, since now."""
        self.feedback.clear()
        return lambda: any(
            said.startswith("waiting: ") and text in said for said in list(self.feedback)
        )

    # --- faults ---

    def inflict(self, **faults):
        values = {f"{PREFIX}{name}": value for name, value in faults.items()}
        assert not self.watcher.set("vjepa_sim_robot", **values)

    def heal(self):
        self.inflict(**HEALTHY)

    def reconfigure(self, name, **values):
        for transition in ("deactivate", "cleanup"):
            assert self.watcher.transit(name, transition)
        assert not self.watcher.set(name, **values)
        for transition in ("configure", "activate"):
            assert self.watcher.transit(name, transition)

    @contextlib.contextmanager
    def in_place_of_the_planner(self):
        """A function that sends an action, whose numbers it is given."""
        for transition in ("deactivate", "cleanup"):
            assert self.watcher.transit("planner", transition)
        publisher = self.node.create_publisher(EndEffectorDelta, "ee_delta", 10)
        counter = itertools.count(1)

        def send(**numbers):
            stamp = self.node.get_clock().now().to_msg()
            delta = EndEffectorDelta(image_stamp=stamp, sequence=next(counter), duration=0.4)
            delta.header.stamp, delta.header.frame_id = stamp, "base"
            for name, value in numbers.items():
                setattr(delta, name, value)
            publisher.publish(delta)

        yield send
        self.node.destroy_publisher(publisher)
        for transition in ("configure", "activate"):
            assert self.watcher.transit("planner", transition)

    @contextlib.contextmanager
    def killed(self, name):
        """Not started again before the end: what it leads to may take a moment to be told."""
        self._restarts.clear()
        os.kill(self.pids()[name], signal.SIGKILL)
        yield
        self._restarts.set()

    # --- targets ---

    def moves(self):
        """Whether the arm is sent somewhere else, from now on."""
        before = len(self.watcher.targets)

        def moved():
            _, positions, _ = self.watcher.stream()
            return len(positions) > before and np.ptp(positions[before:], axis=0).max() > 0.005

        return moved

    def stands(self, seconds=0.5):
        """Whether the targets have stayed where they are for so long."""
        since = time.monotonic()
        place = None

        def stood():
            nonlocal since, place
            _, positions, _ = self.watcher.stream(1)
            if not len(positions):  # this test began before a target came
                return False
            here = positions[-1]
            if place is None or np.abs(here - place).max() > 1e-6:
                since, place = time.monotonic(), here
            return time.monotonic() - since > seconds

        return stood

    def late_targets(self):
        """Seconds from the last action until the targets stood still."""
        stamps, positions, _ = self.watcher.stream()
        steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
        stopped = stamps[1:][steps > 1e-6].max()
        stamp = self.deltas[-1].header.stamp
        return stopped - (stamp.sec + 1e-9 * stamp.nanosec)

    def audit(self):
        """What was sent outside the limits so far."""
        return violations(*self.watcher.stream(), self._limits, period=1 / SETTINGS["rate"])

    def clear(self):
        self._restarts.set()
        for handle in list(self._handles):
            self.cancel(handle)
        self.heal()


def png(seed, size=(64, 64)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    return CompressedImage(format="png", data=encode_png(pixels))


@pytest.fixture(scope="module")
def draw():
    return png


@pytest.fixture(scope="module")
def make_weights(small_weights):
    def make(seed):
        # An untrained model shows no plan that is better than staying: no hand rule may ask for it.
        return str(small_weights(seed, "plain", predictor=INDIFFERENT, step_period=0.4))

    return make


@pytest.fixture(scope="module")
def slow_robot(tmp_path_factory):
    content = yaml.safe_load((config_folder("vjepa_gate") / "sim.yaml").read_text())
    content["limits"] |= SLOW
    path = tmp_path_factory.mktemp("robot") / "slow.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@contextlib.contextmanager
def kept_alive(supervisor):
    """What dies is started again, as `vjepa-ros run` does, while what it gives is set."""
    ended, restarts = threading.Event(), threading.Event()
    restarts.set()

    def check():
        while not ended.wait(0.1):
            if restarts.is_set():
                supervisor.check()

    thread = threading.Thread(target=check)
    thread.start()
    try:
        yield restarts
    finally:
        ended.set()
        thread.join()


@pytest.fixture(scope="module")
def running_lab(make_weights, slow_robot, watch, wait_until):
    options = Options(
        sim=True,
        task="reach",
        robot=slow_robot,
        weights=make_weights(0),
        samples=16,
        iterations=2,
        **SETTINGS,
    )
    stack = with_parameters(processes(options), {"sim": SIM})
    with (
        spinning_node("lab") as node,
        Supervisor(stack) as supervisor,
        kept_alive(supervisor) as restarts,
    ):
        limits = load_robot(slow_robot).limits
        lab = Lab(node, watch(node), supervisor.pids, limits, restarts)
        for name in ("encoder", "predictor", "planner", "arm_gate"):
            wait_until(lambda name=name: lab.watcher.level(name) == DiagnosticStatus.OK, name)
        yield lab


@pytest.fixture
def lab(running_lab, wait_until):
    """The lab, healthy and without a task; nothing that a test did went outside the limits."""
    targets = running_lab.watcher.targets
    targets.clear()
    yield running_lab
    running_lab.clear()
    if targets:  # the gate is silent until it has taken an action
        wait_until(lambda: len(targets) > 2, "targets")
        assert running_lab.audit() == []
