"""The bench, and gates on it."""

# ruff: noqa: F401
from bench import active_gate, bench, start_gate, wait_until, watch
