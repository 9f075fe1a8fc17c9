"""Robot `fr3`, as ROS sees it: a Franka Research 3 under franka_ros2 3.x and crisp_controllers."""

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, Wrench
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Header

from vjepa_sim.faults import PREFIX, Faults
from vjepa_sim.fr3.arm import JOINTS, STATES, Fr3Arm
from vjepa_sim.fr3.description import ARM_JOINTS, robot_description
from vjepa_sim.fr3.hand import Hand
from vjepa_sim.kinematics import TCP_OFFSET
from vjepa_sim.ros.arm import Arrivals, too_many_publishers
from vjepa_sim.ros.fr3_hand import Fr3Hand
from vjepa_sim.ros.fr3_manager import Manager
from vjepa_sim.ros.fr3_states import States
from vjepa_sim.ros.model import TF_RATE, Model
from vjepa_sim.ros.settings import Settings
from vjepa_sim.ros.timing import Rhythm, as_nanoseconds, shifted
from vjepa_sim.ros.warner import Warner
from vjepa_sim.scene import Scene

_JOINT_STATES_RATE = 30.0  # Hz, of franka_ros2's joint_state_publisher


class Fr3Robot:
    slices = 5  # of a wake-up of the node, between which it sleeps
    wake_rate = 200.0  # Hz

    def __init__(self, node: Node, scene: Scene, settings: Settings) -> None:
        self._node, self._scene = node, scene
        self._faults = Faults()
        controllers = {JOINTS, STATES, settings.controller} - {"none"}
        self._arm = Fr3Arm(reflex_force=settings.reflex_force, active=controllers)
        self._hand = Hand(homed=settings.hand_homed)
        self._push = Wrench()
        self._arm.take_over(scene)
        self._hand.take_over(scene.robot)

        ticks = settings.tick_rate
        self._manager = Manager(node, self._arm)
        self._fingers = Fr3Hand(node, self._hand, ticks)
        self._states = States(
            node, settings.convenience_publish_rate, settings.desk_end_effector, settings.seed
        )
        self._state_due = Rhythm(1000.0, ticks)
        self._joints_due = Rhythm(_JOINT_STATES_RATE, ticks)
        self._tf_due = Rhythm(TF_RATE, ticks)
        self.rhythms = [self._state_due, self._joints_due, self._tf_due, *self._fingers.rhythms]
        self._looked = -1.0  # at the hand: seconds since the scene's reset
        self._last: dict[str, float] = {}  # joint positions that joint_state_publisher knows

        self._model = Model(node, robot_description(TCP_OFFSET))
        self._joints = node.create_publisher(JointState, "joint_states", 10)
        self._collisions = node.create_publisher(
            Bool, "collision_detected", qos_profile_sensor_data
        )

        self.arrivals = Arrivals(node)
        self._warner = Warner(node, period=1.0)
        self._targets = node.create_subscription(PoseStamped, "target_pose", self._take, 1)
        node.create_subscription(Wrench, "sim/push", self._take_push, 1)

    def destroy(self) -> None:
        self._fingers.destroy()
        self._manager.destroy()

    def set_faults(self, faults: Faults) -> None:
        self._arm.stop(faults.user_stop)
        if faults.arm_reflex and not self._faults.arm_reflex:
            self._arm.trip(f"{PREFIX}arm_reflex")
        self._faults = faults
        self._fingers.set_faults(faults)

    def restart(self) -> None:
        """The scene was built anew."""
        self._arm.take_over(self._scene)
        self._hand.take_over(self._scene.robot)
        self._take_push(self._push)

    def publish(self, stamp: Time, tick: int, now: float) -> None:
        """What is due; now is simulated seconds."""
        stamp = shifted(stamp, self._faults.clock_offset)
        if self._scene.time != self._looked:
            self._looked = self._scene.time
            self._hand.update(self._scene.robot.width, now)
            self._say()
        fingers = self._fingers.publish(stamp, tick)
        if fingers is not None:
            self._last.update(zip(fingers.name, fingers.position, strict=True))
        if self._state_due.beats(tick) and not self._faults.state_stop:
            nanoseconds = as_nanoseconds(stamp)
            self._states.publish(self._arm, self._scene.asked, nanoseconds, now, self._faults)
        if self._joints_due.beats(tick):
            self._publish_joints(stamp)
            self._collisions.publish(Bool(data=self._arm.body.near_itself()))
        if self._tf_due.beats(tick):
            self._model.publish(self._last, stamp)

    def _publish_joints(self, stamp: Time) -> None:
        """As joint_state_publisher does: with a new stamp, if the arm has told nothing new too."""
        if JOINTS in self._arm.active and not self._faults.state_stop:
            self._last.update(zip(ARM_JOINTS, self._arm.body.joints.tolist(), strict=True))
        names = list(self._last)
        positions = list(self._last.values())
        self._joints.publish(JointState(header=Header(stamp=stamp), name=names, position=positions))

    def _take(self, target: PoseStamped) -> None:
        """Any numbers, any frame: crisp_controllers looks at neither."""
        refusal = too_many_publishers(self._node, self._targets.topic_name)
        if self._faults.controller_reject:
            refusal = f"{PREFIX}controller_reject"
        if refusal:
            self._warner.warn(f"target_pose ignored: {refusal}")
        else:
            position, turn = target.pose.position, target.pose.orientation
            self._arm.take_target(
                np.array((position.x, position.y, position.z)),
                np.array((turn.x, turn.y, turn.z, turn.w)),
            )
        self.arrivals.note(target.header.stamp)

    def _take_push(self, push: Wrench) -> None:
        self._push = push
        self._arm.body.push = np.array((push.force.x, push.force.y, push.force.z))

    def _say(self) -> None:
        for line in self._arm.said:
            self._node.get_logger().error(line)
        self._arm.said.clear()
