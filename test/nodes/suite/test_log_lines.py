"""Lines that a program reads back."""

import shlex

from vjepa_ros.nodes.log_lines import log_line


def test_what_was_written_reads_back():
    line = log_line("step", goal="1a2b", energy=0.123456, step=3, reason='say "no" = 64×3', none="")
    event, *pairs = shlex.split(line)
    assert event == "step"
    assert dict(pair.split("=", 1) for pair in pairs) == {
        "goal": "1a2b",
        "energy": "0.1235",
        "step": "3",
        "reason": 'say "no" = 64×3',
        "none": "",
    }
