"""Plays an episode to the nodes as the robot and its camera would, and listens to what they say.

Everything is stamped anew: to the nodes it happens now. The arm stands where the last frame saw
it until the next one.
"""

import array
import contextlib
import functools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from geometry_msgs.msg import PoseStamped, TwistStamped
from numpy.typing import NDArray
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32
from torch import Tensor
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta, Latent, Plan

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.errors import UserError
from vjepa_gate.plausibility import SETTLED
from vjepa_gate.robots import Robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.qos import of_topic
from vjepa_gate.ros.spinning import ask, send
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.images import encode_png, rgb_to_fields
from vjepa_ros.nodes.latents import stamp_key, to_frame
from vjepa_ros.replay.stand_in import StandIn

PACE = 0.02  # seconds between the planner's answer and the image that it looks at next
_STATE_PERIOD = 0.02  # seconds
_POLL = 0.1  # seconds
_START = 300.0  # seconds for the nodes to load and to answer the first time
_AGAIN = 1.0  # seconds between two images before the nodes have found each other
_ANSWER = 20.0  # seconds for an answer to one image; then it counts as lost, and is shown again
_SHOWINGS = 3  # of one image that nobody answers
_NEVER = 1e-6  # energy: only the goal's own picture is that near
_MOST_STEPS = 2**31 - 1
_SECONDS = 1e6  # for one task

Stamp = tuple[int, int]


@dataclass(frozen=True)
class _Showing:
    step: int
    time: float  # ROS seconds
    measured: bool  # False before the nodes have found each other


@dataclass(frozen=True, kw_only=True)
class GraphPlan:
    """What the planner said of one image."""

    step: int
    task: int  # the planner begins anew with each; 1 is the first
    seed: int
    energy_now: float  # of the image itself, to the goal
    action: list[float]  # [7] as it was sent to the arm gate


@dataclass(kw_only=True)
class Played:
    """What was heard while one episode played."""

    frames: int
    shown: int = 0  # with those that were shown again
    seconds: float = 0.0
    latents: dict[int, Tensor] = field(default_factory=dict)  # [L, D] of the first steps
    latent_seconds: list[float] = field(default_factory=list)  # from image to latent
    delta_seconds: list[float] = field(default_factory=list)  # from image to delta
    plans: list[GraphPlan] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)  # by topic


