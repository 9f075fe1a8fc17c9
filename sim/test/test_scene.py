import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vjepa_sim.appearance import PALETTES
from vjepa_sim.geometry import pointing_down
from vjepa_sim.layout import ASPECTS
from vjepa_sim.motion import WORKSPACE
from vjepa_sim.scene import Scene, SceneConfig

BUSY = SceneConfig(objects=("cube", "cup", "bowl"), distractors=2)


def fingerprint(scene: Scene, seed: int) -> str:
    """Pictures, joints and objects of a short grasp, byte for byte."""
    scene.reset(seed)
    digest = hashlib.sha256(scene.render().tobytes())
    target = scene.truth()["cube"].position
    for height, width in ((0.10, 0.08), (0.02, 0.08), (0.02, 0.0), (0.15, 0.0)):
        scene.set_target((*target[:2], height), pointing_down(0.1))
        scene.set_gripper(width)
        scene.step(0.75)
        digest.update(scene.state().joint_positions.tobytes())
        for thing in scene.truth().values():
            digest.update(thing.position.tobytes() + thing.quaternion_xyzw.tobytes())
        for camera in ("exterior", "wrist"):
            digest.update(scene.render(camera).tobytes())
    return digest.hexdigest()


def test_a_seed_gives_the_same_bytes_whatever_came_before():
    with Scene(BUSY) as scene, Scene(BUSY) as other:
        first = fingerprint(scene, 3)
        assert fingerprint(scene, 4) != first
        other.reset(8)
        other.step(0.3)
        assert fingerprint(scene, 3) == first
        assert fingerprint(other, 3) == first


def test_a_seed_gives_the_same_bytes_in_another_process():
    script = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_scene import BUSY, Scene, fingerprint\n"
        "print(fingerprint(Scene(BUSY), 3))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()[-1]
        for _ in range(2)
    }
    with Scene(BUSY) as scene:
        assert outputs == {fingerprint(scene, 3)}


def test_every_aspect_can_be_switched_alone():
    def drawn(randomise: frozenset[str]) -> dict[str, object]:
        with Scene(replace(BUSY, randomise=randomise, distractors=0)) as scene:
            scene.reset(5)
            placed = scene.placed
            return {
                "positions": [(thing.spot, thing.yaw) for thing in placed],
                "sizes": [thing.body.height for thing in placed],
                "colours": [thing.colour for thing in placed],
                "camera": scene.camera().pose.tolist(),
                "start": np.round(scene.state().position, 4).tolist(),
                "light": scene.light,
                "textures": scene.look,
            }

    plain, full = drawn(frozenset()), drawn(frozenset(ASPECTS))
    for aspect in ASPECTS:
        alone = drawn(frozenset({aspect}))
        for name in ASPECTS:
            assert alone[name] == (full if name == aspect else plain)[name], (aspect, name)
            assert full[name] != plain[name]


def test_other_distractors_leave_the_rest():
    first = SceneConfig(distractors=3, distractor_seed=1)
    with Scene(first) as scene, Scene(replace(first, distractor_seed=2)) as other:
        scene.reset(7)
        other.reset(7)
        one, two = scene.placed, other.placed
        assert one[0].spot == two[0].spot
        assert one[0].colour == two[0].colour
        assert [thing.spot for thing in one[1:]] != [thing.spot for thing in two[1:]]
        assert scene.look == other.look


def test_arm_settles_within_two_millimetres_and_half_a_degree():
    with Scene(SceneConfig(objects=())) as scene:
        rng = np.random.default_rng(0)
        misses, turns = [], []
        for _ in range(12):
            target, yaw = rng.uniform(*WORKSPACE), rng.uniform(-0.6, 0.6)
            scene.set_target(target, pointing_down(yaw))
            scene.step(2.0)
            state = scene.state()
            misses.append(np.linalg.norm(state.position - target))
            overlap = abs(state.quaternion_xyzw @ pointing_down(yaw))
            turns.append(2 * np.degrees(np.arccos(min(1.0, overlap))))
    assert np.mean(misses) < 0.002
    assert max(turns) < 0.5


def test_a_far_target_is_approached_with_limited_speed():
    with Scene(SceneConfig(objects=(), randomise=frozenset())) as scene:
        path = [scene.state().position]
        scene.set_target((0.60, 0.25, 0.10), pointing_down())
        for _ in range(150):
            scene.step(1 / 60)
            path.append(scene.state().position)
        speeds = 60 * np.linalg.norm(np.diff(path, axis=0), axis=1)
        assert speeds.max() < 1.15 * scene.config.control.speed
        assert np.abs(np.diff(speeds)).max() < 0.15  # m/s from one tick to the next: no jerk
        np.testing.assert_allclose(path[-1], (0.60, 0.25, 0.10), atol=0.002)


