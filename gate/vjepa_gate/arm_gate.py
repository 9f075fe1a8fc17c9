"""The arm gate: the last node before the arm, and the only one that commands it.

Actions of the planner in (`ee_delta`), a smooth stream of targets and gripper goals out, to
the topics that the robot's YAML names. Services: `~/hold` (come to rest, wait for the next
action), `~/stop` (come to rest and refuse actions until `~/resume`). /diagnostics says why
the arm holds.
"""

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Sequence
from typing import Any

from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool, String
from std_srvs.srv import Trigger
from vjepa_msgs.msg import EndEffectorDelta

from vjepa_gate.admission import Delta, Refused
from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.gate import ACCEPTED, Gate
from vjepa_gate.gate_config import ArmGateSettings
from vjepa_gate.graph_names import node_of
from vjepa_gate.hand import HandGoal, HandResult
from vjepa_gate.robots import Robot, Topic, load_robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.franka_state import FrankaState, state_type
from vjepa_gate.ros.hand_client import make_hand_client
from vjepa_gate.ros.managed_node import ManagedNode
from vjepa_gate.ros.process import run_nodes
from vjepa_gate.ros.qos import DELTAS, LATCHED, SIGNALS, of_topic
from vjepa_gate.ros.robot_side import RobotSide
from vjepa_gate.ros.timers import steady_timer
from vjepa_gate.ros.tool_check import ToolCheck
from vjepa_gate.serialized import stamp_and_content, write_stamped
from vjepa_gate.settings import declare_parameters
from vjepa_gate.status import Status
from vjepa_gate.stream import Target

_GRAPH_PERIOD = 0.5  # seconds between two looks at who publishes what
_LONGEST_FAREWELL = 2.0  # seconds; the arm is at rest long before


