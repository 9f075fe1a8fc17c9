"""The robot as ROS sees it: arm, hand and camera of the simulated Franka, in one node.

    ros2 run vjepa_sim vjepa_sim_robot --ros-args -p mode:=real -p task:="pick_place cube bowl"

Topics, types, QoS and units are those of a Franka under franka_ros2 and crisp_controllers, its
kind side (robot:=sim) or all of it (robot:=fr3); what only a simulation has lies under `sim/`.
Everything happens in one thread: PyBullet may
be called from one only, and keeps Python's lock while it draws, so that a second thread
would wait as well.
"""

import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vjepa_msgs.msg import SceneTruth
from vjepa_msgs.srv import ResetScene, StepSim

from vjepa_sim.faults import PREFIX, Faults
from vjepa_sim.ros import messages
from vjepa_sim.ros.camera import CameraStream
from vjepa_sim.ros.parameters import declare, read
from vjepa_sim.ros.plain import PlainRobot
from vjepa_sim.ros.settings import MAX_SEED, Settings
from vjepa_sim.ros.stage import Stage
from vjepa_sim.ros.timing import Pace, Rhythm, Stamps
from vjepa_sim.ros.warner import Warner
from vjepa_sim.tasks import make_task

if TYPE_CHECKING:
    from vjepa_sim.ros.fr3 import Fr3Robot

_MAX_STEP = 10.0  # seconds of one lock-step


