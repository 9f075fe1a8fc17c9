import numpy as np
import pytest

from vjepa_sim.cameras import CAMERAS, VIEWPOINTS, Displacement
from vjepa_sim.geometry import pointing_down, quaternion_to_matrix, rotation_vector
from vjepa_sim.scene import Scene, SceneConfig

PLAIN = SceneConfig(objects=(), randomise=frozenset(), width=256, height=256)


def sleeve_centre(rgb: np.ndarray) -> np.ndarray:
    """Column and row in the middle of the orange finger sleeves."""
    red, green, blue = (rgb[..., channel].astype(int) for channel in range(3))
    orange = (red - blue > 90) & (red > 1.6 * green)
    assert orange.sum() > 20
    rows, columns = np.nonzero(orange)
    return np.array((columns.mean(), rows.mean()))


@pytest.mark.parametrize("name", ["exterior", "exterior_right", "front"])
def test_the_tool_is_found_where_it_projects_to(name):
    with Scene(PLAIN) as scene:
        scene.set_gripper(0.0)
        for target in ((0.40, -0.15, 0.10), (0.58, 0.10, 0.20)):
            scene.set_target(target, pointing_down())
            scene.step(2.0)
            # The closed sleeves' middle is 1.2 cm above the tool point.
            middle = scene.state().position + np.array((0, 0, 0.012))
            expected = scene.camera(name).project(middle)
            found = sleeve_centre(scene.render(name))
            assert np.linalg.norm(found - expected) < 4, (name, target, expected, found)


def test_an_object_is_found_where_it_projects_to_in_the_wrist_picture():
    config = SceneConfig(objects=("cube",), randomise=frozenset(), width=256, height=256)
    with Scene(config) as scene:
        cube = scene.truth()["cube"].position
        scene.set_target((cube[0] - 0.08, cube[1] + 0.02, 0.25), pointing_down(0.2))
        scene.step(2.0)
        rgb = scene.render("wrist").astype(int)
        blue = rgb[..., 2] - rgb[..., 0] > 60
        rows, columns = np.nonzero(blue)
        found = np.array((columns.mean(), rows.mean()))
        expected = scene.camera("wrist").project(cube)
        assert np.linalg.norm(found - expected) < 6, (found, expected)


@pytest.mark.parametrize("name", ["exterior", "wrist"])
def test_edges_in_a_small_picture_are_smooth(name):
    """It is a picture of twice the size, averaged; jagged edges are some 100 levels off."""
    with (
        Scene(SceneConfig(width=128, height=128)) as small,
        Scene(SceneConfig(width=256, height=256)) as large,
    ):
        small.reset(1)
        large.reset(1)
        averaged = large.render(name).reshape(128, 2, 128, 2, 3).mean((1, 3))
        assert np.abs(small.render(name) - averaged).max() < 50


def test_rays_and_projection_mean_the_same_camera():
    """The room is drawn along rays, the robot by PyBullet."""
    with Scene(PLAIN) as scene:
        for name in CAMERAS:
            camera = scene.camera(name)
            rays = camera.rays()
            points = camera.pose[:3, 3] + 0.7 * rays[:, 40, 200]
            np.testing.assert_allclose(camera.project(points), (200, 40), atol=1e-3)


def test_intrinsics_and_frame_follow_ros():
    with Scene(PLAIN) as scene:
        camera = scene.camera("exterior")
        rotation = camera.pose[:3, :3]
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(rotation) == pytest.approx(1)
        assert rotation[2, 1] < 0  # y down
        assert rotation[0, 2] < 0  # z towards the robot
        focal, centre = camera.intrinsics[0, 0], camera.intrinsics[0, 2]
        assert centre == 127.5
        assert 2 * np.degrees(np.arctan(128 / focal)) == pytest.approx(camera.field_of_view)
        behind = camera.pose[:3, 3] - rotation[:, 2]
        assert np.isnan(camera.project(behind)).all()


def test_displacement_moves_the_camera_as_told():
    moved = Displacement(translation=(0.02, 0.0, 0.0), rotation=(0.0, 3.0, 0.0))
    orbited = Displacement(orbit=30.0)
    with (
        Scene(PLAIN) as scene,
        Scene(SceneConfig(displacement=moved, **_plain())) as shifted,
        Scene(SceneConfig(displacement=orbited, **_plain())) as turned,
    ):
        before, after = scene.camera().pose, shifted.camera().pose
        np.testing.assert_allclose(after[:3, 3] - before[:3, 3], (0.02, 0, 0), atol=1e-12)
        turn = np.degrees(rotation_vector(after[:3, :3] @ before[:3, :3].T))
        np.testing.assert_allclose(turn, (0, 3, 0), atol=1e-9)
        around = turned.camera().pose
        target = np.array(VIEWPOINTS["exterior"].target)
        np.testing.assert_allclose(turned.camera().project(target), (127.5, 127.5), atol=1e-6)
        assert around[2, 3] == pytest.approx(before[2, 3])
        turn = np.degrees(rotation_vector(around[:3, :3] @ before[:3, :3].T))
        np.testing.assert_allclose(turn, (0, 0, 30), atol=1e-9)
        np.testing.assert_allclose(shifted.camera("wrist").pose, scene.camera("wrist").pose)


def test_the_shadow_falls_where_the_lamp_throws_it():
    with Scene(PLAIN) as scene:
        lamp = np.array(scene.light.direction)
        scene.set_target((0.50, -0.10, 0.30), pointing_down())
        scene.step(2.0)
        tool = scene.state().position + np.array((0, 0, 0.05))  # where hand and fingers are wide
        under_it = tool - lamp * tool[2] / lamp[2]
        mirrored = tool + (lamp * (1, 1, 0) - lamp * (0, 0, 1)) * tool[2] / lamp[2]
        camera, rgb = scene.camera(), scene.render().astype(int)
        columns, rows = camera.project(np.stack((under_it, mirrored))).round().astype(int).T
        shaded, lit = rgb[rows, columns].sum(-1)
        assert shaded < 0.8 * lit


def test_every_camera_sees_the_tool_at_the_start_except_from_the_wrist():
    with Scene(SceneConfig(width=64, height=64)) as scene:
        for seed in range(10):
            scene.reset(seed)
            tool = scene.state().position
            for name in VIEWPOINTS:
                column, row = scene.camera(name).project(tool)
                assert 0 <= column < 64, (name, seed)
                assert 0 <= row < 64, (name, seed)


def test_unknown_camera_is_named():
    with Scene(PLAIN) as scene, pytest.raises(ValueError, match="camera: no 'left', expected"):
        scene.render("left")


def _plain() -> dict:
    return {"objects": (), "randomise": frozenset(), "width": 256, "height": 256}


def test_wrist_camera_follows_the_hand():
    with Scene(PLAIN) as scene:
        first = scene.camera("wrist").pose
        scene.set_target((0.5, 0.1, 0.2), pointing_down(0.5))
        scene.step(2.0)
        state, second = scene.state(), scene.camera("wrist").pose
        hand = quaternion_to_matrix(state.quaternion_xyzw)
        assert not np.allclose(first, second)
        # It looks past the finger tips: they are in its picture, below the middle.
        column, row = scene.camera("wrist").project(state.position + 0.005 * hand[:, 2])
        assert column == pytest.approx(127.5, abs=1)
        assert 128 < row < 256
