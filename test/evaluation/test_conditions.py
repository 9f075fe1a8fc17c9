"""Each condition changes what it names, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

from vjepa_gate.robots import load_robot
from vjepa_gate.settings import settings_of
from vjepa_ros.commands.settings.checks import SimulatedArm
from vjepa_ros.commands.settings.episodes import Collect
from vjepa_ros.evaluation.arm import GatedArm, in_lab
from vjepa_ros.evaluation.conditions import CONDITIONS, with_camera_turned
from vjepa_sim.labs import LABS
from vjepa_sim.tasks import make_task

SEED = 5910
PICK_PLACE = make_task("pick_place", "cube")


def begin(scene, name, task=PICK_PLACE, schedule="single", seed=SEED):
    episode = CONDITIONS[name].begin(scene, task, seed, schedule)
    return episode, scene.render()


def spots(scene):
    return {placed.name: placed.spot for placed in scene.placed}


@pytest.fixture(scope="module")
def plain(scene):
    episode, picture = begin(scene, "plain")
    return {
        "picture": picture,
        "goal": episode.goals[-1].observation.rgb,
        "target": episode.target,
        "spots": spots(scene),
        "light": scene.light,
        "look": scene.look,
        "camera": scene.camera().pose,
    }


@pytest.mark.parametrize("name", list(CONDITIONS))
def test_object_and_target_are_those_of_the_plain_scene(scene, plain, name):
    episode, _ = begin(scene, name)
    assert spots(scene)["cube"] == plain["spots"]["cube"]
    assert (episode.target == plain["target"]).all() or name == "distractors"
    assert scene.time == 0


@pytest.mark.parametrize("name", list(CONDITIONS))
def test_an_episode_begins_the_same_every_time(scene, name):
    first, picture = begin(scene, name)
    again, other_picture = begin(scene, name)
    assert (picture == other_picture).all()
    assert (first.goals[-1].observation.rgb == again.goals[-1].observation.rgb).all()


def test_colours_are_of_the_other_palette(scene, plain):
    begin(scene, "colours")
    assert scene.look.table.texture not in ("wood", "laminate", "cloth")
    assert scene.look != plain["look"]


def test_an_open_hand_of_the_lab_away_is_open_to_planner_and_gate(scene):
    begin(scene, "away")
    robot = in_lab(scene, load_robot("sim"))
    assert robot.gripper.max_width == scene.lab.max_width == 0.07
    arm = GatedArm(scene, robot)
    state = arm.state_of(arm.look())
    assert state[6] == pytest.approx(0, abs=1e-3)
    action = torch.zeros(7)
    action[6] = 1.0
    arm.carry_out(action, 1.0)
    assert scene.state().width < 0.002
    arm.look()
    arm.carry_out(-action, 2.0)
    assert scene.state().width == pytest.approx(0.07, abs=1e-3)
    assert not arm.refused


def test_the_commands_know_every_lab():
    for command in (Collect, SimulatedArm):
        assert set(settings_of(command)["lab"].choices) == set(LABS)


def test_light_changes_between_goal_and_run(scene, plain):
    episode, picture = begin(scene, "light")
    assert scene.light == plain["light"]
    assert (picture == plain["picture"]).all()
    assert not (episode.goals[-1].observation.rgb == plain["goal"]).all()


def test_camera_is_moved_by_two_centimetres_and_three_degrees(scene, plain):
    begin(scene, "camera")
    pose = scene.camera().pose
    moved = np.linalg.norm(pose[:3, 3] - plain["camera"][:3, 3])
    cosine = (np.trace(pose[:3, :3] @ plain["camera"][:3, :3].T) - 1) / 2
    assert moved == pytest.approx(0.02, abs=1e-6)
    assert np.degrees(np.arccos(cosine)) == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("name", ["plain", "distractors"])
def test_a_turned_camera_goes_around_the_table_in_goal_and_run(scene, name):
    before = CONDITIONS[name]
    poses = []
    for condition in (before, with_camera_turned(before, 30.0)):
        condition.begin(scene, PICK_PLACE, SEED, "single")
        poses.append(scene.camera().pose)
    straight, turned = poses
    angles = [np.degrees(np.arctan2(*pose[1::-1, 2])) for pose in poses]  # of the view, level
    assert (angles[1] - angles[0]) % 360 == pytest.approx(30.0)
    assert turned[2, 3] == pytest.approx(straight[2, 3])
    assert np.linalg.norm(turned[:2, 3] - straight[:2, 3]) > 0.3
    goals = with_camera_turned(before, 30.0).at_goals(SEED)
    assert goals.displacement.orbit == 30.0
    assert replace(goals, displacement=before.at_goals(SEED).displacement) == before.at_goals(SEED)


def test_distractors_are_others_than_in_the_goal_and_leave_the_place_free(scene):
    for seed in range(SEED, SEED + 6):
        episode, _ = begin(scene, "distractors", seed=seed)
        scene.config = CONDITIONS["distractors"].at_goals(seed)
        others = {name: spot for name, spot in spots(scene).items() if name != "cube"}
        assert len(others) == 2
        for spot in others.values():
            assert np.linalg.norm(np.subtract(spot, episode.target[:2])) > 0.1
        PICK_PLACE.start(scene, seed)
        assert {name: spot for name, spot in spots(scene).items() if name != "cube"} != others
