"""The predictor: where would these actions lead, and was it right about the last ones?

The service `score_actions` rolls candidates out from a latent and measures how far from a
goal they end. Actions on `ee_delta` are followed: when the camera shows what came of one,
`surprise` tells how far the prediction was off, and `~/imagined` shows it, where somebody looks and
a decoder lies beside the weights.

A predictor by another name (`-r __node:=predictor_2`) is a replica: it serves `score_actions`
under that name, and does nothing else.
"""

import array
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Float32
from torch import Tensor
from vjepa_msgs.msg import EndEffectorDelta, Latent
from vjepa_msgs.srv import ScoreActions

from vjepa_gate.robots import load_robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.process import run_node
from vjepa_gate.ros.qos import DELTAS, SIGNALS
from vjepa_gate.settings import declare_parameters
from vjepa_gate.status import Status
from vjepa_ros.images import rgb_to_fields
from vjepa_ros.model.decoder import decoder_of
from vjepa_ros.nodes.arm_state import ArmState
from vjepa_ros.nodes.encoder import EncoderNode
from vjepa_ros.nodes.health import Meter, memory
from vjepa_ros.nodes.latents import Frame, stamp_key, to_frame
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.qos import GOALS, GOALS_KEPT, LATENTS, PICTURES
from vjepa_ros.nodes.settings import PREDICTOR, PredictorSettings, score_service
from vjepa_ros.nodes.shelf import Shelf
from vjepa_ros.nodes.weights import load
from vjepa_ros.planning.imagination import beside
from vjepa_ros.planning.objectives import make_objective
from vjepa_ros.planning.replicas import ReplicatedWorldModel
from vjepa_ros.planning.surprise import Surprise, Threshold, Verdict
from vjepa_ros.planning.world_model import Context, Goal

_FRAMES_KEPT = 16
_PATIENCE = 1.0  # seconds for a latent or goal that is still on its way


@dataclass(frozen=True)
class _Step:
    """An action under way: from which picture, and when the next one will show its end."""

    start: Frame
    due: float


