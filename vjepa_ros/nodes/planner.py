"""The planner: serves ReachGoal, and tells the arm gate one action after the other.

`reach_goal` is the action; out come `ee_delta` (which the arm gate carries out), `plan` (what
it thought), `plan/path` and `plan/markers` (for RViz), and `goal_picture/compressed` at a
task's beginning. A new goal takes over from the one before it; when a task ends, for whatever
reason, the gate is asked to hold.
"""

import dataclasses
import sys
import threading
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from nav_msgs.msg import Path
from numpy.typing import NDArray
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import MultiThreadedExecutor
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger
from torch import Tensor
from visualization_msgs.msg import MarkerArray
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta, Plan

from vjepa_gate.errors import UserError
from vjepa_gate.robots import load_robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.parameters import declare, declare_number
from vjepa_gate.ros.process import run_node
from vjepa_gate.ros.spinning import spinning
from vjepa_gate.status import Status
from vjepa_ros.images import compressed_to_rgb, decode_picture
from vjepa_ros.nodes import plan_messages
from vjepa_ros.nodes.arm_state import ArmState
from vjepa_ros.nodes.encoder import GOALS, EncoderNode
from vjepa_ros.nodes.health import memory
from vjepa_ros.nodes.log_lines import log_line
from vjepa_ros.nodes.model_node import ModelNode, declare_count
from vjepa_ros.nodes.predictor import PredictorNode
from vjepa_ros.nodes.reach import (
    Ended,
    InterruptibleWorld,
    Planned,
    Reach,
    Result,
    Settings,
)
from vjepa_ros.nodes.reports import Reports
from vjepa_ros.nodes.world import LocalWorld, RemoteWorld, SeenContext, World
from vjepa_ros.planning.axes import AxesTurned, load_axes
from vjepa_ros.planning.mpc import MPC, CostModel
from vjepa_ros.planning.objectives import make_objective
from vjepa_ros.planning.planners import (
    PLANNERS,
    PlannerConfig,
    choose_planner,
    make_mpc,
    restrain,
)
from vjepa_ros.planning.world_model import Context

_MOST_WAITING = 3  # goals at once; each waits in a thread of its own
_THREADS = _MOST_WAITING + 3  # that one carries out, those that wait, one cancels, one asks
# Parameters that stand for a number of the planner's settings; 0 or nothing: as it has them.
_SEARCH = ("objective", "samples", "iterations", "horizon", "max_step", "goal_steps")