class RobotNode(Node):
    def __init__(self, stop: threading.Event) -> None:
        """`stop` ends a long step."""
        super().__init__("vjepa_sim_robot")
        self._stop = stop
        self._settings = settings = declare(self, Settings)
        self._faults = declare(self, Faults, PREFIX, read_only=False)
        self._stage = Stage(
            settings.scene_config(), settings.viewpoint, settings.first_task(), settings.seed
        )
        self._seeds = np.random.default_rng(settings.seed)
        self._scene = self._stage.scene
        self._robot = self._make_robot()
        self._camera = CameraStream(
            self,
            self._scene,
            topics=settings.camera_topics,
            viewpoint=settings.viewpoint,
            frame=settings.camera_frame,
            base_frame=settings.base_frame,
            seed=settings.seed,
        )
        self._truth = self.create_publisher(SceneTruth, "sim/truth", 10)
        self._clock_topic = self.create_publisher(ClockMessage, "/clock", 10)
        self._open_services()

        ticks = settings.tick_rate
        self._stamps = Stamps(wall=settings.wall_stamps, ticks=ticks)
        self._tick, self._asked = 0, 0.0  # ticks and seconds since the reset
        self._truth_due = Rhythm(settings.truth_rate, ticks)
        self._camera_due = Rhythm(settings.camera_rate, ticks)
        self._rhythms = [*self._robot.rhythms, self._truth_due, self._camera_due]
        self._pace = Pace(settings.pace)
        self._slowness, self._lost = Warner(self, period=5.0), 0.0

        self.add_post_set_parameters_callback(self._take_faults)
        self._take_faults([])
        self._restart()
        if settings.mode != "lockstep":
            period = max(1e-3, 1 / (settings.pace * self._robot.wake_rate))
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self.create_timer(period, self._keep_pace, clock=steady)

    def _make_robot(self) -> "PlainRobot | Fr3Robot":
        if self._settings.robot == "sim":
            return PlainRobot(self, self._scene, self._settings)
        try:
            from vjepa_sim.ros.fr3 import Fr3Robot
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            raise ValueError(
                f"robot fr3 speaks {package}, which is not there: run `make setup`, or install "
                f"ros-$ROS_DISTRO-{package.replace('_', '-')}, or build it from source"
            ) from error
        return Fr3Robot(self, self._scene, self._settings)

    def destroy_node(self) -> None:
        self._robot.destroy()
        self._scene.close()
        super().destroy_node()

    # --- time --------------------------------------------------------------------------------

    def _keep_pace(self) -> None:
        """Let as much time pass as has passed, in slices that are published as they fall due."""
        for number in range(self._robot.slices):
            if number > 0:
                time.sleep(1e-3)
            due, lost = self._pace.due()
            self._lost += lost
            self._advance(due)
        slow = f"the machine is too slow: {self._lost:.2f} s of simulated time left out"
        if self._lost > 0 and self._slowness.warn(slow):
            self._lost = 0.0

    def _advance(self, seconds: float) -> None:
        """Let the scene move on, and publish on the way what falls due."""
        rate = self._settings.tick_rate
        self._asked += seconds
        end, now = round(self._asked * rate), time.time_ns()
        while self._tick < end and not self._stop.is_set():
            until = min(end, *(rhythm.due for rhythm in self._rhythms))
            self._scene.step((until - self._tick) / rate)
            self._tick = until
            # What was held up is stamped as if it had not been.
            live = self._settings.mode == "real"
            self._publish_due(now - (end - until) * 1_000_000_000 // rate if live else None)

    def _restart(self) -> Time:
        """After the scene was built anew: a later time, and everything is published at once."""
        self._stamps.restart(self._tick)
        self._tick, self._asked = 0, 0.0
        for rhythm in self._rhythms:
            rhythm.restart()
        stamp = self._stamps.stamp(0)
        self._robot.restart()
        self._camera.tell_pose(stamp)
        self._publish_due()
        self._pace.restart()
        return stamp

    # --- topics ------------------------------------------------------------------------------

    def _publish_due(self, wall: int | None = None) -> None:
        """wall: nanoseconds of the system's clock that it is due at; None for now."""
        now = self._stamps.seconds(self._tick)
        stamp = self._stamps.stamp(self._tick, wall)
        if not self._settings.wall_stamps:
            self._clock_topic.publish(ClockMessage(clock=stamp))
        self._robot.publish(stamp, self._tick, now)
        if self._truth_due.beats(self._tick):
            self._publish_truth(stamp)
        self._camera.arrive(now, self._faults)
        if self._camera_due.beats(self._tick):
            self._camera.take(stamp, now, self._faults)

    def _publish_truth(self, stamp: Time) -> None:
        outcome = self._stage.outcome()
        truth = SceneTruth(
            header=Header(stamp=stamp, frame_id=self._settings.base_frame),
            task=self._stage.task.title,
            seed=self._stage.seed,
            success=bool(outcome.success),
            distance=float(outcome.distance),
            reason=outcome.reason,
        )
        objects = self._scene.truth().items()
        truth.objects = [messages.object_truth(name, thing) for name, thing in objects]
        self._truth.publish(truth)

    # --- services ----------------------------------------------------------------------------

    def _open_services(self) -> None:
        self.create_service(ResetScene, "sim/reset", self._reset)
        self.create_service(Trigger, "sim/randomise", self._randomise)
        # A step may wait for a target pose, which must be taken meanwhile.
        self.create_service(
            StepSim, "sim/step", self._step, callback_group=ReentrantCallbackGroup()
        )

    def _reset(
        self, request: ResetScene.Request, response: ResetScene.Response
    ) -> ResetScene.Response:
        task, goals = self._stage.task, []
        try:
            if request.task:
                task = make_task(request.task, request.object or None, request.place or None)
        except ValueError as error:
            response.message, response.stamp = str(error), self._stamps.stamp(self._tick)
            return response
        try:
            goals = self._stage.reset(task, request.seed, request.schedule)
            response.success, response.message = True, f"{task.title}, seed {request.seed}"
        except ValueError as error:
            response.message = str(error)
        response.stamp = self._restart()
        header = Header(stamp=response.stamp, frame_id=self._settings.camera_frame)
        response.goal_names = [goal.name for goal in goals]
        response.goals = [
            messages.compressed_image(goal.observation.rgb, header, "png") for goal in goals
        ]
        return response

    def _randomise(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        seed = int(self._seeds.integers(MAX_SEED, endpoint=True))
        reset = self._reset(ResetScene.Request(seed=seed), ResetScene.Response())
        response.success, response.message = reset.success, reset.message
        return response

    async def _step(self, request: StepSim.Request, response: StepSim.Response) -> StepSim.Response:
        if self._settings.mode != "lockstep":
            response.message = f"mode {self._settings.mode}: only lockstep waits for sim/step"
        elif not 0 < request.seconds <= _MAX_STEP:
            response.message = (
                f"seconds {request.seconds:g}: expected more than 0, {_MAX_STEP:g} at most"
            )
        elif not await self._robot.arrivals.has_come(request.after_target):
            response.message = (
                "no target_pose with the stamp after_target, or a later one, has come"
            )
        else:
            self._advance(request.seconds)
            response.success = True
        response.stamp = self._stamps.stamp(self._tick)
        return response

    def _take_faults(self, _: list[Parameter]) -> None:
        self._faults = read(self, Faults, PREFIX)
        self._robot.set_faults(self._faults)


def main(args: list[str] | None = None) -> int:
    # rclpy's own handlers would take the publishers away in the middle of a step.
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = RobotNode(stop)
    except (ValueError, InvalidParameterTypeException, InvalidParameterValueException) as error:
        print(f"vjepa_sim_robot: {error}", file=sys.stderr)
        rclpy.shutdown()
        return 2
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not stop.is_set():
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
