"""Between a planner and an arm: limits, a smooth stream of targets, watchdogs.

gate.py decides; read it first, then README.md's list. All but arm_gate.py and ros/ knows no
ROS: time is always given, in seconds, never read from a clock.
"""
