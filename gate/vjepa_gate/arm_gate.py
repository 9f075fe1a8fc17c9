"""The arm gate: the last node before the arm, and the only one that commands it.

Actions of the planner in (`ee_delta`), a smooth stream of targets and gripper goals out, to
the topics that the robot's YAML names. Services: `~/hold` (come to rest, wait for the next
action), `~/stop` (come to rest and refuse actions until `~/resume`). /diagnostics says why
the arm holds.
"""

import argparse
import dataclasses
import struct
import sys
import time
import zlib
from typing import Any

from control_msgs.action import GripperCommand
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.action import ActionClient
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool
from std_srvs.srv import Trigger
from vjepa_msgs.msg import EndEffectorDelta

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.gate import Delta, Gate, Refused
from vjepa_gate.gate_config import ArmGateSettings
from vjepa_gate.robots import Robot, Topic, load_robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.managed_node import ManagedNode
from vjepa_gate.ros.process import run_nodes
from vjepa_gate.ros.qos import DELTAS, SIGNALS, of_topic
from vjepa_gate.ros.robot_side import RobotSide
from vjepa_gate.settings import declare_parameters
from vjepa_gate.status import Status
from vjepa_gate.stream import Target

_GRAPH_PERIOD = 0.5  # seconds between two looks at who publishes what
_STAMP_END = 12  # bytes into a serialized image


