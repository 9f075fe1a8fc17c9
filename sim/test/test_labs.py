"""Another lab: what of a scene it changes, and that nothing of it changes from seed to seed."""

import numpy as np
import pytest

from vjepa_sim.labs import LABS
from vjepa_sim.robot import MAX_WIDTH
from vjepa_sim.ros.settings import Settings
from vjepa_sim.scene import Scene, SceneConfig
from vjepa_sim.tasks import make_task


@pytest.fixture(scope="module")
def scene():
    with Scene(SceneConfig(width=64, height=64)) as scene:
        yield scene


def bearing(scene) -> tuple[float, float]:
    """Of the camera, around what it looks at: degrees, and metres above the table."""
    x, y, z = scene.camera().pose[:3, 3] - (0.49, 0.0, 0.0)
    return float(np.degrees(np.arctan2(y, x))), float(z)


def test_the_camera_of_the_lab_away_stands_far_round_and_higher_and_still(scene):
    scene.config = SceneConfig(lab="home", randomise=frozenset())
    scene.reset(1)
    around, height = bearing(scene)
    poses = []
    for seed in (1, 2):
        scene.config = SceneConfig(lab="away")
        scene.reset(seed)
        poses.append(scene.camera().pose)
        assert scene.look == LABS["away"].room
    assert (poses[0] == poses[1]).all()
    assert 25 <= bearing(scene)[0] - around <= 40
    assert bearing(scene)[1] - height == pytest.approx(0.25)


def test_objects_stand_where_they_do_at_home(scene):
    spots = []
    for lab in LABS:
        scene.config = SceneConfig(lab=lab, objects=("cube", "bowl"))
        scene.reset(5)
        spots.append([thing.spot for thing in scene.placed])
    assert spots[0] == spots[1]


def test_its_hand_opens_less_and_grasps(scene):
    scene.config = SceneConfig(lab="away")
    task = make_task("grasp", "cup")
    target = task.start(scene, 3)
    assert scene.state().width == pytest.approx(LABS["away"].max_width, abs=1e-3) != MAX_WIDTH
    scene.set_gripper(MAX_WIDTH)
    assert scene.robot.target_width == LABS["away"].max_width
    for _ in task.demonstrate(scene, target):
        pass
    assert task.judge(scene, target).success


def test_an_unknown_lab_is_refused():
    with pytest.raises(ValueError, match="no 'mine', expected one of away, home"):
        SceneConfig(lab="mine")


def test_the_twin_has_a_franka_hand_in_any_lab():
    with pytest.raises(ValueError, match="lab away has another hand than robot fr3"):
        Settings(lab="away", robot="fr3")
    assert Settings(lab="away").scene_config().lab == "away"


def test_fingers_that_are_pushed_open_further_meet_a_stop(scene):
    """As where a hand comes down on something between them."""
    scene.config = SceneConfig(lab="away")
    scene.reset(5)
    scene.robot.target_width = MAX_WIDTH
    scene.step(1.0)
    width = scene.state().finger_positions.sum()
    assert width == pytest.approx(LABS["away"].max_width, abs=5e-4)
