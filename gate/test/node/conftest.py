"""The bench, and gates on it."""

from bench import active_gate, bench, start_gate, wait_until, watch  # noqa: F401
