"""A Franka Research 3 with its ways, without ROS: see docs/TWIN.md."""
