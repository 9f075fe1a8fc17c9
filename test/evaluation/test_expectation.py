"""Clips of what can and cannot happen, and how a model is asked about them."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("vjepa_sim", reason="vjepa_sim is not here")

from vjepa_gate.errors import UserError
from vjepa_ros import cli
from vjepa_ros.evaluation import impossible
from vjepa_ros.evaluation.expectation import Judged, KindReport, judge_clip
from vjepa_ros.evaluation.impossible import AFTER, KINDS, pairs_of
from vjepa_ros.planning.objectives import L1
from vjepa_sim.scene import SceneConfig


@pytest.fixture
def scene(scene):
    """Without the things that other tests put there."""
    scene.config = SceneConfig()
    return scene


def of_object(run):
    """Where it is along a run, [T, 3]."""
    return np.array([pose[0] for one in run for pose in one.arrangement.objects.values()])


@pytest.mark.parametrize(
    ("kind", "ends_high", "moves"),
    [
        ("passes_through", (0, 0), (1, 0)),
        ("does_not_fall", (0, 1), None),
        ("does_not_follow", (1, 0), None),
    ],
)
def test_objects_go_where_arms_take_them(scene, kind, ends_high, moves):
    runs = [of_object(run) for run in KINDS[kind](scene, 3)]
    first, second = (run[: -AFTER or None] for run in runs)
    assert np.array_equal(first, second)  # until they part
    assert tuple(int(run[-1, 2] > 0.1) for run in runs) == ends_high
    if moves:
        way = [np.linalg.norm(run[-1, :2] - run[-1 - AFTER, :2]) for run in runs]
        assert tuple(int(one > 0.05) for one in way) == moves


@pytest.mark.parametrize("kind", ["teleports", "does_not_follow"])
def test_pairs_differ_in_the_object_alone_and_only_after_the_parting(scene, kind):
    pairs = pairs_of(kind, scene, 4)
    for pair in pairs:
        yes, no = pair.possible, pair.impossible
        shared = slice(yes.parting + 1)
        assert len(yes.frames) - 1 - yes.parting == AFTER
        assert np.array_equal(yes.frames[shared], no.frames[shared])
        assert (yes.frames[-1] != no.frames[-1]).any()
        assert torch.equal(yes.states, no.states)
    if kind == "teleports":  # what comes after is possible, but for how it came to be
        for pair, other in zip(pairs, reversed(pairs), strict=True):
            after = slice(pair.impossible.parting + 1, None)
            assert np.array_equal(pair.impossible.frames[after], other.possible.frames[after])


class StillWorld:
    """Sees a few pixels, and expects that nothing ever changes."""

    def encode(self, rgb):
        return rgb[:, ::16, ::16].flatten(1, 2).float()

    def rollout(self, context, actions):
        return context.latents[None]


def test_surprise_is_judged_after_the_parting(scene):
    (pair, _) = pairs_of("vanishes", scene, 5)
    still, gone = (
        judge_clip(clip, StillWorld(), L1()) for clip in (pair.possible, pair.impossible)
    )
    assert gone.values["pixels"] > still.values["pixels"]
    assert gone.values["model"] == pytest.approx(gone.values["copy last"])


def test_the_larger_surprise_is_taken_for_the_impossible():
    def judged(value):
        return Judged(values={"model": value}, surprised=False)

    pairs = [(judged(0.1), judged(0.2)), (judged(0.2), judged(0.1)), (judged(0.1), judged(0.1))]
    assert KindReport(kind="vanishes", pairs=pairs).right() == 1.5


def test_the_command_tells_a_rate_for_each_kind(
    random_weights, tmp_path, monkeypatch, capsys: pytest.CaptureFixture[str]
):
    kinds = {kind: KINDS[kind] for kind in ("vanishes", "teleports")}
    monkeypatch.setattr(impossible, "KINDS", kinds)
    monkeypatch.setattr("vjepa_ros.evaluation.expectation.KINDS", kinds)
    command = ["evaluate", "--task", "surprise", "--episodes", "1", "--seed", "9", "--workers", "1"]
    command += ["--weights", str(random_weights), "--json", str(tmp_path / "out.json")]
    assert cli.run(command) == 0
    assert "teleports" in capsys.readouterr().out
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["rate"] == (found["vanishes"] + found["teleports"]) / 2
    assert found["details"]["vanishes"]["pairs"] == 2
    with pytest.raises(UserError, match="--samples does nothing beside --task surprise"):
        cli.run([*command, "--samples", "8"])
