"""The environment of a benchmark's graph: on this machine alone, in a domain of its own.

Import it before torch and rclpy, which look at it when they start.
"""

import os
from pathlib import Path

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(
    Path(__file__).parents[1] / "config" / "fastdds.xml"
)
