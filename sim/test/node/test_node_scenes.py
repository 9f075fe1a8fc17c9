"""Resets, lock-step and its determinism, as another process sees them."""

import hashlib
import threading

import cv2
import numpy as np
import pytest
from std_srvs.srv import Trigger

POSE = "franka_robot_state_broadcaster/current_pose"
JOINTS = "joint_states"
IMAGE = "camera/image_raw"
INFO = "camera/camera_info"


def seconds(stamp) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec


def first_picture(lab, seed: int, **request) -> bytes:
    pictures = lab.inbox(IMAGE)
    assert lab.reset(seed, **request).success
    return bytes(pictures.wait()[0].data)


def test_time_stands_still_between_steps(lab):
    states = lab.inbox(POSE)
    assert states.all() == []
    before = lab.step(0.25).stamp
    after = lab.step(0.25).stamp
    assert seconds(after) - seconds(before) == pytest.approx(0.25)
    count = len(states.all())
    assert count == 50
    assert len(states.all()) == count


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf"), 11.0])
def test_a_step_of_no_length_is_refused(lab, wrong):
    answer = lab.step(wrong)
    assert not answer.success
    assert "expected more than 0, 10 at most" in answer.message


def test_many_small_steps_are_one_long_one(lab):
    start = seconds(lab.step(0.1).stamp)
    for _ in range(30):
        lab.step(0.01)  # 2.4 ticks
    assert seconds(lab.step(0.1).stamp) - start == pytest.approx(0.4)


def test_a_step_waits_for_the_target_it_names(lab):
    stamp = lab.send_target((0.45, 0.0, 0.3))
    stamp.sec += 1
    answers = []
    thread = threading.Thread(target=lambda: answers.append(lab.step(0.1, after_target=stamp)))
    thread.start()
    thread.join(0.5)
    assert answers == []
    lab.send_target((0.45, 0.0, 0.35))
    thread.join()
    assert answers[0].success


def test_a_step_does_not_wait_for_ever(lab):
    stamp = lab.send_target((0.45, 0.0, 0.3))
    stamp.sec += 1000
    answer = lab.step(0.1, after_target=stamp)
    assert not answer.success
    assert "after_target" in answer.message


def test_the_seed_is_the_scene(lab):
    first = first_picture(lab, 3)
    assert first_picture(lab, 4) != first
    assert first_picture(lab, 3) == first


def test_stamps_never_go_back_across_resets(lab):
    joints = lab.inbox(JOINTS)
    for seed in range(3):
        told = lab.reset(seed).stamp
        lab.step(0.1)
    stamps = [seconds(message.header.stamp) for message in joints.all()]
    assert stamps == sorted(set(stamps))
    assert stamps[-11] == pytest.approx(seconds(told))


def test_another_task_brings_other_things(lab):
    truths = lab.inbox("sim/truth")
    lab.reset(5, task="pick_place", object="cup", place="bowl")
    truth = truths.wait()[-1]
    assert (truth.task, truth.seed) == ("pick_place cup bowl", 5)
    assert [thing.name for thing in truth.objects] == ["cup", "bowl"]
    assert not truth.success
    lab.reset(6)  # the same task
    assert truths.wait(2)[-1].task == "pick_place cup bowl"


def test_an_unknown_task_is_refused_and_nothing_changes(lab):
    truths, poses = lab.inbox("sim/truth"), lab.inbox(POSE)
    lab.reset(3)
    lab.move((0.5, 0.1, 0.3), 1.0)
    for request, message in (
        ({"task": "juggle"}, "no task 'juggle', expected one of reach"),
        ({"task": "grasp", "object": "elephant"}, "cannot grasp 'elephant'"),
    ):
        answer = lab.reset(9, **request)
        assert not answer.success
        assert message in answer.message
    before = seconds(poses.all()[-1].header.stamp)
    lab.step(0.1)
    assert seconds(poses.wait(110)[-1].header.stamp) == pytest.approx(before + 0.1)
    assert truths.all()[-1].seed == 3


def test_an_unknown_schedule_brings_the_old_scene_to_its_start(lab):
    start = first_picture(lab, 3)
    lab.move((0.5, 0.1, 0.3), 0.5)
    pictures = lab.inbox(IMAGE)
    answer = lab.reset(9, schedule="lazy")
    assert not answer.success
    assert "no schedule 'lazy'" in answer.message
    assert bytes(pictures.wait()[0].data) == start


def test_goals_are_pictures_of_reached_states(lab):
    start = first_picture(lab, 3, task="grasp", object="cube", schedule="paper")
    answer = lab.reset(3, task="grasp", object="cube", schedule="paper")
    assert list(answer.goal_names) == ["closed", "lifted"]
    for goal in answer.goals:
        picture = cv2.imdecode(np.frombuffer(goal.data, np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (48, 64, 3)
        assert picture[..., ::-1].tobytes() != start
    assert first_picture(lab, 3) == start  # making goals leaves the start as it is


def test_randomise_draws_another_scene(lab):
    truths = lab.inbox("sim/truth")
    seeds = []
    for _ in range(3):
        answer = lab.call(Trigger, "sim/randomise")
        assert answer.success
        seeds.append(truths.wait()[-1].seed)
        truths.clear()
        assert str(seeds[-1]) in answer.message
    assert len(set(seeds)) == 3


def digest_of_an_episode(start_robot, new_lab, seed: int) -> str:
    """All that a new robot in lock-step sends while it does the same thing: bytes and stamps."""
    robot = start_robot(mode="lockstep", seed=seed, distractors=1, camera_rate=4.0)
    topics = (POSE, JOINTS, IMAGE, INFO)
    try:
        with new_lab(robot) as lab:
            inboxes = [lab.inbox(topic) for topic in topics]
            lab.reset(seed, task="grasp", object="cube")
            for number in range(6):
                stamp = lab.send_target((0.45 + 0.02 * number, 0.03 * number, 0.25))
                if number == 3:
                    lab.grip(0.01)
                assert lab.step(0.25, after_target=stamp).success
            counts = 151, 151, 7, 7
            digest = hashlib.sha256()
            for inbox, count in zip(inboxes, counts, strict=True):
                messages = inbox.wait(count)
                assert len(messages) == count
                for message in messages:
                    digest.update(repr(message).encode())  # serialised, padding is not defined
            return digest.hexdigest()
    finally:
        assert robot.end() == 0


def test_two_runs_with_one_seed_send_the_same(start_robot, new_lab):
    first = digest_of_an_episode(start_robot, new_lab, 11)
    assert digest_of_an_episode(start_robot, new_lab, 11) == first
    assert digest_of_an_episode(start_robot, new_lab, 12) != first