class ArmGate(ManagedNode):
    """Carries messages to the gate's core and back; decides nothing itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__("arm_gate", **options)
        declare_parameters(ArmGateSettings, self)

    # --- life ----------------------------------------------------------------------------

    def set_up(self) -> None:
        """Read settings and robot, and connect to the topics that it names."""
        settings = self.settings(ArmGateSettings)
        self._robot = robot = load_robot(settings.robot)
        self._period = 1 / settings.rate
        self._state = self._make_state(robot)
        self._gate = Gate(robot, settings, watch_mode=self._state is not None)
        self._dry_run = settings.dry_run

        target_type = PoseStamped if robot.command == "pose" else TwistStamped
        target = Topic(name="~/shadow_target") if self._dry_run else robot.topics.target
        self._targets = self.publisher(target_type, target.name, of_topic(target))
        self._hand = make_hand_client(self, robot.gripper, self._gate.hand_finished)
        self.resources.callback(self._hand.destroy)
        self._pending: EndEffectorDelta | None = None
        self._dropped, self._ticking = 0, False

        self._listen(robot)
        self._deltas = self.resolve_topic_name("ee_delta")
        self.subscribe(EndEffectorDelta, self._deltas, self._on_delta, DELTAS)
        if settings.deadman:
            self.subscribe(Bool, "deadman", self._on_deadman, SIGNALS)
        if self._state is not None:
            self.subscribe(String, "robot_description", self._on_description, LATCHED)
        self.serve(Trigger, "~/hold", self._hold)
        self.serve(Trigger, "~/stop", self._stop)
        self.serve(Trigger, "~/resume", self._resume)
        for period, work in ((_GRAPH_PERIOD, self._look_at_graph), (self._period, self._turn)):
            self.resources.callback(self.destroy_timer, steady_timer(self, period, work))

    def start(self) -> None:
        """Look who else is there, and begin to tick."""
        self._look_at_graph()
        self._pending = None
        self._gate.enter()
        self._ticking = True

    def stop(self) -> None:
        """Returns when the arm is at rest. Time goes on here even if nobody serves the clock."""
        self._ticking = False
        self._gate.leave()
        start, begin, passed = stamps.now(self), time.monotonic(), 0.0
        while not self._gate.silent and passed < _LONGEST_FAREWELL:
            passed = time.monotonic() - begin
            self._send(start + passed)
            time.sleep(self._period)

    def _listen(self, robot: Robot) -> None:
        gate, state = self._gate, self._state
        self._robot_side = robot_side = RobotSide(
            self,
            robot,
            on_pose=lambda pose, stamp: gate.observe_pose(pose, stamp, stamps.now(self)),
            on_fingers=lambda width, stamp: gate.observe_fingers(width, stamp, stamps.now(self)),
            on_fault=gate.observe_bad_pose,
            state=state,
        )
        self.resources.callback(robot_side.destroy)
        if robot.topics.current_pose is not None:
            self._tool_check = ToolCheck(self, robot, gate.observe_tool)
            self.resources.callback(self._tool_check.destroy)
        topics = robot.topics
        if wrench := topics.external_wrench:
            robot_side.hear(WrenchStamped, wrench, 6, self._take_wrench, state)
        if state is not None:
            robot_side.fast.subscribe(state.kind, state.topic, state.read)
        if collision := topics.collision:
            self.subscribe(
                Bool,
                collision.name,
                lambda message: gate.observe_collision(message.data),
                of_topic(collision),
            )
        camera = topics.camera
        image_type = CompressedImage if camera.compressed else Image
        # What matters is when it was taken and that it changes: it is never decoded.
        self.subscribe(image_type, camera.name, self._on_image, of_topic(camera), raw=True)

    def _make_state(self, robot: Robot) -> FrankaState | None:
        topic = robot.topics.franka_state
        if topic is None:
            return None
        if (kind := state_type()) is None:
            self.get_logger().warning(
                "franka_msgs is not installed: reflex and user stop are not watched"
            )
            return None
        return FrankaState(kind, topic, self._on_mode)

    # --- in ------------------------------------------------------------------------------

    def _on_delta(self, message: EndEffectorDelta) -> None:
        """Only the newest is looked at, with the next target: a flood must not keep it waiting."""
        self._dropped += self._pending is not None
        self._pending = message

    def _take(self, message: EndEffectorDelta) -> None:
        delta = Delta(
            action=[getattr(message, name) for name in ACTION_NAMES],
            frame=message.header.frame_id,
            image_stamp=stamps.seconds(message.image_stamp),
            sequence=message.sequence,
            duration=message.duration,
        )
        if self._state is not None:
            self._gate.keep_out.observe_joints(*self._state.joints())
        publishers = self.get_publishers_info_by_topic(self._deltas)
        senders = [bytes(publisher.endpoint_gid) for publisher in publishers]
        try:
            goal = self._gate.command(delta, senders, stamps.now(self))
        except Refused as refusal:
            self.get_logger().warning(
                f"action {message.sequence} refused: {refusal}", throttle_duration_sec=1.0
            )
            return
        if goal is not None:
            self._move_hand(goal)

    def _on_image(self, serialized: bytes) -> None:
        try:
            stamp, content = stamp_and_content(serialized)
        except ValueError as error:
            camera = self._robot.topics.camera.name
            self.get_logger().warning(f"{camera}: {error}", throttle_duration_sec=5.0)
            return
        self._gate.observe_image(stamp, content, stamps.now(self))

    def _take_wrench(self, stamp: float, frame: str, numbers: Sequence[float]) -> None:
        fx, fy, fz, tx, ty, tz = numbers
        self._gate.observe_wrench(math.hypot(fx, fy, fz), math.hypot(tx, ty, tz))

    def _on_deadman(self, message: Bool) -> None:
        self._gate.observe_deadman(message.data, stamps.now(self))

    def _on_mode(self, mode: int, stamp: float) -> None:
        self._gate.observe_mode(mode, stamp, stamps.now(self))

    def _on_description(self, message: String) -> None:
        try:
            self._gate.keep_out.observe_description(message.data)
        except ValueError as error:
            self.get_logger().warning(f"{error}: joints and forearm are not looked at")

    def _look_at_graph(self) -> None:
        own = self.get_fully_qualified_name()
        self._gate.observe_intruders(
            [name for name in self._names_on(self._targets.topic_name) if name != own]
        )
        self._gate.observe_planners(self.count_publishers(self._deltas))
        topics = self._robot.topics
        if topics.current_pose is not None:
            told = [topics.current_pose, *([self._state.topic] if self._state else [])]
            names = (self._names_on(self.resolve_topic_name(topic.name)) for topic in told)
            self._gate.observe_pose_sources(max(names, key=len))
            self._tool_check.look()

    def _names_on(self, topic: str) -> list[str]:
        """Of the nodes that publish there."""
        return [node_of(publisher) for publisher in self.get_publishers_info_by_topic(topic)]

    # --- services ------------------------------------------------------------------------

    def _hold(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._gate.hold()
        response.success, response.message = True, "holding until the next action"
        return response

    def _stop(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._gate.stop("stopped by request, waiting for ~/resume")
        response.success, response.message = True, "stopped: call ~/resume to go on"
        return response

    def _resume(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._gate.resume()
            response.success, response.message = True, "waiting for the next action"
        except Refused as refusal:
            response.success, response.message = False, str(refusal)
        return response

    # --- out -----------------------------------------------------------------------------

    def _turn(self) -> None:
        """What the robot told, then what it is told."""
        self._robot_side.look()
        if self._ticking:
            self._tick()

    def _tick(self) -> None:
        message, self._pending = self._pending, None
        if message is not None:
            self._take(message)
        now = stamps.now(self)
        if goal := self._gate.hand_due(now):
            self._move_hand(goal)
        self._send(now)

    def _send(self, now: float) -> None:
        target = self._gate.tick(now)
        if target is not None:
            self._targets.publish(self._message(target))

    def _message(self, target: Target) -> bytes:
        """A PoseStamped or TwistStamped: to fill one takes longer than all the rest of a tick."""
        if self._robot.command == "twist":
            numbers = (*target.velocity.tolist(), *target.turn_velocity.tolist())
        else:
            numbers = (*target.pose.position.tolist(), *target.pose.rotation)
        return write_stamped(target.stamp, self._robot.base_frame, numbers)

    def _move_hand(self, goal: HandGoal) -> None:
        if self._dry_run:
            self._gate.hand_finished(goal, HandResult(outcome="succeeded"))
        else:
            self._hand.send(goal)

    def status(self) -> Status:
        """Say what the gate does, and why."""
        status = self._gate.status(stamps.now(self))
        message = f"dry run: {status.message}" if self._dry_run else status.message
        values = status.values | {"robot": self._robot.name, "dropped": str(self._dropped)}
        return dataclasses.replace(status, message=message, values=values, news=values[ACCEPTED])


def main() -> int:
    """Run the node until a signal."""
    parser = argparse.ArgumentParser(
        prog="vjepa_arm_gate", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument(
        "--autostart",
        action="store_true",
        help="configure and activate at once, instead of waiting for a lifecycle manager",
    )
    arguments = parser.parse_args(remove_ros_args(sys.argv)[1:])
    return run_nodes(lambda: [ArmGate()], autostart=arguments.autostart)


if __name__ == "__main__":
    sys.exit(main())
