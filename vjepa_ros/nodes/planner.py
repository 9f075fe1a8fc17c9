"""The planner: serves ReachGoal, and tells the arm gate one action after the other.

`reach_goal` is the action; out come `ee_delta` (which the arm gate carries out), `plan` (what
it thought), `plan/path` and `plan/markers` (for RViz). A new goal takes over from the one
before it; when a task ends, for whatever reason, the gate is asked to hold.
"""

import dataclasses
import threading
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from nav_msgs.msg import Path
from numpy.typing import NDArray
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta, Plan

from vjepa_ros.images import compressed_to_rgb, decode_picture
from vjepa_ros.nodes import plan_messages, stamps
from vjepa_ros.nodes.arm_state import ArmState
from vjepa_ros.nodes.encoder import EncoderNode
from vjepa_ros.nodes.health import memory
from vjepa_ros.nodes.model_node import ModelNode, declare_count
from vjepa_ros.nodes.parameters import declare, declare_number
from vjepa_ros.nodes.predictor import PredictorNode
from vjepa_ros.nodes.reach import (
    Ended,
    InterruptibleWorld,
    Planned,
    Reach,
    Result,
    Settings,
)
from vjepa_ros.nodes.world import LocalWorld, RemoteWorld, World
from vjepa_ros.planning.limits import ActionLimits, Box
from vjepa_ros.planning.mpc import MPC, SubGoal
from vjepa_ros.planning.objectives import make_objective
from vjepa_ros.planning.solvers import Solver, make_solver
from vjepa_ros.robots import load_robot
from vjepa_ros.status import Status

_MOST_WAITING = 3  # goals at once; each waits in a thread of the executor
_GRIPPER_STEP = 0.75  # closedness, as the reference