class PredictorNode(ModelNode):
    """Given an encoder in the same process, it takes its frames without a message."""

    def __init__(self, encoder: EncoderNode | None = None, **options: Any) -> None:
        super().__init__(PREDICTOR, **options)
        self._encoder = encoder
        declare_parameters(PredictorSettings, self)
        if encoder is not None:
            encoder.listen(self._on_frame)

    # --- life ------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Load the predictor, and connect."""
        self._settings = settings = self.settings(PredictorSettings)
        robot = load_robot(settings.robot)
        weights, devices = load(self, settings)
        if weights.predictor is None:
            raise ValueError(f"weights: {settings.weights} holds no predictor: cannot plan")
        self.identity = weights.identity
        horizon = weights.config.trained_horizon
        self.world_model = ReplicatedWorldModel(
            devices, None, weights.predictor, trained_horizon=horizon
        )
        self._surprise = Surprise(
            self.world_model,
            make_objective(settings.objective),
            Threshold(deviations=settings.surprise_deviations),
        )
        self._frames: Shelf[tuple[int, int], Frame] = Shelf(_FRAMES_KEPT)
        self._goals: Shelf[str, Tensor] = Shelf(GOALS_KEPT)
        self._step: _Step | None = None
        self._verdict: Verdict | None = None
        self._fault, self._seconds = "", 0.0
        self._scored = Meter()

        self._arm = ArmState(self, robot)
        self.resources.callback(self._arm.destroy)
        self._surprises = self.publisher(Float32, "surprise", SIGNALS)
        self._decoder = decoder_of(settings.weights, weights.identity)
        if self._decoder is not None:
            self._decoder.to(devices[0])
        self._imaginations = self.publisher(Image, "~/imagined", PICTURES)
        if self._encoder is None:
            self.subscribe(Latent, "latent", self._on_latent, LATENTS)
        self.subscribe(Latent, "goal_latent", self._on_goal, GOALS)
        if self.get_name() == PREDICTOR:
            self.subscribe(EndEffectorDelta, "ee_delta", self._on_action, DELTAS)
        self.serve_apart(ScoreActions, score_service(self.get_name()), self._score_actions)

    # --- latents ---------------------------------------------------------------------------

    def _on_latent(self, message: Latent) -> None:
        frame = self._checked(message)
        if frame is not None:
            self._on_frame(frame)

    def _on_goal(self, message: Latent) -> None:
        frame = self._checked(message)
        if frame is not None:
            self._goals.put(frame.source, frame.latents)

    def _checked(self, message: Latent) -> Frame | None:
        try:
            frame = to_frame(message)
            if frame.weights != self.identity:
                raise ValueError(
                    f"latents of {frame.weights}, this predictor is {self.identity}: "
                    "give both nodes the same weights"
                )
        except ValueError as error:
            self._fault = str(error)
            return None
        self._fault = ""
        return frame

    def _on_frame(self, frame: Frame) -> None:
        if not self.active:
            return
        self._frames.put(frame.key, frame)
        step = self._step
        if step is not None and frame.stamp >= step.due:
            self._step = None
            self._judge(step.start, frame)

    # --- surprise --------------------------------------------------------------------------

    def _on_action(self, action: EndEffectorDelta) -> None:
        start = self._frames.wait(stamp_key(action.image_stamp), timeout=0)
        if start is not None:
            due = stamps.seconds(action.header.stamp) + action.duration
            self._step = _Step(start, due)

    def _judge(self, start: Frame, end: Frame) -> None:
        before, after = self._arm.at(start.stamp), self._arm.at(end.stamp)
        if before is None or after is None:
            return
        imagined = self._surprise.imagine(start.latents, before, after)
        self._verdict = self._surprise.judge(imagined, end.latents)
        self._surprises.publish(Float32(data=self._verdict.surprise))
        if self._decoder and self._imaginations.get_subscription_count() > 0:
            picture = beside(self._decoder, imagined, end.latents).numpy()
            self._imaginations.publish(Image(header=end.header, **rgb_to_fields(picture)))

    # --- scoring ---------------------------------------------------------------------------

    def _score_actions(
        self, request: ScoreActions.Request, response: ScoreActions.Response
    ) -> ScoreActions.Response:
        try:
            if not self.active:
                raise ValueError("the predictor is not active")
            start, stamp = self._start(request)
            started = time.monotonic()
            energies = self._energies(request, start)
            response.seconds = self._seconds = time.monotonic() - started
        except ValueError as error:
            response.message = str(error)
            return response
        self._scored.tick()
        response.energies = array.array("f", energies.cpu().numpy().tobytes())
        response.image_stamp, response.success = stamp, True
        return response

    def _start(self, request: ScoreActions.Request) -> tuple[Tensor, Time]:
        """The latents [L, D] to roll out from, and the stamp of their image."""
        if request.start_goal:
            return self._goal(request.start_goal), Time()
        key = stamp_key(request.image_stamp)
        newest = key == (0, 0)
        frame = self._frames.newest() if newest else self._frames.wait(key, _PATIENCE)
        if frame is None:
            which = "no latent yet" if newest else "no latent of that image"
            raise ValueError(self._fault or f"{which}: is the encoder active?")
        return frame.latents, frame.header.stamp

    def _goal(self, name: str) -> Tensor:
        goal = self._goals.wait(name, _PATIENCE)
        if goal is None:
            raise ValueError(f"no goal '{name}': publish it on goal_latent, with that source")
        return goal

    def _energies(self, request: ScoreActions.Request, start: Tensor) -> Tensor:
        goal = Goal(latents=self._goal(request.goal), name=request.goal)
        shape = request.samples, request.horizon, 7
        if len(request.actions) != request.samples * request.horizon * 7:
            expected = " × ".join(map(str, shape))
            raise ValueError(f"actions are {len(request.actions)} numbers, expected {expected}")
        actions = np.frombuffer(request.actions, np.float32).reshape(shape)
        state = torch.tensor(np.asarray(request.state), dtype=torch.float32)
        context = Context(latents=start[None], states=state[None])
        objective = make_objective(request.objective or self._settings.objective)
        with torch.no_grad():
            candidates = torch.from_numpy(actions.copy())
            return self.world_model.energies(context, candidates, goal, objective)

    # --- how it is -------------------------------------------------------------------------

    def status(self) -> Status:
        """Say how often it scores, and whether it was surprised."""
        verdict, newest = self._verdict, self._frames.newest()
        age = None if newest is None else stamps.now(self) - newest.stamp
        values = {
            "weights": self.identity,
            "latent age (s)": "never" if age is None else f"{age:.2f}",
            "scorings per second": f"{self._scored.rate():.1f}",
            "scoring (s)": f"{self._seconds:.3f}",
            **memory(),
        }
        if verdict is not None:
            values["surprise"] = f"{verdict.surprise:.4f}"
            usual = verdict.threshold
            values["surprise threshold"] = "still learning" if usual is None else f"{usual:.4f}"
        if self._fault:
            return Status(level="error", message=self._fault, values=values)
        if verdict is not None and verdict.surprising:
            message = (
                f"the last step surprised: {verdict.surprise:.3g} where up to "
                f"{verdict.threshold:.3g} is usual"
            )
            return Status(level="warning", message=message, values=values)
        if newest is None:
            return Status(level="warning", message="no latents from the encoder", values=values)
        return Status(level="ok", message="predicting", values=values)


def main() -> int:
    """Run the node until a signal."""
    return run_node(PredictorNode)


if __name__ == "__main__":
    sys.exit(main())
