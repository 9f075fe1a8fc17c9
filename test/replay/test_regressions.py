"""Each of the mistakes that a replay is there to catch turns the committed gate red.

They are planted where they would be made: in the code that reads and prepares a recording, or in
the recording. What is planned is left out: it takes long, and the rest of the gate sees enough.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from vjepa_ros import cli, conventions
from vjepa_ros.episodes.library import find_episodes, open_episode, write_episode
from vjepa_ros.model import preprocessing
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.replay.figures import better
from vjepa_ros.replay.gates import ReplayGate, check, read_gate
from vjepa_ros.replay.runs import ReplayConfig, replay

ROOT = Path(__file__).parents[2]
BAGS = ROOT / "test" / "data" / "bags"
PLANNED = ("plan.", "energy.rank")


@pytest.fixture(scope="module")
def gate():
    """The committed one, without what only planning can tell."""
    whole = read_gate(ROOT / "config" / "replay_gate.yaml")

    def kept(bounds):
        return {name: one for name, one in bounds.items() if not name.startswith(PLANNED)}

    return ReplayGate(run=kept(whole.run), episode=kept(whole.episode))


def violations(gate, bags=BAGS):
    found = replay(ReplayConfig(weights=SHIPPED_WEIGHTS, plan_every=None), [bags], workers=1)
    return check(gate, found), found


def test_the_recordings_as_they_are_keep_the_gate(gate):
    outside, found = violations(gate)
    assert not outside, "\n".join(map(str, outside))
    assert (len(found.episodes), found.broken) == (4, [])


def test_the_committed_gate_bounds_plans_too():
    whole = read_gate(ROOT / "config" / "replay_gate.yaml")
    assert {"plan.score", "plan.gripper_moves_agreement", "energy.rank"} <= whole.run.keys()
    assert all(better(name) for name in (*whole.run, *whole.episode))


def test_a_gripper_whose_sign_is_flipped(gate, monkeypatch):
    right = conventions.closedness_from_width
    monkeypatch.setattr(
        conventions, "closedness_from_width", lambda width, *rest: 1 - right(width, *rest)
    )
    outside, _ = violations(gate)
    assert [one for one in outside if one.name.startswith("prediction.")]


def test_euler_angles_in_another_order(gate, monkeypatch):
    to_matrix, to_euler = conventions.euler_to_matrix, conventions.matrix_to_euler
    monkeypatch.setattr(conventions, "euler_to_matrix", lambda angles: to_matrix(angles.flip(-1)))
    monkeypatch.setattr(conventions, "matrix_to_euler", lambda matrix: to_euler(matrix).flip(-1))
    outside, _ = violations(gate)
    turned = next(one for one in outside if one.name == "tracking.turn_deg")
    assert (turned.episode, turned.step) == ("pick_place/episode_000000", 0)  # its first step turns


def test_another_crop(gate, monkeypatch):
    monkeypatch.setitem(preprocessing.CROPS, "square", (0.75, 0.75))
    outside, _ = violations(gate)
    assert "prediction.1.error" in {one.name for one in outside}


def test_weights_cut_off(tmp_path, capsys):
    whole = SHIPPED_WEIGHTS.read_bytes()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole[: len(whole) // 2])
    assert cli.main(["replay", str(BAGS), "--weights", str(cut), "--no-plan"]) == 2
    message = capsys.readouterr().err
    assert str(cut) in message
    assert "Traceback" not in message


@pytest.fixture
def with_clock(tmp_path):
    """The shipped bags, their stamps so many times as far apart."""

    def write(factor):
        for path in find_episodes(BAGS):
            reader = open_episode(path)
            stamps = reader.trajectory.stamps
            spoilt = replace(reader.trajectory, stamps=stamps[0] + factor * (stamps - stamps[0]))
            target = tmp_path / path.relative_to(BAGS)
            write_episode(target, "bag", replace(reader, trajectory=spoilt))
        return tmp_path

    return write


def test_a_clock_that_runs_four_times_too_slow(gate, with_clock):
    """Every fourth frame is taken for the next step."""
    outside, found = violations(gate, with_clock(1 / 4))
    assert found.broken == []
    assert {"clock.frame_period", "clock.stamped.step_cm"} <= {one.name for one in outside}


def test_a_clock_that_runs_four_times_too_fast(gate, with_clock):
    """There is no frame for most steps."""
    outside, found = violations(gate, with_clock(4))
    assert len(found.broken) == 4
    assert "no frame within 0.125 s" in found.broken[0].reason
    assert outside
