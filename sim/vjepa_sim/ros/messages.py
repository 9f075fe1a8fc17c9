"""From arrays to ROS messages. Fields are converted: rclpy takes a wrong type for garbage."""

import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion, Vector3
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, JointState
from std_msgs.msg import Header
from vjepa_msgs.msg import ObjectTruth as ObjectTruthMessage

from vjepa_sim.cameras import Camera
from vjepa_sim.geometry import matrix_to_quaternion
from vjepa_sim.robot import RobotState
from vjepa_sim.scene import ObjectTruth


def pose(position: np.ndarray, quaternion_xyzw: np.ndarray) -> Pose:
    x, y, z, w = quaternion_xyzw.tolist()
    return Pose(position=_xyz(Point, position), orientation=Quaternion(x=x, y=y, z=z, w=w))


def camera_pose(camera: Camera, header: Header) -> PoseStamped:
    quaternion = matrix_to_quaternion(camera.pose[:3, :3])
    return PoseStamped(header=header, pose=pose(camera.pose[:3, 3], quaternion))


def finger_states(names: list[str], state: RobotState, stamp: Time) -> JointState:
    """The hand feels no effort, here and at Franka's."""
    return JointState(
        header=Header(stamp=stamp),
        name=names,
        position=state.finger_positions.tolist(),
        velocity=state.finger_velocities.tolist(),
        effort=[0.0, 0.0],
    )


def joint_states(names: list[str], state: RobotState, fingers: JointState) -> JointState:
    """The arm's joints with the fingers', as joint_state_publisher merges them."""
    return JointState(
        header=fingers.header,
        name=[*names, *fingers.name],
        position=[*state.joint_positions.tolist(), *fingers.position],
        velocity=[*state.joint_velocities.tolist(), *fingers.velocity],
        effort=[*state.joint_torques.tolist(), *fingers.effort],
    )


def image(rgb: np.ndarray, header: Header) -> Image:
    height, width, _ = rgb.shape
    data = array.array("B", rgb.tobytes())  # a list or an ndarray is copied item by item
    return Image(
        header=header, height=height, width=width, encoding="rgb8", step=3 * width, data=data
    )


def compressed_image(rgb: np.ndarray, header: Header, kind: str) -> CompressedImage:
    """kind is jpeg or png; the format is written as image_transport does."""
    _, data = cv2.imencode(f".{kind}", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return CompressedImage(
        header=header,
        format=f"rgb8; {kind} compressed bgr8",
        data=array.array("B", data.tobytes()),
    )


def camera_info(camera: Camera, header: Header) -> CameraInfo:
    intrinsics = camera.intrinsics
    projection = np.hstack((intrinsics, np.zeros((3, 1))))
    return CameraInfo(
        header=header,
        height=camera.height,
        width=camera.width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=intrinsics.ravel().tolist(),
        r=np.eye(3).ravel().tolist(),
        p=projection.ravel().tolist(),
    )


def object_truth(name: str, truth: ObjectTruth) -> ObjectTruthMessage:
    return ObjectTruthMessage(
        name=name,
        kind=truth.kind,
        pose=pose(truth.position, truth.quaternion_xyzw),
        velocity=_xyz(Vector3, truth.velocity),
        touches=sorted(truth.touches),
    )


def _xyz(kind: type, values: np.ndarray) -> Point | Vector3:
    x, y, z = values.tolist()
    return kind(x=x, y=y, z=z)
