"""One-picture trials: what they are judged by, and the floors they stand on."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from vjepa_ros.conventions import GRIPPER, POSITION

one_picture = pytest.importorskip("vjepa_ros.evaluation.one_picture", reason="needs vjepa_sim")
from vjepa_ros.planning.config import PlannerConfig  # noqa: E402
from vjepa_ros.planning.subgoals.pursuit import Aim, PursuitConfig  # noqa: E402
from vjepa_ros.planning.world_model import Context  # noqa: E402
from vjepa_sim.scene import Scene, SceneConfig  # noqa: E402

PICK_PLACE = one_picture.Pick(task="pick_place")


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with Scene() as scene:
        yield scene


@pytest.mark.parametrize(("policy", "success"), [("expert", True), ("stay", False)])
def test_the_floors_are_what_they_should_be(scene: Scene, policy: str, success: bool):
    trial = one_picture.run_one(
        PICK_PLACE,
        policy,
        5000,
        scene,
        loaded=None,
        source=None,
        planner=PlannerConfig(),
        config=PursuitConfig(),
    )
    assert trial.success is success
    assert trial.steps > 10


def test_a_lifted_object_has_to_stay_up(scene: Scene):
    """The expert's grasp is judged a second later, too."""
    pick = one_picture.Pick(task="grasp")
    episode = one_picture.CONDITIONS["plain"].begin(scene, pick.make_task(), 5001, "single")

    def grasp_and_let_go() -> Iterator[None]:
        yield from one_picture._expert_steps(episode)
        scene.set_gripper(0.08)

    trial = one_picture._judged(episode, grasp_and_let_go(), "")
    assert not trial.success


def test_a_push_moves_the_object_and_leaves_it_on_the_table(scene: Scene):
    for seed in range(3):
        scene.config = SceneConfig()
        scene.reset(seed)
        before = scene.truth()["cube"].position
        one_picture.push(scene, np.random.default_rng(seed))
        scene.step(0.25)
        after = scene.truth()["cube"].position
        assert 0.04 < np.linalg.norm((after - before)[:2]) < 0.11
        assert after[2] == pytest.approx(before[2], abs=0.002)


def test_servo_goes_straight_and_shuts_the_fingers_at_the_key_frame():
    aim = Aim(
        latents=torch.zeros(1, 8),
        position=torch.tensor((0.1, 0.0, 0.0)),
        closedness=0.5,
        fingers=1,
        last=False,
    )
    servo = one_picture.Servo(0.075)
    context = Context(latents=torch.zeros(1, 1, 8), states=torch.zeros(1, 7))
    servo.aim(aim, context)
    action = servo.step(context)
    assert action[POSITION].tolist() == pytest.approx([0.075, 0, 0])
    assert action[GRIPPER] == 1
