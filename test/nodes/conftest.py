"""The arm gate's bench: it is the robot of the other nodes too.

Its fixtures are found here by their names (noqa F401).
"""

from bench import active_gate, bench, start_gate, wait_until, watch  # noqa: F401
