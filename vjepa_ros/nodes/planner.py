"""The planner: serves ReachGoal, and tells the arm gate one action after the other.

`reach_goal` is the action; out come `ee_delta` (which the arm gate carries out), `plan` (what
it thought), `plan/path` and `plan/markers` (for RViz), and `goal_picture/compressed` at a
task's beginning. A new goal takes over from the one before it; when a task ends, for whatever
reason, the gate is asked to hold.
"""

import dataclasses
import sys
import threading
from typing import Any

import numpy as np
from nav_msgs.msg import Path
from numpy.typing import NDArray
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta, Plan

from vjepa_gate.robots import load_robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.process import run_node
from vjepa_gate.ros.qos import DELTAS, SIGNALS
from vjepa_gate.ros.spinning import spinning
from vjepa_gate.settings import declare_parameters, read_parameters
from vjepa_gate.status import Status
from vjepa_ros.model.checkpoints import open_checkpoint
from vjepa_ros.model.located import located
from vjepa_ros.nodes import plan_messages
from vjepa_ros.nodes.arm_state import ArmState
from vjepa_ros.nodes.encoder import EncoderNode
from vjepa_ros.nodes.health import memory
from vjepa_ros.nodes.latents import Frame
from vjepa_ros.nodes.log_lines import log_line
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.policy import NodePolicy
from vjepa_ros.nodes.predictor import PredictorNode
from vjepa_ros.nodes.qos import GOALS, PICTURES
from vjepa_ros.nodes.reach import (
    Ended,
    InterruptibleWorld,
    Planned,
    Reach,
    Result,
    Timing,
    goal_pictures,
)
from vjepa_ros.nodes.reports import Reports
from vjepa_ros.nodes.settings import PlannerNodeSettings
from vjepa_ros.nodes.ways import Ways
from vjepa_ros.nodes.world import LocalWorld, RemoteWorld, World
from vjepa_ros.planning.axes import AxesTurned, load_axes
from vjepa_ros.planning.choice import planner_of
from vjepa_ros.planning.config import PlannerConfig, choose_planner
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.loading import Loaded, chosen_device, load_world_model
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.subgoals.loading import source_of
from vjepa_ros.planning.subgoals.source import SubGoalSource
from vjepa_ros.planning.subgoals.way_planner import WayPlanner
from vjepa_ros.planning.task import Task
from vjepa_ros.planning.world_model import Context, Goal

_MOST_WAITING = 3  # goals at once; each waits in a thread of its own
_THREADS = _MOST_WAITING + 3  # that one carries out, those that wait, one cancels, one asks


