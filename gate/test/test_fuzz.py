"""A hostile world finds nothing, and finds what is there to be found.

`python gate/test/fuzz.py --steps 1000000` goes on for longer.
"""

import pytest
from fuzz import FAULTS, attack

from vjepa_gate.following import Following
from vjepa_gate.gate import Gate
from vjepa_gate.stream import TargetStream


@pytest.mark.parametrize("command", ["pose", "twist"])
def test_no_target_leaves_its_limits_or_the_arm(command):
    world = attack(command, 10_000, seed=0)
    assert world.auditor.found == []
    assert world.auditor.targets > 5000
    assert int(world.gate.status(world.now).values["accepted"]) > 20


@pytest.mark.parametrize(
    ("command", "of", "name", "broken", "found"),
    [
        ("pose", Gate, "_too_far", lambda *_: "", "m from the arm"),
        ("pose", TargetStream, "_stays_inside", lambda *_: True, "outside the workspace"),
        ("pose", TargetStream, "_stays_upright", lambda *_: True, "tilted by"),
        ("twist", TargetStream, "_stays_inside", lambda *_: True, "outside the workspace"),
        ("twist", TargetStream, "_stays_upright", lambda *_: True, "tilt"),
        ("twist", Following, "missing", (0.0, 0.0), "from where it is measured"),
    ],
)
def test_each_guard_that_is_taken_away_is_missed(monkeypatch, command, of, name, broken, found):
    monkeypatch.setattr(of, name, broken)
    kinds = ("frozen",) if command == "twist" else FAULTS
    world = attack(command, 20_000, 0, found, kinds)
    assert any(found in what for what in world.auditor.found), world.auditor.found[:3]
