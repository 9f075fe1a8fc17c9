"""Robot `sim`, as ROS sees it: everything at one rate, in one frame, and a hand that succeeds."""

from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from vjepa_sim.faults import Faults, Line
from vjepa_sim.fr3.description import robot_description
from vjepa_sim.geometry import X
from vjepa_sim.kinematics import TCP_OFFSET
from vjepa_sim.robot import RobotState
from vjepa_sim.ros import messages
from vjepa_sim.ros.arm import Arm
from vjepa_sim.ros.gripper import Gripper
from vjepa_sim.ros.model import TF_RATE, Model
from vjepa_sim.ros.settings import Settings
from vjepa_sim.ros.timing import Rhythm, shifted
from vjepa_sim.scene import Scene


class PlainRobot:
    """Arm, hand, and the topics that tell their state."""

    slices = 1  # of a wake-up of the node, between which it sleeps

    def __init__(self, node: Node, scene: Scene, settings: Settings) -> None:
        self._scene = scene
        self._frame = settings.base_frame
        self._faults = Faults()
        self._frozen: RobotState | None = None
        self._arm = Arm(node, scene, settings.base_frame)
        self._gripper = Gripper(node, scene)
        self.arrivals = self._arm.arrivals
        self.wake_rate = settings.state_rate
        self._due = Rhythm(settings.state_rate, settings.tick_rate)
        self.rhythms = [self._due]
        self._states_a_tf = max(1, round(settings.state_rate / TF_RATE))
        self._told = 0  # states
        prefix = settings.arm_prefix
        self._model = Model(node, robot_description(TCP_OFFSET, prefix, settings.base_frame))
        self._finger_names = [f"{prefix}_finger_joint{number}" for number in (1, 2)]
        self._joint_names = [f"{prefix}_joint{number}" for number in range(1, 8)]

        def line(kind: type, topic: str, qos: Any, number: int) -> Line:
            return Line(node.create_publisher(kind, topic, qos).publish, settings.seed, number)

        pose_topic = "franka_robot_state_broadcaster/current_pose"
        self._pose = line(PoseStamped, pose_topic, qos_profile_sensor_data, 4)
        self._fingers = line(JointState, "franka_gripper/joint_states", qos_profile_sensor_data, 5)
        self._joints = line(JointState, "joint_states", 10, 6)

    def destroy(self) -> None:
        self._gripper.destroy()

    def set_faults(self, faults: Faults) -> None:
        self._faults = faults
        self._arm.set_faults(faults)
        self._gripper.set_faults(faults)

    def restart(self) -> None:
        """The scene was built anew."""
        self._gripper.reset()

    def publish(self, stamp: Time, tick: int, now: float) -> None:
        """What is due; now is simulated seconds."""
        if not self._due.beats(tick):
            return
        state = self._scene.state()
        self._gripper.update(state, now)
        if self._faults.state_stop:
            return
        stamp = shifted(stamp, self._faults.clock_offset)
        header = Header(stamp=stamp, frame_id=self._frame)
        seen = self._frozen if self._faults.pose_freeze and self._frozen else state
        self._frozen = seen
        position = seen.position + self._faults.pose_offset * X
        pose = messages.pose(position, seen.quaternion_xyzw)
        self._pose.send(PoseStamped(header=header, pose=pose), now, self._faults)
        fingers = messages.finger_states(self._finger_names, state, stamp)
        joints = messages.joint_states(self._joint_names, state, fingers)
        self._fingers.send(fingers, now, self._faults)
        self._joints.send(joints, now, self._faults)
        if self._told % self._states_a_tf == 0:
            self._model.publish(dict(zip(joints.name, joints.position, strict=True)), stamp)
        self._told += 1