class PlannerNode(ModelNode):
    """Given encoder and predictor in the same process, it uses them without a message."""

    holds = ("_arm",)

    def __init__(
        self,
        encoder: EncoderNode | None = None,
        predictor: PredictorNode | None = None,
        **options: Any,
    ) -> None:
        super().__init__("planner", **options)
        self._local = LocalWorld(encoder, predictor) if encoder and predictor else None
        declare(self, "robot", "sim", "robot YAML: a file, or a name in gate/config/")
        self._declare_search()
        self._declare_task()

    def _declare_search(self) -> None:
        declare(self, "planner", "tiny", f"settings to start from: {', '.join(PLANNERS)}")
        declare(self, "solver", "", "cem, icem, mppi, gradient, or a preset such as paper")
        declare(self, "objective", "", "distance between latents: l1, l2 or cosine")
        declare_count(self, "samples", 0, 0, 100_000, "per iteration")
        declare_count(self, "iterations", 0, 0, 1000, "of the search")
        declare_count(self, "horizon", 0, 0, 16, "steps to plan ahead")
        declare_number(self, "max_step", 0.0, 0, 0.5, "metres along each axis in one action")
        declare_count(self, "goal_steps", 0, 0, 1000, "after which the next sub-goal is due")
        declare(self, "axes", "", "file of `vjepa-ros calibrate`, for where the camera stands")
        declare_count(self, "seed", 0, 0, 2**31 - 1, "of the solver's samples")

    def _declare_task(self) -> None:
        declare_number(self, "step_period", 0.25, 0.02, 10, "seconds that an action takes")
        declare_number(self, "settle", 0.1, 0, 10, "seconds to rest before the next look")
        declare_number(
            self, "max_image_age", 2.0, 0.05, 60, "seconds; a plan from an older image is discarded"
        )
        declare_number(self, "patience", 30.0, 0.5, 600, "seconds to wait for images and nodes")
        declare_number(self, "answer_timeout", 10.0, 0.5, 600, "seconds for one answer of a node")
        declare_number(self, "max_seconds", 600.0, 0.1, 86_400, "for one task")
        declare_count(self, "stall_steps", 0, 0, 10_000, "without progress, to end; 0: never")
        declare_count(self, "hint_steps", 6, 1, 10_000, "without progress, to hint at sub-goals")

    # --- life ------------------------------------------------------------------------------

    def set_up(self) -> None:
        robot = load_robot(self.value("robot"))
        self._base_frame = robot.base_frame
        self._config = self._planner_config(robot.limits.max_step)
        self._config.make_solver(self.value("seed"))  # what is wrong is said now
        make_objective(self._config.objective)
        file = self.value("axes")
        self._axes = load_axes(FilePath(file)) if file else None
        self._settings = Settings(
            max_image_age=self.value("max_image_age"),
            patience=self.value("patience"),
            settle=self.value("settle"),
            duration=self.value("step_period"),
            hint_steps=self.value("hint_steps"),
        )
        self._turn = threading.Lock()  # one task after the other
        self._newest_task: Any = None
        self._waiting, self._sequence = 0, 0
        self._last: Planned | None = None
        self._task: Reach | None = None
        self._doing = "waiting for a goal"

        self._arm = ArmState(self, robot)
        self.resources.callback(self._arm.destroy)
        self._reports = Reports(self)
        self._deltas = self.publisher(EndEffectorDelta, "ee_delta", 10)
        self._plans = self.publisher(Plan, "plan", 10)
        self._paths = self.publisher(Path, "plan/path", 1)
        self._markers = self.publisher(MarkerArray, "plan/markers", 1)
        self._goal_pictures = self.publisher(CompressedImage, plan_messages.GOAL_PICTURES, GOALS)
        self._hold = self.client(Trigger, "arm_gate/hold")
        self._world: World = self._local or RemoteWorld(self, self.value("answer_timeout"))
        self._serve_goals()
        self.get_logger().info(f"solver {self._describe()}, seed {self.value('seed')}")

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
        with self._turn:
            self._hold_arm()

    def _planner_config(self, longest_step: float) -> PlannerConfig:
        """The named settings, with what was given instead."""
        name = self.value("planner")
        if name not in PLANNERS:
            raise ValueError(f"planner {name!r} is unknown, expected one of {', '.join(PLANNERS)}")
        changes = {key: self.value(key) or None for key in _SEARCH}
        config = choose_planner(name, self.value("solver") or None, **changes)
        return dataclasses.replace(config, max_step=min(config.max_step, longest_step))

    def _describe(self) -> str:
        config = self._config
        return (
            f"{config.solver} {config.samples}×{config.iterations}, horizon {config.horizon}, "
            f"{config.objective}"
        )

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
            pictures = _goal_pictures(request)
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
        self._task = Reach(
            world=self._world,
            arm=self._arm,
            pictures=pictures,
            make_mpc=lambda *start: self._make_mpc(request, *start),
            act=lambda planned: self._act(_name(handle), planned),
            tell=tell,
            check=check,
            now=lambda: stamps.now(self),
            settings=self._settings,
            reports=self._reports,
        )
        return self._task.run()

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
                solver=self._describe(),
                seed=self.value("seed"),
            )
        )

    def _make_mpc(
        self,
        request: ReachGoal.Goal,
        world: InterruptibleWorld,
        start: Context,
        goals: list[Tensor],
    ) -> MPC:
        model = self._as_seen(world, start)
        mpc = make_mpc(self._config, model, start, goals, self.value("seed"))
        mpc.solver.keep_samples = True  # for the markers
        mpc.time_budget = request.max_seconds or self.value("max_seconds")
        mpc.stall_steps = self.value("stall_steps") or None
        if request.energy_threshold:
            mpc.goals = [
                dataclasses.replace(goal, energy=request.energy_threshold) for goal in mpc.goals
            ]
        if request.max_steps:
            mpc.max_steps = request.max_steps
            last = dataclasses.replace(mpc.goals[-1], steps=None, patience=None)
            mpc.goals = [*mpc.goals[:-1], last]
        return mpc

    def _as_seen(self, world: InterruptibleWorld, start: Context) -> CostModel:
        """The world through the camera's axes, where there are any."""
        if self._axes is None:
            return world
        assert isinstance(start, SeenContext)
        try:
            self._axes.check_weights(start.frame.weights)
        except UserError as error:
            raise Ended(Result.FAILED, str(error)) from error
        return AxesTurned(world, self._axes)

    # --- out -------------------------------------------------------------------------------

    def _act(self, goal: str, planned: Planned) -> float:
        """Publish the action and what led to it; the time at which it starts."""
        self._sequence += 1
        stamp = self.get_clock().now().to_msg()
        header = plan_messages.header_at(stamp, self._base_frame)
        decision, frame = planned.decision, planned.frame
        assert decision.action is not None
        decision = dataclasses.replace(decision, action=restrain(decision.action, self._config))
        self._deltas.publish(
            plan_messages.delta_message(
                decision, frame, header, self._sequence, self._settings.duration
            )
        )
        plan = plan_messages.plan_message(
            decision, frame, header, planned.state, self._describe(), planned.seconds
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
        return stamps.seconds(stamp)

    def _hold_arm(self) -> None:
        if self._hold.service_is_ready():
            self._hold.call_async(Trigger.Request())

    # --- how it is -------------------------------------------------------------------------

    def status(self) -> Status:
        values = {"solver": self._describe(), "seed": str(self.value("seed")), **memory()}
        if self._last is not None:
            values["planning (s)"] = f"{self._last.seconds:.3f}"
            values["energy"] = f"{self._last.decision.energy:.4f}"
            values["actions"] = str(self._sequence)
        late = self._task is not None and self._task.late
        return Status(level="warning" if late else "ok", message=self._doing, values=values)


def _name(handle: Any) -> str:
    """The beginning of the goal's own identity, for the log."""
    return bytes(handle.goal_id.uuid[:4]).hex()


def _goal_pictures(request: ReachGoal.Goal) -> list[NDArray[np.uint8]]:
    if bool(request.files) == bool(request.images):
        raise ValueError("expected files or images, one of the two")
    if request.images:
        return [compressed_to_rgb(image) for image in request.images]
    pictures = []
    for file in request.files:
        try:
            pictures.append(decode_picture(FilePath(file).read_bytes()))
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    return pictures


def main() -> int:
    return run_node(PlannerNode)


if __name__ == "__main__":
    sys.exit(main())