class Player:
    """In a node that somebody else spins. `check` is called again and again while it waits, and
    raises what shall end that.
    """

    def __init__(self, node: Node, robot: Robot, check: Callable[[], object]) -> None:
        topics = robot.topics
        self._node, self._robot, self._check = node, robot, check
        kind = CompressedImage if topics.camera.compressed else Image
        self._arm = StandIn(node, robot)
        self._topics = (topics.camera.name, *self._arm.topics)
        self._images = node.create_publisher(kind, topics.camera.name, of_topic(topics.camera))
        self._reach = ActionClient(node, ReachGoal, "reach_goal")
        self._changed = threading.Condition()
        self._end: Any = None  # the task's result
        self._state: Tensor | None = None  # [7]; None: it is told with the images alone
        self._forget()
        self._listen()
        node.create_timer(_STATE_PERIOD, self._hold)

    def _listen(self) -> None:
        queue = QoSProfile(depth=1000)
        target = PoseStamped if self._robot.command == "pose" else TwistStamped
        for kind, topic, callback in (
            (Latent, "latent", self._on_latent),
            (EndEffectorDelta, "ee_delta", self._on_delta),
            (Plan, "plan", self._on_plan),
            (Float32, "surprise", None),
            (target, "arm_gate/shadow_target", None),
        ):
            self._node.create_subscription(kind, topic, self._counting(topic, callback), queue)

    def wait_for_stack(self) -> None:
        """Until the planner is there."""
        while not self._reach.wait_for_server(timeout_sec=_POLL):
            self._check()

    def play(self, reader: EpisodeReader, rate: float, checked: int) -> Played:
        """At `rate` times its own speed; 0: each frame when the last one was answered.

        Keeps the latents of the first `checked` steps. Raises UserError where another robot is
        in the graph, or the nodes do not answer.
        """
        self._check_alone()
        steps = len(reader)
        goal = next(reader.frames(steps - 1, steps))
        self._forget(frames=steps, checked=checked)
        self._stand(reader.trajectory.states[0])
        with self._heading_for(goal):
            self._lead_in(0, next(reader.frames(0, 1)), reader.trajectory.states[0])
            self._played.messages.clear()
            started = time.monotonic()
            if rate > 0:
                self._play_at(reader, rate)
            else:
                self._play_answered(reader)
            self._played.seconds = time.monotonic() - started
            if rate > 0:
                self._wait(lambda: self._end is not None, _ANSWER)  # of what is under way
            self._state = None
        self._played.plans = list(self._plans())
        return self._played

    def _check_alone(self) -> None:
        for topic in self._topics:
            others = self._node.count_publishers(topic) - 1
            if others > 0:
                raise UserError(
                    f"{topic} has {others} other publisher(s): a robot or a simulation is in this "
                    "ROS domain; replay in one of its own (export ROS_DOMAIN_ID=…)"
                )

    # --- playing ---------------------------------------------------------------------------

    def _play_at(self, reader: EpisodeReader, rate: float) -> None:
        times = (reader.trajectory.stamps - reader.trajectory.stamps[0]) / rate
        started = time.monotonic()
        for step, frame in enumerate(reader.frames()):
            time.sleep(max(0.0, started + times[step] - time.monotonic()))
            self._check()
            with self._changed:
                self._state = torch.from_numpy(reader.trajectory.states[step])
                self._show(step, frame, reader.trajectory.states[step])
            if self._has_stalled():
                self._begin_task()

    def _play_answered(self, reader: EpisodeReader) -> None:
        for step, frame in enumerate(reader.frames()):
            state = reader.trajectory.states[step]
            for _ in range(_SHOWINGS):
                stamp = self._show(step, frame, state)
                if self._wait(functools.partial(self._answered, stamp), _ANSWER):
                    break
            else:
                raise UserError(f"no answer to frame {step}; {self._said}")
            time.sleep(PACE)
            if self._has_stalled():
                self._begin_task()
                self._lead_in(step, frame, state)

    def _stand(self, state: NDArray[np.float64]) -> None:
        """Tell the arm's place until a gate believes it: since the last episode it has jumped."""
        with self._changed:
            self._state = torch.from_numpy(state)
        self._wait(lambda: False, 2 * SETTLED)
        with self._changed:
            self._state = None

    def _lead_in(self, step: int, frame: NDArray[np.uint8], state: NDArray[np.float64]) -> None:
        """One frame, until the nodes have found each other and a plan of this task came of it."""
        end = time.monotonic() + _START
        while not self._wait(lambda: self._has_planned or self._end is not None, _AGAIN):
            self._show(step, frame, state, measured=False)
            if time.monotonic() > end:
                raise UserError(f"no plan within {_START:g} s; {self._said}")
        self._check_task()
        time.sleep(PACE)

    def _show(
        self,
        step: int,
        frame: NDArray[np.uint8],
        state: NDArray[np.float64],
        measured: bool = True,
    ) -> Stamp:
        with self._changed:
            message = self._image(frame)
            message.header.stamp = self._node.get_clock().now().to_msg()
            message.header.frame_id = "replay_camera_optical_frame"
            stamp = stamp_key(message.header.stamp)
            self._shown[stamp] = _Showing(step, stamps.seconds(message.header.stamp), measured)
            self._played.shown += measured
            self._tell_state(torch.from_numpy(state), message.header.stamp)
        self._images.publish(message)
        self._played.messages[self._topics[0]] += 1
        return stamp

    def _image(self, frame: NDArray[np.uint8]) -> Any:
        if self._robot.topics.camera.compressed:
            return CompressedImage(format="rgb8; png compressed bgr8", data=_bytes(frame))
        return Image(**rgb_to_fields(frame))

    def _hold(self) -> None:
        with self._changed:
            if self._state is not None:
                self._tell_state(self._state, self._node.get_clock().now().to_msg())

    def _tell_state(self, state: Tensor, stamp: Any) -> None:
        self._arm.tell(state, stamp)
        self._played.messages.update(self._topics[1:])

    # --- the task --------------------------------------------------------------------------

    @contextlib.contextmanager
    def _heading_for(self, goal: NDArray[np.uint8]) -> Iterator[None]:
        """The planner heads for a picture that nothing but this very picture reaches."""
        self._request = ReachGoal.Goal(
            images=[CompressedImage(format="png", data=_bytes(goal))],
            max_steps=_MOST_STEPS,
            max_seconds=_SECONDS,
            energy_threshold=_NEVER,
        )
        self._begin_task()
        try:
            yield
            self._check_task()
        finally:
            if self._end is None:
                with contextlib.suppress(TimeoutError):
                    ask(self._node, self._handle.cancel_goal_async, timeout=_ANSWER)
                    self._wait(lambda: self._end is not None, _ANSWER)

    def _begin_task(self) -> None:
        with self._changed:
            self._end, self._has_planned = None, False
            self._task += 1
        self._handle = ask(
            self._node, self._reach.send_goal_async, self._request, self._on_feedback,
            timeout=_ANSWER,
        )  # fmt: skip
        if not self._handle.accepted:
            raise UserError("the planner refused the goal: see what it says")
        result = send(self._node, self._handle.get_result_async, timeout=_ANSWER)
        result.add_done_callback(self._on_result)

    def _on_feedback(self, message: Any) -> None:
        self._said = f"the planner says: {message.feedback.message}"

    def _on_result(self, future: Any) -> None:
        with self._changed:
            self._end = future.result().result
            self._changed.notify_all()

    def _has_stalled(self) -> bool:
        """The planner gives up where an arm that it drives would be stuck; this one goes on."""
        self._check_task()
        return self._end is not None and self._end.outcome != ReachGoal.Result.REACHED

    def _check_task(self) -> None:
        if self._end is not None and self._end.outcome == ReachGoal.Result.FAILED:
            raise UserError(f"the planner gave up: {self._end.message}")

    # --- listening -------------------------------------------------------------------------

    def _forget(self, frames: int = 0, checked: int = 0) -> None:
        with self._changed:
            self._played, self._checked = Played(frames=frames), checked
            self._end, self._task, self._has_planned = None, 0, False
            self._said = "the planner says nothing"
            self._shown: dict[Stamp, _Showing] = {}
            self._encoded: set[Stamp] = set()
            self._deltas: dict[Stamp, tuple[int, EndEffectorDelta]] = {}  # with their task
            self._seeds: dict[Stamp, tuple[int, float]] = {}  # with the energy of the image

    def _counting(
        self, topic: str, callback: Callable[[Any, _Showing, Stamp], None] | None
    ) -> Callable[[Any], None]:
        def on_message(message: Any) -> None:
            with self._changed:
                self._played.messages[topic] += 1
                if callback is None:
                    return
                of = message.header.stamp if topic == "latent" else message.image_stamp
                showing = self._shown.get(stamp_key(of))  # None: of an episode before
                if showing is not None:
                    callback(message, showing, stamp_key(of))
                    self._changed.notify_all()

        return on_message

    def _on_latent(self, message: Latent, showing: _Showing, stamp: Stamp) -> None:
        if stamp in self._encoded:
            return
        self._encoded.add(stamp)
        if showing.measured:
            self._played.latent_seconds.append(stamps.now(self._node) - showing.time)
        if showing.step < self._checked:
            self._played.latents[showing.step] = to_frame(message).latents

    def _on_delta(self, message: EndEffectorDelta, showing: _Showing, stamp: Stamp) -> None:
        self._deltas[stamp] = self._task, message
        if showing.measured:
            self._played.delta_seconds.append(stamps.now(self._node) - showing.time)

    def _on_plan(self, message: Plan, showing: _Showing, stamp: Stamp) -> None:
        self._seeds[stamp] = message.seed, message.energy_now
        self._has_planned = True

    def _answered(self, stamp: Stamp) -> bool:
        return stamp in self._encoded and (stamp in self._seeds or self._end is not None)

    def _plans(self) -> Iterator[GraphPlan]:
        for stamp, (task, delta) in self._deltas.items():
            if stamp in self._seeds:
                seed, energy = self._seeds[stamp]
                yield GraphPlan(
                    step=self._shown[stamp].step,
                    task=task,
                    seed=seed,
                    energy_now=energy,
                    action=[getattr(delta, name) for name in ACTION_NAMES],
                )

    # --- waiting ---------------------------------------------------------------------------

    def _wait(self, true: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._changed:
                if self._changed.wait_for(true, _POLL):
                    return True
            self._check()
        return False


def _bytes(frame: NDArray[np.uint8]) -> array.array:
    return array.array("B", encode_png(frame))