class PlannerNode(ModelNode):
    """Given encoder and predictor in the same process, it uses them without a message."""

    holds = ("_arm", "_solver")

    def __init__(
        self,
        encoder: EncoderNode | None = None,
        predictor: PredictorNode | None = None,
        **options: Any,
    ) -> None:
        super().__init__("planner", **options)
        self._local = LocalWorld(encoder, predictor) if encoder and predictor else None
        declare(self, "robot", "sim", "robot YAML: a file, or a name in config/")
        self._declare_search()
        self._declare_task()

    def _declare_search(self) -> None:
        declare(self, "solver", "icem", "cem, icem, mppi, gradient, or a preset such as paper")
        declare(self, "objective", "l1", "distance between latents: l1, l2 or cosine")
        declare_count(self, "seed", 0, 0, 2**31 - 1, "of the solver's samples")
        declare_count(self, "samples", 0, 0, 100_000, "per iteration; 0: as the solver has it")
        declare_count(self, "iterations", 0, 0, 1000, "of the search; 0: as the solver has it")
        declare_count(self, "horizon", 0, 0, 16, "steps ahead; 0: as the solver has it")
        declare_number(self, "max_step", 0.075, 0.001, 0.5, "metres along each axis in one action")

    def _declare_task(self) -> None:
        declare_number(self, "step_period", 0.25, 0.02, 10, "seconds that an action takes")
        declare_number(self, "settle", 0.1, 0, 10, "seconds to rest before the next look")
        declare_number(
            self, "max_image_age", 2.0, 0.05, 60, "seconds; a plan from an older image is discarded"
        )
        declare_number(self, "patience", 10.0, 0.5, 600, "seconds to wait for images and nodes")
        declare_number(self, "energy_threshold", 0.0, 0, 100, "at which a goal is reached")
        declare_count(self, "max_steps", 100, 1, 100_000, "actions for one task")
        declare_number(self, "max_seconds", 600.0, 0.1, 86_400, "for one task")
        declare_count(self, "stall_steps", 12, 0, 10_000, "without progress, to end; 0: never")
        declare_count(self, "subgoal_steps", 0, 0, 1000, "after which the next is due; 0: no limit")

    # --- life ------------------------------------------------------------------------------

    def set_up(self) -> None:
        robot = load_robot(self.value("robot"))
        self._base_frame = robot.base_frame
        self._solver = self._make_solver(min(self.value("max_step"), robot.limits.max_step))
        self._objective = make_objective(self.value("objective"))
        self._settings = Settings(
            max_image_age=self.value("max_image_age"),
            patience=self.value("patience"),
            settle=self.value("settle"),
            duration=self.value("step_period"),
            hint_steps=max(1, self.value("stall_steps") // 2),
        )
        self._turn = threading.Lock()  # one task after the other
        self._newest_task: Any = None
        self._waiting, self._sequence = 0, 0
        self._last: Planned | None = None
        self._doing = "waiting for a goal"

        self._arm = ArmState(self, robot)
        self.resources.callback(self._arm.destroy)
        self._deltas = self.publisher(EndEffectorDelta, "ee_delta", 10)
        self._plans = self.publisher(Plan, "plan", 10)
        self._paths = self.publisher(Path, "plan/path", 1)
        self._markers = self.publisher(MarkerArray, "plan/markers", 1)
        self._hold = self.client(Trigger, "arm_gate/hold")
        self._world: World = self._local or RemoteWorld(self, self.value("patience"))
        server = ActionServer(
            self,
            ReachGoal,
            "reach_goal",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=self._on_cancel,
            callback_group=ReentrantCallbackGroup(),
            result_timeout=30,
        )
        self.resources.callback(server.destroy)
        self.get_logger().info(f"solver {self._describe()}, seed {self._solver.seed}")

    def stop(self) -> None:
        with self._turn:
            self._hold_arm()

    def _make_solver(self, max_step: float) -> Solver:
        given = {
            name: self.value(name)
            for name in ("samples", "iterations", "horizon")
            if self.value(name)
        }
        limits = ActionLimits(translation=Box(max_step), gripper=Box(_GRIPPER_STEP))
        return make_solver(
            self.value("solver"),
            seed=self.value("seed"),
            limits=limits,
            keep_samples=True,
            **given,
        )

    def _describe(self) -> str:
        solver = self._solver
        return (
            f"{self.value('solver')} {solver.samples}×{solver.iterations}, horizon {solver.horizon}"
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
        self.get_logger().info(f"task ended after {result.steps} steps: {result.message}")
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
        self._solver.reset(self.value("seed"))
        self._doing = f"heading for a goal in {len(pictures)} pictures"
        reach = Reach(
            world=self._world,
            arm=self._arm,
            make_mpc=lambda world: self._make_mpc(world, request, pictures),
            act=self._act,
            tell=handle.publish_feedback,
            check=check,
            now=lambda: stamps.now(self),
            settings=self._settings,
        )
        return reach.run()

    def _make_mpc(
        self, world: InterruptibleWorld, request: ReachGoal.Goal, pictures: list[NDArray[np.uint8]]
    ) -> MPC:
        latents = self._world.encode_goals(pictures)
        threshold = request.energy_threshold or self.value("energy_threshold")
        steps = self.value("subgoal_steps") or None
        goals = [SubGoal(latents=goal, energy=threshold, steps=steps) for goal in latents]
        goals[-1] = dataclasses.replace(goals[-1], steps=None)
        return MPC(
            world_model=world,
            solver=self._solver,
            objective=self._objective,
            goals=goals,
            max_steps=request.max_steps or self.value("max_steps"),
            time_budget=request.max_seconds or self.value("max_seconds"),
            stall_steps=self.value("stall_steps") or None,
        )

    # --- out -------------------------------------------------------------------------------

    def _act(self, planned: Planned) -> float:
        """Publish the action and what led to it; the time at which it starts."""
        self._sequence += 1
        stamp = self.get_clock().now().to_msg()
        header = plan_messages.header_at(stamp, self._base_frame)
        decision, frame = planned.decision, planned.frame
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
        return Status(level="ok", message=self._doing, values=values)


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