def test_pressing_on_the_table_is_gentle_and_comes_free_at_once():
    with Scene(SceneConfig(objects=(), randomise=frozenset())) as scene:
        x, y, _ = scene.state().position
        scene.set_gripper(0.0)
        scene.set_target((x, y, -0.20), pointing_down())
        scene.step(3.0)
        assert scene.state().position[2] > -0.01
        force = scene.contacts()["fingers", "table"]
        assert 5 < force < 100  # newtons
        scene.set_target((x + 0.1, y + 0.1, 0.10), pointing_down())
        scene.step(1.5)
        np.testing.assert_allclose(scene.state().position, (x + 0.1, y + 0.1, 0.10), atol=0.005)


def test_time_passes_as_asked():
    with Scene() as scene:
        scene.reset(0)
        for _ in range(50):
            scene.step(0.02)  # 4.8 steps of physics
        assert scene.time == pytest.approx(1.0)
        assert scene.state().stamp == scene.time


def test_fingers_open_and_close_together_and_it_shows():
    with Scene(SceneConfig(randomise=frozenset())) as scene:
        scene.set_gripper(0.08)
        scene.step(1.0)
        opened, state = scene.render(), scene.state()
        assert state.width == pytest.approx(0.08, abs=0.001)
        scene.set_gripper(0.0)
        scene.step(0.4)
        left, right = scene.state().finger_positions
        assert left == pytest.approx(right, abs=0.002)
        assert 0.02 < left + right < 0.06  # 0.1 m/s at most
        scene.step(1.0)
        assert scene.state().width == pytest.approx(0.0, abs=0.001)
        changed = np.abs(opened.astype(int) - scene.render()).max(-1) > 40
        assert changed.sum() > 120  # of 16,384; stock black fingers change 70


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux' /proc")
def test_thirty_resets_do_not_grow():
    with Scene(BUSY) as scene:
        for seed in range(10):
            scene.reset(seed)
            scene.render("wrist")
        before = resident_megabytes()
        for seed in range(30):
            scene.reset(seed)
            scene.render("wrist")
        # Meshes given to PyBullet as numbers cost 0.8 MB a reset, 24 MB here.
        assert resident_megabytes() - before < 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objects": ("spoon",)}, "objects: no 'spoon', expected one of"),
        ({"objects": ("cube", "cube")}, "at most once"),
        ({"randomise": frozenset({"gravity"})}, "randomise: no 'gravity'"),
        ({"palette": "neon"}, "palette: no 'neon'"),
        ({"width": 0}, "image of 0"),
    ],
)
def test_config_names_what_is_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        SceneConfig(**change)


def test_a_full_table_is_an_error():
    with pytest.raises(ValueError, match="ask for fewer objects"):
        Scene(SceneConfig(distractors=40))


def test_an_object_can_be_put_elsewhere():
    with Scene() as scene:
        scene.reset(3)
        scene.move_object("cube", (0.45, 0.12))
        scene.step(0.25)
        cube = scene.truth()["cube"]
        assert cube.position == pytest.approx((0.45, 0.12, cube.body.height / 2), abs=0.002)
        with pytest.raises(ValueError, match="object: no 'spoon', expected one of cube"):
            scene.move_object("spoon", (0.5, 0.0))


def test_the_broad_palette_keeps_away_from_colours_that_are_held_out():
    broad, train, unseen = (np.array(PALETTES[n].objects) for n in ("broad", "train", "held_out"))
    assert len(broad) > 40
    assert np.linalg.norm(broad[:, None] - unseen, axis=-1).min() > 0.2
    assert {tuple(colour) for colour in train} <= {tuple(colour) for colour in broad}
    assert PALETTES["broad"].tables == PALETTES["train"].tables


def test_what_was_can_be_looked_at_again():
    with Scene(SceneConfig(objects=("cube",))) as scene:
        scene.reset(5)
        before, seen = scene.arrangement(), scene.render()
        scene.set_target((0.5, 0.1, 0.2), pointing_down())
        scene.step(1.0)
        assert (scene.render() != seen).any()
        scene.arrange(before)
        assert np.array_equal(scene.render(), seen)
        assert scene.arrangement().joints == pytest.approx(before.joints)
