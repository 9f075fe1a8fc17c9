"""Every test process has a ROS domain of its own, on this machine alone, and one torch thread."""

import os

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
# rclpy takes a wrong field type for garbage unless it is told to look.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
# Small models gain nothing from a second thread, and two that wait for each other lose much.
os.environ.setdefault("OMP_NUM_THREADS", "1")
