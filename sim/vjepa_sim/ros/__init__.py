"""What stands between the scene and ROS: parameters, time, arm, gripper, camera, truth."""
