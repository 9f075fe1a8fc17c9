"""`vjepa-ros goal`: with pictures from files, and from a camera that publishes."""

import cv2
import numpy as np
import pytest
import torch
from sure_proposer import sure_proposer

from vjepa_gate.errors import UserError
from vjepa_gate.robots import load_robot
from vjepa_ros import cli
from vjepa_ros.images import decode_picture, encode_png, rgb_to_fields
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.picture_checks import energies, look_at
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.subgoals import explain
from vjepa_ros.planning.subgoals.proposer import save_proposer


def command(*arguments):
    return cli.run(["goal", *map(str, arguments)])


@pytest.fixture(scope="module")
def scenes():
    """The tool at its start, 5 cm aside and 15 cm aside, as the simulated camera shows it."""
    scene_of = pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")
    config = scene_of.SceneConfig(width=256, height=256)
    pictures = []
    with scene_of.Scene(config) as scene:
        for aside in (0.0, 0.05, 0.15):
            scene.reset(2)
            state = scene.state()
            scene.set_target(state.position + np.array((0.0, aside, 0.0)), state.quaternion_xyzw)
            scene.step(2.0)
            pictures.append(scene.render("exterior"))
    return pictures


@pytest.fixture
def saved(tmp_path):
    def save(name, rgb):
        path = tmp_path / name
        path.write_bytes(encode_png(np.ascontiguousarray(rgb)))
        return path

    return save


def test_energy_is_told_in_moves_that_one_can_imagine(scenes):
    model, limits = load_world_model(SHIPPED_WEIGHTS).world_model, load_robot("sim").limits
    start, aside, aloof = scenes
    same, near, far = energies(model, L1(), start, start, limits)
    assert same == 0
    assert 0 < near < far
    assert energies(model, L1(), start, aside, limits)[0] == pytest.approx(far, rel=0.6)
    assert energies(model, L1(), start, aloof, limits)[0] > 1.3 * far


def test_a_good_goal(scenes, saved, capfd):
    path = saved("goal.png", scenes[0])
    assert command("check", path, "--image", saved("now.png", scenes[0])) == 0
    said = capfd.readouterr().out
    assert "256 × 256 pixels, the encoder sees 256 × 256 pixels of it" in said
    assert "energy 0.000; for the model a move by 1 cm makes 0.0" in said
    assert "this is the goal already" in said
    assert command("check", path, "--image", saved("far.png", scenes[2])) == 0
    assert "should its energy stall, give sub-goals" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda rgb: rgb // 5, "goal: it is too dark"),
        (lambda rgb: 255 - (255 - rgb) // 5, "goal: it is too bright"),
        (lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 5), "goal: it is blurred"),
        (lambda rgb: np.zeros_like(rgb), "goal: it is almost of one colour"),
        (lambda rgb: rgb[::4, ::4], "goal: it is smaller than the 128 × 128 pixels"),
        (lambda rgb: rgb[:160], "the encoder sees another part of it"),
        (lambda rgb: (0.6 * rgb).astype(np.uint8), "the light is another one than in the goal"),
        (lambda rgb: cv2.GaussianBlur(rgb, (0, 0), 2), "the goal is much softer"),
    ],
)
def test_what_is_wrong_with_a_goal_is_said(scenes, saved, capfd, spoil, complaint):
    path = saved("goal.png", spoil(scenes[0]))
    assert command("check", path, "--image", saved("now.png", scenes[0])) == 1
    assert complaint in capfd.readouterr().out


def test_the_middle_of_a_wide_picture_is_seen():
    rgb = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    preprocessor = Preprocessor(64, "square")
    look = look_at(rgb, preprocessor)
    assert (look.size, look.crop) == ((160, 90), (90, 90))
    cropped = preprocessor.cropped(torch.from_numpy(rgb)[None])
    assert torch.equal(cropped[0], torch.from_numpy(rgb[:, 35:125]))
    assert look_at(cropped[0].numpy(), preprocessor).differences(look) == []


def test_what_is_no_picture_is_one_line(tmp_path, saved):
    with pytest.raises(UserError, match=r"none.png cannot be read: No such file"):
        command("check", tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=r"text.png is not an image"):
        command("check", tmp_path / "text.png")
    with pytest.raises(UserError, match=r"--out .*goal.bmp: expected a .png"):
        command("capture", "--out", tmp_path / "goal.bmp")
    with pytest.raises(UserError, match="none: cannot be read as weights: No such file"):
        command("check", tmp_path / "goal.png", "--weights", "none")


def test_the_way_to_a_picture_is_explained(scenes, saved, tmp_path, capfd, monkeypatch):
    identity = load_world_model(SHIPPED_WEIGHTS).identity
    torch.manual_seed(0)
    net, beside = sure_proposer(width=128, tokens=64), tmp_path / "net.safetensors"
    save_proposer(beside, net, identity, {})
    state = "0.45,0,0.3,3.14,0,0,0"
    asked = ["explain", saved("goal.png", scenes[2]), "--image", saved("now.png", scenes[0])]
    asked += ["--state", state, "--subgoals", beside, "--out", tmp_path / "way.png"]
    monkeypatch.setattr(explain, "_NEARER", 9.0)
    assert command(*asked) == 0
    said = capfd.readouterr().out
    assert "8 key frames, confidence 1.00" in said
    assert "8 " in said
    assert decode_picture((tmp_path / "way.png").read_bytes()).shape[1] > 10 * 160
    monkeypatch.setattr(explain, "_NEARER", 0.0)
    assert command(*asked) == 1
    assert "refused: no way that is known comes nearer" in capfd.readouterr().out


def test_without_sub_goals_there_is_no_way_to_explain(scenes, saved, tmp_path):
    goal = saved("goal.png", scenes[0])
    with pytest.raises(UserError, match="no sub-goals are proposed for"):
        command("explain", goal, "--image", goal, "--subgoals", "none")


# --- with a camera ------------------------------------------------------------------------


@pytest.fixture
def camera():
    """Publishes a picture again and again, as the simulated camera does, of the robot `left`."""
    pytest.importorskip("rclpy")
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    from vjepa_gate.ros.spinning import spinning_node

    with spinning_node("camera", namespace="left") as node:
        publisher = node.create_publisher(Image, "camera/image_raw", qos_profile_sensor_data)

        def show(rgb):
            message = Image(**rgb_to_fields(np.ascontiguousarray(rgb)))
            message.header.frame_id = "camera"
            node.create_timer(0.05, lambda: publisher.publish(message))

        yield show


def test_a_goal_from_the_camera_is_cut_as_the_encoder_sees_it(scenes, camera, tmp_path, capfd):
    wide = np.pad(scenes[0], ((0, 0), (50, 50), (0, 0)))
    camera(wide)
    path = tmp_path / "goal.png"
    robot = ("--namespace", "left", "--timeout", 60)
    assert command("capture", "--out", path, *robot) == 0
    assert "356 × 256 pixels, the encoder sees 256 × 256 pixels" in capfd.readouterr().out
    assert np.array_equal(decode_picture(path.read_bytes()), scenes[0])
    assert command("check", path, *robot) == 0
    assert "this is the goal already" in capfd.readouterr().out


def test_no_camera_is_told(tmp_path):
    with pytest.raises(UserError, match=r"no image on /camera/image_raw within 0.2 s"):
        command("capture", "--out", tmp_path / "goal.png", "--timeout", 0.2)
