"""Lengths that settings need, where numpy would be too much."""

FRANKA_HAND_WIDTH = 0.08  # metres between the fingers of an open Franka hand
ARM_REACH = 3.0  # metres; no table-top arm reaches further, but 3 mm written as 3 does not pass
