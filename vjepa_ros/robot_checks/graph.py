"""What of a robot's YAML is true of the graph that runs: `vjepa-ros doctor --robot my_arm.yaml`.

Nothing is commanded, but that the open fingers of a franka_hand are asked to close by a
millimetre, which tells whether the hand was homed.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import rclpy
from control_msgs.action import GripperCommand
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.node import Node

from vjepa_gate.graph_names import node_of
from vjepa_gate.hand import HandGoal, HandResult, make_hand
from vjepa_gate.limits import confine
from vjepa_gate.measured import MODES, MOVING_MODE, SAME, SAME_TURN
from vjepa_gate.pose import Pose, apart
from vjepa_gate.robots import Robot
from vjepa_gate.ros.franka_state import state_type
from vjepa_gate.ros.hand_client import make_hand_client
from vjepa_gate.ros.spinning import wait_for
from vjepa_gate.ros.transforms import Transforms
from vjepa_ros.findings import Check, Note, Problem
from vjepa_ros.robot_checks.hearing import (
    RECOVER,
    Ears,
    is_reliable,
    type_name,
)
from vjepa_ros.robot_checks.machine import kernel, network

PATIENCE = 5.0  # seconds for answers
_VENDORS = {b"\x01\x0f": "Fast DDS", b"\x01\x10": "Cyclone DDS", b"\x01\x01": "Connext"}
_LIST = "controller_manager_msgs/srv/ListControllers"
_SWITCH = "ros2 control switch_controllers"


class RobotChecks:
    """Listens for a while, and then has a line for each thing that can be wrong."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._node, self._robot = node, robot
        self._ears, self._transforms = Ears(node, robot), Transforms(node)
        self.listen = self._ears.listen

    def destroy(self) -> None:
        """Stop listening."""
        self._transforms.destroy()
        self._ears.destroy()

    def checks(self) -> list[Check]:
        """All lines, in the order in which things go wrong."""
        ears = self._ears
        topics = [Check(key, partial(ears.topic, key)) for key in ears.heard]
        frame = [Check("frame", self.frame)] if "current_pose" in ears.heard else []
        return [
            Check("RMW", self.rmw),
            Check("franka_msgs", self.franka_msgs),
            *topics,
            *frame,
            Check("tool", self.tool),
            Check("fingers", self.fingers),
            Check("clock", ears.clock),
            Check("mode", self.mode),
            Check("controllers", self.controllers),
            Check("target", self.target),
            Check("gripper", self.gripper),
            Check("homing", self.homing),
            Check("network", network),
            Check("kernel", kernel),
        ]

    # --- lines ---------------------------------------------------------------------------

    def rmw(self) -> str:
        """Tell this process' middleware, and whose the others' endpoints are."""
        own, seen = rclpy.get_rmw_implementation_identifier(), set()
        for key in self._ears.heard:
            gids = [bytes(one.endpoint_gid) for one in self._ears.publishers(key)]
            seen |= {_VENDORS.get(gid[:2], "unknown") for gid in gids}
        told = f"{own} here; the robot's, by its GIDs: {', '.join(sorted(seen)) or 'not heard'}"
        if "fastrtps" not in own:
            return told
        if "Cyclone DDS" in seen:
            raise Problem(f"{told}: set RMW_IMPLEMENTATION=rmw_cyclonedds_cpp here, too")
        raise Note(
            f"{told}. With two computers set RMW_IMPLEMENTATION=rmw_cyclonedds_cpp on both, as "
            "Fast DDS between machines overruns the control loop (franka_ros2 issue 201); which "
            "node is on which machine the graph does not tell"
        )

    def franka_msgs(self) -> str:
        """Check that the messages of a Franka are here, where the YAML needs them."""
        if state_type() is not None:
            return "installed"
        if self._robot.topics.franka_state or self._robot.gripper.kind == "franka_hand":
            raise Problem("not here: install ros-$ROS_DISTRO-franka-msgs, or build franka_ros2")
        raise Note("not installed, and not needed by this YAML")

    def frame(self) -> str:
        """Compare the frame of measured poses with base_frame."""
        found, wanted = self._ears.told("current_pose").header.frame_id, self._robot.base_frame
        if found != wanted:
            raise Problem(
                f"poses are given in frame '{found}', base_frame is {wanted}: set base_frame: "
                f"{found}, if the controller takes targets in that, too"
            )
        pose = self._pose()
        if confine(pose, self._robot.limits) is not pose:
            x, y, z = pose.position
            raise Note(f"{found}; the tool at ({x:.3f}, {y:.3f}, {z:.3f}) m is outside `limits`")
        return found

    def tool(self) -> str:
        """Compare the measured pose with tool_frame in TF."""
        base, tool = self._robot.base_frame, self._robot.tool_frame
        measured = self._robot.topics.current_pose is not None
        try:
            found, _ = self._transforms.look_up(base, tool)
        except (LookupError, ValueError) as error:
            if not measured:
                raise Problem(f"{error}: start robot_state_publisher, or set tool_frame") from error
            raise Note(f"{error}: the measured pose is not compared with {tool}") from error
        if not measured:
            return f"{tool} is in TF"
        way, turn = apart(found, self._pose())
        if way > SAME or turn > SAME_TURN:
            raise Problem(
                f"the measured pose is {100 * way:.1f} cm and {turn:.2f} rad from {tool} in TF: "
                "give both the same point, by Desk's end effector (10.3 cm off: it was not told of "
                "the hand) or by tool_frame; an arm that moves must rest meanwhile"
            )
        return f"{tool} in TF is what is measured, to {1000 * way:.0f} mm"

    def fingers(self) -> str:
        """Look for the fingers' joints."""
        width = self._width()
        most = self._robot.gripper.max_width
        if not -0.005 <= width <= most + 0.005:
            raise Problem(
                f"the fingers are {1000 * width:.0f} mm apart, gripper.max_width is "
                f"{1000 * most:.0f} mm: is gripper.position {self._robot.gripper.position}?"
            )
        return f"{1000 * width:.0f} mm apart"

    def mode(self) -> str:
        """Look at the robot's mode."""
        if "franka_state" not in self._ears.heard:
            raise Note("topics.franka_state is null: reflex and user stop are not watched")
        mode = self._ears.told("franka_state").robot_mode
        if mode == MOVING_MODE:
            return MODES[mode]
        advice = "activate a controller" if MODES.get(mode) == "idle" else RECOVER
        raise Problem(f"the robot is in mode {MODES.get(mode, mode)}: {advice}")

    def controllers(self) -> str:
        """Ask the controller manager what is active."""
        try:
            from controller_manager_msgs.srv import ListControllers
        except ImportError as error:
            raise Note("controller_manager_msgs is not installed: they are not seen") from error
        services = self._node.get_service_names_and_types()
        managers = [name for name, kinds in services if _LIST in kinds]
        if not managers:
            raise Note("no controller manager in sight: what is active is not known")
        found = self._ask(ListControllers, managers[0]).controller
        movers = [one for one in found if one.required_command_interfaces]
        leading = [one.name for one in movers if one.state == "active"]
        resting = [one.name for one in movers if one.state != "active"]
        activate = f"--activate {next((n for n in resting if 'gravity' not in n), 'NAME')}"
        if not leading:
            raise Problem(f"no controller moves the arm: {_SWITCH} {activate}")
        if soft := [name for name in leading if "gravity" in name]:
            raise Problem(
                f"{soft[0]} is active, which follows no target: {_SWITCH} --deactivate {soft[0]} "
                f"{activate}, while the arm gate is silent: it pulls to the last target heard"
            )
        return f"{', '.join(leading)} moves the arm"

    def target(self) -> str:
        """Look who takes targets, and who else sends them."""
        topic, node = self._robot.topics.target, self._node
        name = node.resolve_topic_name(topic.name)
        wanted = type_name(PoseStamped if self._robot.command == "pose" else TwistStamped)
        senders = [node_of(one) for one in node.get_publishers_info_by_topic(name)]
        if others := [sender for sender in senders if not sender.endswith("/arm_gate")]:
            raise Problem(f"{', '.join(others)} publishes {name}: stop it, the arm gate is alone")
        takers = node.get_subscriptions_info_by_topic(name)
        if not takers:
            raise Problem(f"nobody takes {name}: load the controller, or set topics.target")
        if strangers := [one for one in takers if one.topic_type != wanted]:
            raise Problem(
                f"{node_of(strangers[0])} takes {name} as {strangers[0].topic_type}, expected "
                f"{wanted}: set `command` or topics.target"
            )
        if topic.reliability == "best_effort" and any(map(is_reliable, takers)):
            raise Problem(f"{name} is taken reliably: set topics.target.reliability: reliable")
        return f"{name}, taken by {', '.join(map(node_of, takers))}"

    def gripper(self) -> str:
        """Look for the hand's actions, and by what they fail."""
        gripper, served = self._robot.gripper, self._actions()
        name = self._node.resolve_service_name(gripper.action)
        if gripper.kind == "gripper_command":
            _check_served(served, name, type_name(GripperCommand, "action"))
            hand = name.rpartition("/")[0]
            if f"{hand}/grasp" in served:
                raise Problem(
                    f"{name} is franka_gripper's, with an epsilon of 5 mm: it lets go of what is "
                    "not as wide as planned: set gripper.kind: franka_hand, gripper.action: "
                    f"{hand.lstrip('/')}"
                )
            return name
        for verb in ("Grasp", "Move", "Homing"):
            _check_served(served, f"{name}/{verb.lower()}", f"franka_msgs/action/{verb}")
        if gripper.epsilon < gripper.max_width:
            raise Problem(
                f"gripper.epsilon is {gripper.epsilon:g} m: a grasp of what is wider is aborted, "
                f"and lets go: set it to {gripper.max_width:g}"
            )
        return f"{name}/grasp, move, homing; epsilon {gripper.epsilon:g} m"

    def homing(self) -> str:
        """Ask the open hand to close by a millimetre: it cannot before it was homed."""
        gripper = self._robot.gripper
        if gripper.kind != "franka_hand":
            raise Note("a gripper_command needs none, or does not tell")
        hand, results = make_hand(gripper), list[HandResult]()
        hand.observe(self._width())
        goal = hand.due(0.0)
        if goal is None:
            raise Note("not looked at: the fingers are not open, and may hold something")

        def tell(goal: HandGoal, result: HandResult) -> None:
            hand.finished(goal, result)
            results.append(result)

        client = make_hand_client(self._node, gripper, tell)
        _wait(client.ready)
        self._served(client.send, goal)
        answered = _wait(lambda: bool(results))
        self._served(client.destroy)
        if not answered:
            raise Problem(f"{gripper.action}/move does not answer: call {gripper.action}/stop")
        if trouble := hand.trouble(0.0):
            raise Problem(trouble)
        return "the hand is homed: its open fingers close by a millimetre"

    # --- looks ---------------------------------------------------------------------------

    def _pose(self) -> Pose:
        told = self._ears.told("current_pose").pose
        at, turn = told.position, told.orientation
        try:
            return Pose.of((at.x, at.y, at.z), (turn.x, turn.y, turn.z, turn.w))
        except ValueError as error:
            raise Problem(f"measured pose: {error}") from error

    def _width(self) -> float:
        told, gripper = self._ears.told("joint_states"), self._robot.gripper
        positions = dict(zip(told.name, told.position, strict=False))
        if missing := [joint for joint in gripper.joints if joint not in positions]:
            raise Problem(
                f"{self._robot.topics.joint_states.name} has {', '.join(positions) or 'no joints'},"
                f" not {', '.join(missing)}: set topics.joint_states or gripper.joints"
            )
        return gripper.width([positions[joint] for joint in gripper.joints])

    def _actions(self) -> dict[str, list[str]]:
        """Types of action servers, by name."""
        suffix = "/_action/send_goal"
        return {
            name.removesuffix(suffix): [kind.removesuffix("_SendGoal") for kind in kinds]
            for name, kinds in self._node.get_service_names_and_types()
            if name.endswith(suffix)
        }

    def _ask(self, kind: Any, service: str) -> Any:
        client = self._node.create_client(kind, service)
        try:
            if client.wait_for_service(PATIENCE):
                return wait_for(self._served(client.call_async, kind.Request()), PATIENCE)
        except TimeoutError:
            pass
        finally:
            self._served(self._node.destroy_client, client)
        raise Problem(f"{service} does not answer within {PATIENCE:g} s: does its process hang?")

    def _served(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call in the thread that serves the node: rclpy's clients are not for two at once."""
        assert self._node.executor is not None
        return wait_for(self._node.executor.create_task(call, *arguments), PATIENCE)


def _check_served(served: dict[str, list[str]], name: str, kind: str) -> None:
    if name not in served:
        there = ", ".join(sorted(served)) or "none"
        raise Problem(f"no action server {name}, there are: {there}: set gripper.action")
    if kind not in served[name]:
        raise Problem(f"{name} is {', '.join(served[name])}, expected {kind}: set gripper.kind")


def _wait(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not (done := true()) and time.monotonic() < end:
        time.sleep(0.02)
    return done