class PlannerNode(ModelNode):
    """Given encoder and predictor in the same process, it uses them without a message."""

    def __init__(
        self,
        encoder: EncoderNode | None = None,
        predictor: PredictorNode | None = None,
        **options: Any,
    ) -> None:
        super().__init__("planner", **options)
        self._local = LocalWorld(encoder, predictor) if encoder and predictor else None
        declare_parameters(PlannerNodeSettings, self)
        declare_parameters(PlannerConfig, self, defaults=False)

    # --- life ------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Read settings and robot, and serve the action."""
        self._settings = settings = self.settings(PlannerNodeSettings)
        robot = load_robot(settings.robot)
        self._base_frame = robot.base_frame
        self._weights = located(settings.weights)
        name = settings.planner or self._planner_of_weights()
        self._config = self._planner_config(name, robot.limits.max_step)
        self._axes = None if settings.axes is None else load_axes(settings.axes)
        self._source = self._source_of_weights()
        self._turn = threading.Lock()  # one task after the other
        self._newest_task: Any = None
        self._waiting, self._sequence = 0, 0
        self._last: Planned | None = None
        self._task: Reach | None = None
        self._doing = "waiting for a goal"

        self._arm = ArmState(self, robot)
        self.resources.callback(self._arm.destroy)
        self._reports = Reports(self)
        self._policy: NodePolicy | None = None
        if settings.policy is not None:
            self._policy = NodePolicy(self, robot, settings, settings.step_period)
            self.resources.callback(self._policy.close)
        self._deltas = self.publisher(EndEffectorDelta, "ee_delta", DELTAS)
        self._plans = self.publisher(Plan, "plan", SIGNALS)
        self._paths = self.publisher(Path, "plan/path", PICTURES)
        self._markers = self.publisher(MarkerArray, "plan/markers", PICTURES)
        self._goal_pictures = self.publisher(CompressedImage, plan_messages.GOAL_PICTURES, GOALS)
        self._hold = self.client(Trigger, "arm_gate/hold")
        if self._local is not None and settings.predictors > 1:
            raise ValueError(
                f"predictors is {settings.predictors}, but this planner has its predictor in its "
                "own process: expected 1 (device:=cuda:0,cuda:1 shares candidates out there)"
            )
        self._ways = Ways(self, approve=settings.approve)
        self._world: World = self._local or RemoteWorld(
            self,
            settings.answer_timeout,
            lambda: self._loaded().world_model,
            settings.predictors,
        )
        self._serve_goals()
        self.get_logger().info(
            f"planner {name}: {self._config.describe()}, seed {settings.seed}, "
            f"max_image_age {settings.max_image_age:g} s"
        )

    def _serve_goals(self) -> None:
        node = self.node_apart("reach_goal")
        server = ActionServer(
            node,
            ReachGoal,
            self.resolve_service_name("reach_goal"),
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
            result_timeout=30,
        )
        self.resources.callback(server.destroy)
        threads = MultiThreadedExecutor(_THREADS, context=self.context)
        self.resources.enter_context(spinning(node, executor=threads))

    def stop(self) -> None:
        """Let the arm hold, once the task has ended."""
        with self._turn:
            self._hold_arm()

    def _planner_of_weights(self) -> str:
        """The name of the planner that belongs to them."""
        if not self._weights.is_file():
            raise ValueError(
                f"weights: no file {self._weights}, and planner is not set: set one of them"
            )
        device = chosen_device(self._settings.device)
        return planner_of(open_checkpoint(self._weights), str(device))

    def _source_of_weights(self) -> SubGoalSource | None:
        """What proposes sub-goals; none where the weights' own file is not here."""
        if not self._weights.is_file():
            return None
        return source_of(self._settings.subgoals, self._weights, lambda: self._loaded().identity)

    def _loaded(self) -> Loaded:
        """The weights as this node has them, where it needs them itself."""
        return load_world_model(self._weights, chosen_device(self._settings.device))

    def _planner_config(self, name: str, longest_step: float) -> PlannerConfig:
        """That planner with what was given instead; what is wrong is said now."""
        config = choose_planner(name, read_parameters(PlannerConfig, self))
        return dataclasses.replace(config, max_step=min(config.max_step, longest_step))

    # --- the action ------------------------------------------------------------------------

    def _on_goal(self, request: ReachGoal.Goal) -> GoalResponse:
        refusal = ""
        if not self.active:
            refusal = "the planner is not active"
        elif self._waiting >= _MOST_WAITING:
            refusal = f"{self._waiting} goals are already waiting"
        if refusal:
            self.get_logger().warning(f"goal refused: {refusal}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _on_cancel(self, handle: Any) -> CancelResponse:
        self._hold_arm()
        return CancelResponse.ACCEPT

    def _execute(self, handle: Any) -> Any:
        self._newest_task = handle
        self._waiting += 1
        with self._turn:
            self._waiting -= 1
            try:
                result = self._reach(handle)
            except Exception as error:
                self.get_logger().fatal(f"the task failed: {error!r}")
                result = Result(outcome=Result.FAILED, message=repr(error))
            self._hold_arm()
        end = {Result.REACHED: handle.succeed, Result.CANCELED: handle.canceled}
        end.get(result.outcome, handle.abort)()
        self._doing = f"waiting for a goal; the last: {result.message}"
        self.get_logger().info(
            log_line(
                "task ended",
                goal=_name(handle),
                steps=result.steps,
                energy=result.final_energy,
                seconds=result.seconds,
                reason=result.message,
            )
        )
        return result

    def _reach(self, handle: Any) -> Any:
        request = handle.request

        def check() -> None:
            if not self.active:
                raise Ended(Result.FAILED, "the planner was deactivated")
            if handle.is_cancel_requested:
                raise Ended(Result.CANCELED, "canceled: the arm holds")
            if self._newest_task is not handle:
                raise Ended(Result.PREEMPTED, "a new goal took over")

        try:
            check()
            pictures = goal_pictures(request)
            timing = Timing.of(self._settings, request.max_seconds)
        except Ended as end:
            return Result(outcome=end.outcome, message=str(end))
        except (ValueError, OSError) as error:
            return Result(outcome=Result.FAILED, message=f"goal: {error}")
        self._show_goals(handle, pictures)
        heading = f"heading for a goal in {len(pictures)} pictures"

        def tell(feedback: Any) -> None:
            handle.publish_feedback(feedback)
            self._doing = f"{heading}: {feedback.message}"

        self._doing = heading
        planner = self._planner(InterruptibleWorld(self._world, check))
        self._task = Reach(
            world=self._world,
            arm=self._arm,
            pictures=pictures,
            planner=planner,
            start=lambda *seen: self._ways.shown(
                self._start(planner, request, *seen), pictures, check, tell
            ),
            show=lambda task: self._ways.show(task, pictures),
            propose=lambda task, state: (
                None if self._policy is None else self._policy.propose(task, state, pictures)
            ),
            act=lambda planned: self._act(_name(handle), planned),
            tell=tell,
            check=check,
            now=lambda: stamps.now(self),
            timing=timing,
            reports=self._reports,
        )
        return self._task.run()

    def _planner(self, world: CostModel) -> Planner:
        """Through the camera's axes, where there are any; with samples, for the markers. Where
        there is a source of sub-goals, pictures are gone to by them.
        """
        model = world if self._axes is None else AxesTurned(world, self._axes)
        if self._source is None:
            return Planner(self._config, model, keep_samples=True)
        return WayPlanner(
            self._config,
            model,
            source=self._source,
            imagination=self._world,
            unseen=not self._settings.approve,
            keep_samples=True,
            as_goal=self._world.as_goal,
        )

    def _start(
        self,
        planner: Planner,
        request: ReachGoal.Goal,
        frame: Frame,
        context: Context,
        goals: list[Goal],
    ) -> Task:
        if self._axes is not None:
            self._axes.check_weights(frame.weights)
        return planner.start(
            context,
            goals,
            seed=self._settings.seed,
            max_steps=request.max_steps or None,
            energy=request.energy_threshold or None,
        )

    def _show_goals(self, handle: Any, pictures: list[NDArray[np.uint8]]) -> None:
        stamp, count = self.get_clock().now().to_msg(), len(pictures)
        for number, picture in enumerate(pictures, 1):
            name = f"sub-goal {number} of {count}"
            self._goal_pictures.publish(plan_messages.goal_message(picture, stamp, name))
        self.get_logger().info(
            log_line(
                "task",
                goal=_name(handle),
                pictures=count,
                solver=self._config.describe(),
                seed=self._settings.seed,
            )
        )

    # --- out -------------------------------------------------------------------------------

    def _act(self, goal: str, planned: Planned) -> tuple[float, int]:
        """Publish the action and what led to it; the time at which it starts, and its sequence."""
        self._sequence += 1
        stamp = self.get_clock().now().to_msg()
        header = plan_messages.header_at(stamp, self._base_frame)
        decision, frame = planned.decision, planned.frame
        self._deltas.publish(
            plan_messages.delta_message(
                decision, frame, header, self._sequence, self._settings.step_period
            )
        )
        plan = plan_messages.plan_message(
            decision, frame, header, planned.state, self._config.describe(), planned.seconds
        )
        self._plans.publish(plan)
        self._paths.publish(plan_messages.path_message(plan))
        if self._markers.get_subscription_count() > 0:
            self._markers.publish(plan_messages.marker_message(plan))
        self._last = planned
        self.get_logger().info(
            log_line(
                "step",
                goal=goal,
                step=planned.step,
                subgoal=decision.goal,
                energy=decision.energy,
                seconds=planned.seconds,
                seed=plan.seed,
                sequence=self._sequence,
            )
        )
        return stamps.seconds(stamp), self._sequence

    def _hold_arm(self) -> None:
        if self._hold.service_is_ready():
            self._hold.call_async(Trigger.Request())

    # --- how it is -------------------------------------------------------------------------

    def status(self) -> Status:
        """Say what it is about."""
        values = {"solver": self._config.describe(), "seed": str(self._settings.seed), **memory()}
        if self._last is not None:
            values["planning (s)"] = f"{self._last.seconds:.3f}"
            values["energy"] = f"{self._last.decision.energy:.4f}"
            values["actions"] = str(self._sequence)
        if lost := self._world.lost():
            values["predictors lost"] = ", ".join(lost)
        late = self._task is not None and self._task.late
        message = self._doing
        if self._policy is not None:
            values |= self._policy.values()
            if alone := self._policy.trouble:
                late, message = True, f"{message}; planning without the policy: {alone}"
        return Status(level="warning" if late or lost else "ok", message=message, values=values)


def _name(handle: Any) -> str:
    """The beginning of the goal's own identity, for the log."""
    return bytes(handle.goal_id.uuid[:4]).hex()


def main() -> int:
    """Run the node until a signal."""
    return run_node(PlannerNode)


if __name__ == "__main__":
    sys.exit(main())
