"""The bench, and gates on it: fixtures, which pytest finds here by their names (noqa F401)."""

from bench import active_gate, bench, start_gate, wait_until, watch  # noqa: F401
