"""V-JEPA 2 world-model planning for robot arms, as ROS 2 nodes and as a plain library."""