class ArmGate(ManagedNode):
    def __init__(self, **options: Any) -> None:
        super().__init__("arm_gate", **options)
        declare_parameters(ArmGateSettings, self)

    # --- life ----------------------------------------------------------------------------

    def set_up(self) -> None:
        settings = self.settings(ArmGateSettings)
        self._robot = robot = load_robot(settings.robot)
        mode_topic = robot.topics.franka_state
        mode_type = self._franka_state_type() if mode_topic else None
        self._period = 1 / settings.rate
        self._gate = Gate(robot, settings, watch_mode=mode_type is not None)
        self._dry_run = settings.dry_run

        self._target_type = PoseStamped if robot.command == "pose" else TwistStamped
        target = Topic(name="~/shadow_target") if self._dry_run else robot.topics.target
        self._targets = self.publisher(self._target_type, target.name, of_topic(target))
        self._gripper = ActionClient(self, GripperCommand, robot.gripper.action)
        self.resources.callback(self._gripper.destroy)

        self._listen(robot)
        self._deltas = self.resolve_topic_name("ee_delta")
        self.subscribe(EndEffectorDelta, self._deltas, self._on_delta, DELTAS)
        if settings.deadman:
            self.subscribe(Bool, "deadman", self._on_deadman, SIGNALS)
        if mode_topic and mode_type:
            self.subscribe(mode_type, mode_topic.name, self._on_franka_state, of_topic(mode_topic))
        self.serve(Trigger, "~/hold", self._hold)
        self.serve(Trigger, "~/stop", self._stop)
        self.serve(Trigger, "~/resume", self._resume)
        timer = self.create_timer(_GRAPH_PERIOD, self._look_at_graph)
        self.resources.callback(self.destroy_timer, timer)

    def start(self) -> None:
        self._look_at_graph()
        self._gate.enter()
        self._timer = self.create_timer(self._period, self._tick)

    def stop(self) -> None:
        """Returns when the arm is at rest."""
        self.destroy_timer(self._timer)
        self._gate.leave()
        while not self._gate.silent:
            self._tick()
            time.sleep(self._period)

    def _listen(self, robot: Robot) -> None:
        gate = self._gate
        robot_side = RobotSide(
            self,
            robot,
            on_pose=lambda pose, stamp: gate.observe_pose(pose, stamp, stamps.now(self)),
            on_fingers=lambda width, stamp: gate.observe_fingers(width, stamp, stamps.now(self)),
            on_fault=gate.observe_bad_pose,
        )
        self.resources.callback(robot_side.destroy)
        camera = robot.topics.camera
        image_type = CompressedImage if camera.compressed else Image
        # What matters is when it was taken and that it changes: it is never decoded.
        self.subscribe(image_type, camera.name, self._on_image, of_topic(camera), raw=True)

    def _franka_state_type(self) -> type | None:
        try:
            from franka_msgs.msg import FrankaRobotState
        except ImportError:
            self.get_logger().warning(
                "franka_msgs is not installed: reflex and user stop are not watched"
            )
            return None
        return FrankaRobotState

    # --- in ------------------------------------------------------------------------------

    def _on_delta(self, message: EndEffectorDelta) -> None:
        delta = Delta(
            action=[getattr(message, name) for name in ACTION_NAMES],
            frame=message.header.frame_id,
            image_stamp=stamps.seconds(message.image_stamp),
            sequence=message.sequence,
            duration=message.duration,
        )
        publishers = self.get_publishers_info_by_topic(self._deltas)
        senders = [bytes(publisher.endpoint_gid) for publisher in publishers]
        try:
            position = self._gate.command(delta, senders, stamps.now(self))
        except Refused as refusal:
            self.get_logger().warning(
                f"action {message.sequence} refused: {refusal}", throttle_duration_sec=1.0
            )
            return
        if position is not None and not self._dry_run:
            self._move_gripper(position)

    def _on_image(self, serialized: bytes) -> None:
        # The header comes first, after 4 bytes of which the second tells the byte order.
        order = "<" if serialized[1] & 1 else ">"
        whole, nanoseconds = struct.unpack_from(f"{order}iI", serialized, 4)
        content = zlib.crc32(memoryview(serialized)[_STAMP_END:])
        self._gate.observe_image(whole + 1e-9 * nanoseconds, content, stamps.now(self))

    def _on_deadman(self, message: Bool) -> None:
        self._gate.observe_deadman(message.data, stamps.now(self))

    def _on_franka_state(self, message: Any) -> None:
        stamp = stamps.seconds(message.header.stamp)
        self._gate.observe_mode(message.robot_mode, stamp, stamps.now(self))

    def _look_at_graph(self) -> None:
        publishers = self.get_publishers_info_by_topic(self._targets.topic_name)
        names = [f"{p.node_namespace.rstrip('/')}/{p.node_name}" for p in publishers]
        if self.get_fully_qualified_name() in names:
            names.remove(self.get_fully_qualified_name())
        self._gate.observe_intruders(names)
        self._gate.observe_planners(self.count_publishers(self._deltas))

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

    def _tick(self) -> None:
        target = self._gate.tick(stamps.now(self))
        if target is not None:
            self._targets.publish(self._message(target))

    def _message(self, target: Target) -> PoseStamped | TwistStamped:
        message = self._target_type()
        message.header.stamp = stamps.to_stamp(target.stamp)
        message.header.frame_id = self._robot.base_frame
        if self._target_type is TwistStamped:
            linear, angular = message.twist.linear, message.twist.angular
            linear.x, linear.y, linear.z = target.velocity.tolist()
            angular.x, angular.y, angular.z = target.turn_velocity.tolist()
            return message
        position, orientation = message.pose.position, message.pose.orientation
        position.x, position.y, position.z = target.pose.position.tolist()
        orientation.x, orientation.y, orientation.z, orientation.w = target.pose.rotation
        return message

    def _move_gripper(self, position: float) -> None:
        if not self._gripper.server_is_ready():
            self._gate.gripper_failed(f"no action server {self._robot.gripper.action}")
            return
        goal = GripperCommand.Goal()
        goal.command.position = position
        goal.command.max_effort = self._robot.gripper.force
        self._gripper.send_goal_async(goal).add_done_callback(self._on_gripper_answer)

    def _on_gripper_answer(self, future: Any) -> None:
        if future.result().accepted:
            self._gate.gripper_taken()
        else:
            self._gate.gripper_failed("it refused the last goal")

    def status(self) -> Status:
        status = self._gate.status(stamps.now(self))
        message = f"dry run: {status.message}" if self._dry_run else status.message
        values = status.values | {"robot": self._robot.name}
        return dataclasses.replace(status, message=message, values=values)


def main() -> int:
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
