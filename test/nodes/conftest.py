"""The arm gate's bench: it is the robot of the other nodes too."""

# ruff: noqa: F401
from bench import active_gate, bench, start_gate, wait_until, watch
