"""The encoder and the predictor as the planner uses them: over the wire, or in its process.

Either way it gets frames, encodes goals, and is a `CostModel` for the planner. Frames and goals
have names, by which the predictor knows their latents: a frame that of its image's stamp.
"""

import array
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from torch import Tensor
from vjepa_msgs.msg import Latent
from vjepa_msgs.srv import EncodeImage, ScoreActions

from vjepa_ros.images import rgb_to_fields
from vjepa_ros.nodes.encoder import EncoderNode
from vjepa_ros.nodes.latents import Frame, stamp_named, to_frame, to_message
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.predictor import PredictorNode
from vjepa_ros.nodes.qos import GOALS, GOALS_KEPT, LATENTS
from vjepa_ros.nodes.settings import predictor_names, score_service
from vjepa_ros.nodes.shelf import Shelf
from vjepa_ros.planning.objectives import OBJECTIVES, Objective
from vjepa_ros.planning.replicas import Replicas
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.world_model import Context, Goal, WorldModel


class Unavailable(RuntimeError):
    """Encoder or predictor cannot serve now; they may later. The message says why."""


class World(Protocol):
    """Frames, goals and energies, wherever they come from."""

    @property
    def frames(self) -> Shelf[None, Frame]:
        """The newest frame."""

    def lost(self) -> list[str]:
        """The predictors that get no candidates, as they do not answer."""

    def encode(self, picture: NDArray[np.uint8]) -> Goal:
        """A picture as a goal."""

    def as_goal(self, latents: Tensor) -> Goal:
        """Latents as a goal."""

    @property
    def reach(self) -> int:
        """Steps that the predictor was trained to look ahead."""

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """The latents [B, H, L, D] that actions [B, H, 7] lead to."""

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        """The energies of candidate actions, from a context towards a goal."""


class LocalWorld:
    """In the planner's process: nothing is copied."""

    def __init__(self, encoder: EncoderNode, predictor: PredictorNode) -> None:
        self._encoder, self._predictor = encoder, predictor
        self.frames: Shelf[None, Frame] = Shelf(1)
        encoder.listen(lambda frame: self.frames.put(None, frame), first=True)

    def lost(self) -> list[str]:
        """None: it is in this process."""
        return []

    def encode(self, picture: NDArray[np.uint8]) -> Goal:
        """Encode a picture as a goal, here."""
        self._check()
        frame = self._encoder.encode_picture(torch.from_numpy(picture))
        return self.as_goal(frame.latents)

    def as_goal(self, latents: Tensor) -> Goal:
        """Nobody has to know it by a name of its own."""
        return Goal(latents=latents, name="a goal")

    @property
    def reach(self) -> int:
        """Of the predictor, here."""
        self._check()
        return self._predictor.world_model.reach

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """Imagine with the predictor, here."""
        self._check()
        return self._predictor.world_model.rollout(context, actions)

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        """Score with the predictor, here."""
        self._check()
        return self._predictor.world_model.cost(context, goal, objective)

    def _check(self) -> None:
        for node in (self._encoder, self._predictor):
            if not node.active:
                raise Unavailable(f"the {node.get_name()} is not active: see /diagnostics")


