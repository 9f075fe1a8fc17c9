import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vjepa_gate.errors import UserError
from vjepa_ros.episodes import motions
from vjepa_ros.episodes.npz import read_npz

collection = pytest.importorskip("vjepa_ros.episodes.collection", reason="vjepa_sim is not here")
Scene = pytest.importorskip("vjepa_sim.scene").Scene

ROOT = Path(__file__).parents[2]
SMALL = collection.CollectionConfig(seed=5, steps=6, size=32)


@pytest.fixture(scope="module")
def scene():
    with Scene() as scene:
        yield scene


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Seven small episodes, made by one process."""
    out = tmp_path_factory.mktemp("one_worker")
    return collection.collect(SMALL, 7, out, workers=1)


def test_two_workers_make_the_same_files_as_one(collected, tmp_path):
    others = collection.collect(SMALL, 7, tmp_path, workers=2)
    assert [path.read_bytes() for path in others] == [path.read_bytes() for path in collected]


def test_a_killed_run_goes_on_without_a_broken_or_doubled_episode(collected, tmp_path):
    code = (
        "from pathlib import Path; from vjepa_ros.episodes.collection import *\n"
        "if __name__ == '__main__':\n"
        f"    collect(CollectionConfig(seed=5, steps=6, size=32), 7, Path({str(tmp_path)!r}), 2)"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'sim'}"}
    run = subprocess.Popen([sys.executable, script], env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(list(tmp_path.glob("*.npz"))) >= 2 or run.poll() is not None)
    workers = children(run.pid)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, "it ended before it could be killed"
    wait_until(lambda: not any(alive(worker) for worker in workers))
    left = len(list(tmp_path.glob("*.npz")))
    assert 2 <= left < 7

    resumed = collection.collect(SMALL, 7, tmp_path, workers=1)
    assert [path.read_bytes() for path in resumed] == [path.read_bytes() for path in collected]
    names = sorted(path.name for path in tmp_path.iterdir() if path != script)
    assert names == [".lock", "collection.json", *(path.name for path in collected)]


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_until(condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_what_is_there_is_not_made_again(collected):
    before = [path.stat().st_mtime_ns for path in collected]
    collection.collect(SMALL, 7, collected[0].parent, workers=1)
    assert [path.stat().st_mtime_ns for path in collected] == before


def test_other_settings_in_the_same_folder_are_refused(collected):
    with pytest.raises(UserError, match=r"collection\.json: .* other settings: seed 5, now 6"):
        collection.collect(replace(SMALL, seed=6), 7, collected[0].parent)


def test_two_runs_in_one_folder_are_refused(collected):
    with (
        collection._only_run_in(collected[0].parent),
        pytest.raises(UserError, match="another run is collecting here"),
    ):
        collection.collect(SMALL, 7, collected[0].parent)


def test_episodes_tell_where_they_are_from_and_what_was_true(collected):
    episodes = [read_npz(path).load() for path in collected]
    for index, episode in enumerate(episodes):
        about = episode.provenance
        assert (about["source"], about["index"]) == ("vjepa_sim", index)
        assert about["scene_seed"] >= collection.FIRST_SCENE
        assert episode.frames.shape == (6, 32, 32, 3)
        np.testing.assert_allclose(episode.stamps, 0.25 * np.arange(6))
        assert episode.calibration.intrinsics is not None
        thing = about["object"]
        assert episode.truth[f"{thing}/position"].shape == (6, 3)
        assert {one["name"] for one in about["objects"]} >= {thing}
    assert len({episode.provenance["scene_seed"] for episode in episodes}) == 7
    assert len({episode.frames.tobytes() for episode in episodes}) == 7


def test_the_camera_sees_the_object_where_the_truth_puts_it(scene):
    """The calibration projects a cube's true position onto pixels of the cube's colour."""
    config = replace(SMALL, task="grasp", size=128)
    found = 0
    for index in range(6):
        episode = collection.make_episode(config, index, scene)
        thing = episode.provenance["object"]
        colour = next(o["colour"] for o in episode.provenance["objects"] if o["name"] == thing)
        ((column, row),) = episode.calibration.project(
            episode.truth[f"{thing}/position"][:1]
        ).round()
        pixel = episode.frames[0, int(row), int(column)].astype(float)
        found += np.corrcoef(pixel - pixel.mean(), np.array(colour) - np.mean(colour))[0, 1] > 0.8
    assert found >= 4  # it may be hidden, or grey


def test_the_expert_lifts_what_it_grasps(scene):
    config = replace(SMALL, task="grasp", steps=90)
    held = []
    for index in range(4):
        episode = collection.make_episode(config, index, scene)
        assert len(episode) < 90  # it ends when the task is done
        assert "success" in episode.provenance
        held.append(bool(episode.truth[f"{episode.provenance['object']}/held"].any()))
    assert sum(held) >= 3  # its aim is off by some millimetres on purpose


def test_commands_lead_where_the_arm_then_goes(scene):
    episode = collection.make_episode(replace(SMALL, task="waypoints", steps=30), 0, scene)
    moved = np.linalg.norm(episode.actions[:, :3], axis=1) > 0.02
    told, did = episode.commanded[moved, :3], episode.actions[moved, :3]
    assert moved.sum() > 5
    cosines = (told * did).sum(1) / np.linalg.norm(told, axis=1) / np.linalg.norm(did, axis=1)
    assert np.median(cosines) > 0.9


def test_the_mixture_is_that_of_the_study():
    drawn = [
        collection._draw_kind("mix", np.random.default_rng((5, index))) for index in range(2000)
    ]
    for kind, share in motions.MIXTURE.items():
        assert drawn.count(kind) / 2000 == pytest.approx(share, abs=0.04)


def test_random_motion_covers_the_table_and_moves_the_hand(scene):
    config = replace(SMALL, task="random", steps=90)
    states = np.concatenate(
        [collection.make_episode(config, index, scene).states for index in range(3)]
    )
    assert np.ptp(states[:, :3], axis=0).min() > 0.2
    assert np.ptp(states[:, 6]) > 0.8


def test_the_light_changes_as_often_as_asked_and_nothing_else_does(scene):
    steady, changing = (
        collection.make_episode(replace(SMALL, steps=40, relight=chance), 2, scene)
        for chance in (0.0, 0.5)
    )
    np.testing.assert_array_equal(changing.states, steady.states)
    for name, values in steady.truth.items():
        np.testing.assert_array_equal(changing.truth[name], values)
    # The far corner shows nothing that moves: it changes with the light alone.
    corners = [episode.frames[:, :3, -3:].astype(int) for episode in (steady, changing)]
    changes = [np.abs(np.diff(corner, axis=0)).max((1, 2, 3)) > 0 for corner in corners]
    assert not changes[0].any()
    assert 0.25 < changes[1].mean() < 0.75


def test_what_cannot_be_collected_is_refused():
    with pytest.raises(ValueError, match="no task 'dance', expected one of mix"):
        collection.CollectionConfig(task="dance")
    with pytest.raises(ValueError, match="1 steps an episode"):
        collection.CollectionConfig(steps=1)
    with pytest.raises(ValueError, match=r"relight 1\.5, expected a chance from 0 to 1"):
        collection.CollectionConfig(relight=1.5)


def test_far_hands_leave_the_object_where_it_stands(scene):
    config = replace(SMALL, task="far", steps=10)
    for index in range(3):
        episode = collection.make_episode(config, index, scene)
        things = episode.truth[f"{episode.provenance['object']}/position"]
        assert np.linalg.norm(things - things[0], axis=1).max() < 0.03 or index == 2
    assert len(episode) == 10


def test_in_glimpses_everything_is_elsewhere_each_time_and_nothing_touches(scene):
    for index in range(2):
        config = replace(SMALL, task="glimpses", steps=12)
        episode = collection.make_episode(config, index, scene)
        thing = episode.truth[f"{episode.provenance['object']}/position"]
        moves = np.linalg.norm(np.diff(thing[:, :2], axis=0), axis=1)
        hands = np.linalg.norm(np.diff(episode.states[1:, :3], axis=0), axis=1)
        assert np.median(moves) > 0.05
        assert np.median(hands) > 0.05
        np.testing.assert_allclose(np.diff(episode.stamps), 0.25)
        assert np.isfinite(episode.states).all()
        scene.bullet.performCollisionDetection()
        deepest = min((contact[8] for contact in scene.bullet.getContactPoints()), default=0.0)
        assert deepest > -0.005


def test_what_is_carried_goes_with_the_hand(scene):
    episode = collection.make_episode(replace(SMALL, task="carry", steps=30), 1, scene)
    thing = episode.provenance["object"]
    held = episode.truth[f"{thing}/held"]
    assert held.sum() > 8
    apart = np.linalg.norm(
        episode.truth[f"{thing}/position"][held] - episode.states[held, :3], axis=1
    )
    assert apart.max() < 0.06


def test_what_is_handled_is_held_and_let_go_low_above_the_table(scene):
    episode = collection.make_episode(replace(SMALL, task="handle", steps=40), 1, scene)
    thing = episode.provenance["object"]
    held, hand = episode.truth[f"{thing}/held"], episode.states
    assert held.sum() > 5
    assert hand[held, 2].max() < 0.15
    moved = np.abs(np.diff(held.astype(int))).sum()
    assert moved >= 3  # held, let go, held
    near = np.linalg.norm(episode.truth[f"{thing}/position"] - hand[:, :3], axis=1) < 0.06
    ajar = ~held & near & (hand[:, 6] > 0.02)
    assert ajar.any()  # fingers that have let go and are not wholly open


def test_a_broad_collection_moves_half_of_the_cameras_and_not_the_object(scene):
    config = replace(SMALL, task="far", steps=3)
    moved = 0
    for index in range(8):
        plain = collection.make_episode(config, index, scene)
        broad = collection.make_episode(replace(config, broad=True), index, scene)
        before, after = (one.calibration.camera_to_base for one in (plain, broad))
        moved += bool(np.abs(before - after).max() > 1e-6)
        assert np.linalg.norm(before[:3, 3] - after[:3, 3]) < 0.051
        thing = f"{plain.provenance['object']}/position"
        np.testing.assert_allclose(plain.truth[thing][0], broad.truth[thing][0], atol=1e-6)
    assert 1 <= moved <= 7
