"""Between a planner and an arm: limits, a smooth stream of targets, watchdogs. No ROS here.

Time is always given, in seconds, never read from a clock.
"""