class RemoteWorld:
    """Through topics and services.

    Goals are latched on `goal_latent` by the planner itself: a predictor that was started
    again has them at once.
    """

    def __init__(
        self,
        node: ModelNode,
        answer_timeout: float,
        load: Callable[[], WorldModel],
        predictors: int = 1,
    ) -> None:
        """answer_timeout: seconds for one answer. load gives a world model of the node's own.
        Predictors share out the candidates.
        """
        self._node, self._answer_timeout, self._load = node, answer_timeout, load
        self.frames: Shelf[None, Frame] = Shelf(1)
        self._latched_names: deque[str] = deque(
            maxlen=GOALS_KEPT
        )  # names of goals that were latched
        self._started = node.get_clock().now().nanoseconds  # names are never used again
        self._numbers = itertools.count()
        node.subscribe(Latent, "latent", self._on_latent, LATENTS)
        self._latched = node.publisher(Latent, "goal_latent", GOALS)
        self._encode_image = node.client(EncodeImage, "encode_image")
        self._predictors = {
            name: node.client(ScoreActions, score_service(name))
            for name in predictor_names(predictors)
        }
        self._replicas = Replicas(predictors, failures=Unavailable)
        node.resources.callback(self._replicas.close)

    def _on_latent(self, message: Latent) -> None:
        try:
            self.frames.put(None, to_frame(message))
        except ValueError as error:
            self._node.get_logger().error(str(error), throttle_duration_sec=5.0)

    def encode(self, picture: NDArray[np.uint8]) -> Goal:
        """Ask the encoder for a picture's latents."""
        request = EncodeImage.Request(image=Image(**rgb_to_fields(picture)))
        response = self._call("encoder", self._encode_image, request)
        return self.as_goal(to_frame(response.latent).latents)

    def as_goal(self, latents: Tensor) -> Goal:
        """Under a name that the predictor will know it by."""
        name = f"{self._node.get_fully_qualified_name()}/{self._started}/{next(self._numbers)}"
        return Goal(latents=latents, name=name)

    @property
    def reach(self) -> int:
        """Of a world model of this node's own, loaded when it is first asked."""
        return self._load().reach

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """Imagine with that one: what is imagined does not travel."""
        return self._load().rollout(context, actions)

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        """Ask the predictor for energies."""
        kind = next(kind for kind, of in OBJECTIVES.items() if type(objective) is of)
        state = context.states[-1].double().numpy()
        self._latch(goal)
        about = {"goal": goal.name, "objective": kind, "state": state}
        if (stamp := stamp_named(context.name)) is not None:
            about["image_stamp"] = stamp
        else:
            self._latch(Goal(latents=context.latents[-1], name=context.name))
            about["start_goal"] = context.name

        costs = [partial(self._score, name, about) for name in self._predictors]
        return self._replicas.cost(costs)

    def lost(self) -> list[str]:
        """Name the predictors that others have to stand in for: late, or not in the graph."""
        if len(self._predictors) == 1:
            return []
        late = self._replicas.lost()
        clients = enumerate(self._predictors.items())
        return [
            name
            for number, (name, client) in clients
            if number in late or not client.service_is_ready()
        ]

    def _score(self, predictor: str, about: Mapping[str, Any], actions: Tensor) -> Tensor:
        numbers = array.array("f", actions.detach().float().cpu().numpy().tobytes())
        samples, horizon = actions.shape[:2]
        request = ScoreActions.Request(samples=samples, horizon=horizon, actions=numbers, **about)
        response = self._call(predictor, self._predictors[predictor], request)
        return torch.frombuffer(response.energies, dtype=torch.float32).clone()

    def _latch(self, goal: Goal) -> None:
        """Let the predictor know a goal that it does not know yet."""
        if goal.name in self._latched_names:
            return
        frame = self.frames.newest()
        assert frame is not None  # without one nobody plans
        self._latched_names.append(goal.name)
        self._latched.publish(to_message(replace(frame, latents=goal.latents, source=goal.name)))

    def _call(self, server: str, client: Any, request: Any) -> Any:
        if not client.wait_for_service(timeout_sec=1.0):
            raise Unavailable(f"the {server} does not answer: is it running and active?")
        future = client.call_async(request)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        end = time.monotonic() + self._answer_timeout
        while not future.done():
            done.wait(0.2)
            if not self._node.active:  # a transition has the thread that would bring the answer
                client.remove_pending_request(future)
                raise Unavailable("the planner was deactivated")
            if not client.service_is_ready() or time.monotonic() > end:
                client.remove_pending_request(future)
                raise Unavailable(f"the {server} gave no answer: was it stopped?")
        response = future.result()
        if not response.success:
            raise Unavailable(f"{server}: {response.message}")
        return response
