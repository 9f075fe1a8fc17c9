"""Every fault is seen through the topics, from another process; and goes when it is taken back."""

import dataclasses

import numpy as np
import pytest

from vjepa_sim.faults import Faults

POSE = "franka_robot_state_broadcaster/current_pose"
FINGERS = "franka_gripper/joint_states"
IMAGE = "camera/image_raw"
JPEG = "camera/image_raw/compressed"
INFO = "camera/camera_info"
HEALTHY = {f"fault__{field.name}": field.default for field in dataclasses.fields(Faults)}


@pytest.fixture(autouse=True)
def healthy(lab):
    yield
    assert all(result.successful for result in lab.set(**HEALTHY))


def inflict(lab, **faults: object) -> None:
    results = lab.set(**{f"fault__{name}": value for name, value in faults.items()})
    assert all(result.successful for result in results), results


def pixels(image) -> np.ndarray:
    return np.frombuffer(image.data, np.uint8).reshape(image.height, image.width, 3)


def seconds(message) -> float:
    return message.header.stamp.sec + 1e-9 * message.header.stamp.nanosec


def pictures_of(lab, duration: float = 1.0) -> list:
    """The pictures of a step in which the arm moves."""
    inbox = lab.inbox(IMAGE)
    stamp = lab.send_target((0.5, 0.15, 0.3))
    assert lab.step(duration, after_target=stamp).success
    return inbox.all()


def test_healthy_pictures_change(lab):
    pictures = pictures_of(lab)
    assert len(pictures) == 15
    assert len({bytes(image.data) for image in pictures}) == 15


def test_camera_freeze_repeats_the_last_picture_with_new_stamps(lab):
    before = pictures_of(lab, 0.2)[-1]
    inflict(lab, camera_freeze=True)
    frozen = pictures_of(lab)
    assert {bytes(image.data) for image in frozen} == {bytes(before.data)}
    assert len({seconds(image) for image in frozen}) == 15
    inflict(lab, camera_freeze=False)
    assert bytes(pictures_of(lab)[-1].data) != bytes(before.data)


def test_camera_drop_loses_some(lab):
    inflict(lab, camera_drop=0.5)
    assert 15 < len(pictures_of(lab, 4.0)) < 45  # of 60


def test_camera_drop_of_all_stops_the_camera(lab):
    inflict(lab, camera_drop=1.0)
    infos = lab.inbox(INFO)
    assert pictures_of(lab) == []
    assert infos.all() == []


def test_camera_delay_makes_pictures_late_and_keeps_their_stamps(lab):
    inflict(lab, camera_delay=0.5)
    late = pictures_of(lab)
    end = seconds(late[0]) + 1.0
    assert len(late) == 7  # of 15; the others are on their way
    assert seconds(late[-1]) < end - 0.45
    rest = pictures_of(lab, 0.5)
    assert len(rest) == 8
    stamps = [seconds(image) for image in late + rest]
    assert stamps == sorted(stamps)


def test_camera_noise_has_its_deviation(lab):
    clean = pixels(pictures_of(lab, 3.0)[-1]).astype(int)  # the arm has arrived
    inflict(lab, camera_noise=10.0)
    noisy = [pixels(image).astype(int) for image in pictures_of(lab, 0.2)]
    middle = (clean > 50) & (clean < 205)  # nothing is clipped there
    assert 8 < (noisy[-1] - clean)[middle].std() < 12
    assert (noisy[-1] != noisy[-2]).any()


def test_camera_black(lab):
    jpegs = lab.inbox(JPEG)
    inflict(lab, camera_black=True)
    assert all(not pixels(image).any() for image in pictures_of(lab, 0.3))
    assert len(jpegs.wait()[-1].data) < 1000


def test_camera_wrong_size_contradicts_its_calibration(lab):
    infos = lab.inbox(INFO)
    inflict(lab, camera_wrong_size=True)
    image, info = pictures_of(lab, 0.2)[-1], infos.wait()[-1]
    assert (image.width, image.height, image.step) == (32, 24, 96)
    assert len(image.data) == 32 * 24 * 3
    assert (info.width, info.height) == (64, 48)


def test_state_stop_silences_the_robot_and_not_the_camera(lab):
    states = [lab.inbox(topic) for topic in (POSE, FINGERS, "joint_states")]
    inflict(lab, state_stop=True)
    assert len(pictures_of(lab)) == 15
    assert [inbox.all() for inbox in states] == [[], [], []]
    inflict(lab, state_stop=False)
    lab.step(0.1)
    assert all(inbox.wait(10) for inbox in states)


def test_gripper_refuse_rejects_goals(lab, lockstep):
    inflict(lab, gripper_refuse=True)
    assert not lab.grip(0.0).accepted
    assert "gripper goal rejected (fault.gripper_refuse)" in lockstep.said()
    fingers = lab.inbox(FINGERS)
    lab.step(0.5)
    assert fingers.wait()[-1].position[0] == pytest.approx(0.04, abs=1e-3)
    inflict(lab, gripper_refuse=False)
    assert lab.grip(0.0).accepted


def test_gripper_slip_lets_the_object_fall(lab):
    truths = lab.inbox("sim/truth")
    lab.reset(0, task="reach_object", object="cube")  # begins with the cube between the fingers
    held = truths.wait()[-1].objects[0]
    assert "fingers" in held.touches
    lab.step(0.5)
    assert truths.all()[-1].objects[0].pose.position.z == pytest.approx(
        held.pose.position.z, abs=5e-3
    )
    inflict(lab, gripper_slip=True)
    lab.step(1.5)
    fallen = truths.all()[-1].objects[0]
    assert fallen.pose.position.z < held.pose.position.z - 0.05
    assert list(fallen.touches) == ["table"]


def test_controller_reject_leaves_the_arm_where_it_is(lab, lockstep):
    inflict(lab, controller_reject=True)
    path = lab.move((0.5, 0.2, 0.4), 1.0)
    assert np.ptp(path, axis=0).max() < 1e-3
    assert "the controller rejects targets (fault.controller_reject)" in lockstep.said()
    inflict(lab, controller_reject=False)
    path = lab.move((0.5, 0.2, 0.4), 3.0)
    np.testing.assert_allclose(path[-1], (0.5, 0.2, 0.4), atol=2e-3)


def test_arm_reflex_stops_the_arm_until_it_is_recovered(lab, lockstep):
    moving = lab.move((0.55, 0.2, 0.4), 0.4)
    inflict(lab, arm_reflex=True)
    stopped = lab.move((0.55, 0.2, 0.4), 1.0)
    assert np.linalg.norm(stopped[-1] - moving[-1]) < 0.02  # on its way, not at its end
    assert np.ptp(stopped[50:], axis=0).max() < 1e-3
    assert "the arm is in reflex; call error_recovery" in lockstep.said()
    answer = lab.recover()
    assert answer.success
    assert "recovered" in answer.message
    lab.step(1.0)
    assert "not in reflex" in lab.recover().message
    path = lab.move((0.55, 0.2, 0.4), 3.0)
    assert np.linalg.norm(path[0] - stopped[-1]) < 1e-2  # it stayed there until the new target
    np.testing.assert_allclose(path[-1], (0.55, 0.2, 0.4), atol=2e-3)


def test_the_measured_pose_glitches_and_freezes_and_its_clock_jumps(lab):
    before = lab.move((0.5, 0.0, 0.3), 2.0)[-1]
    inflict(lab, pose_offset=1.0)
    np.testing.assert_allclose(lab.move((0.5, 0.0, 0.3), 0.5)[-1] - before, (1, 0, 0), atol=2e-3)
    inflict(lab, pose_offset=0.0, pose_freeze=True)
    frozen = lab.move((0.5, 0.1, 0.3), 1.0)
    assert np.ptp(frozen[1:], axis=0).max() == 0
    inflict(lab, pose_freeze=False, clock_offset=2.0)
    poses = lab.inbox(POSE)
    end = lab.step(0.5).stamp
    last = poses.wait(50)[-1]
    assert seconds(last) - (end.sec + 1e-9 * end.nanosec) == pytest.approx(2.0, abs=0.02)
    assert last.pose.position.y > 0.09


def test_messages_arrive_twice(lab):
    inflict(lab, message_duplicate=1.0)
    poses = lab.inbox(POSE)
    stamps = [seconds(image) for image in pictures_of(lab)]
    assert stamps[::2] == stamps[1::2] == sorted(set(stamps))
    assert len(stamps) == 30
    assert len(poses.all()) == 200


def test_messages_arrive_out_of_order(lab):
    inflict(lab, message_reorder=0.3)
    poses = lab.inbox(POSE)
    pictures_of(lab, 2.0)
    stamps = [seconds(pose) for pose in poses.all()]
    assert 199 <= len(set(stamps)) == len(stamps) <= 200  # none is lost
    late = np.diff(stamps) < 0
    assert 20 < late.sum() < 80


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("camera_drop", 1.5, "Min: 0.0, Max: 1.0"),
        ("camera_drop", float("nan"), "Min: 0.0, Max: 1.0"),
        ("camera_delay", -1.0, "Min: 0.0, Max: 10.0"),
        ("camera_noise", 1000.0, "Min: 0.0, Max: 128.0"),
        ("camera_black", 1, "BOOL"),
    ],
)
def test_a_fault_out_of_range_is_refused_by_name_and_range(lab, name, value, named):
    (result,) = lab.set(**{f"fault__{name}": value})
    assert not result.successful
    assert named in result.reason
    assert len(pictures_of(lab)) == 15


def test_what_is_fixed_at_the_start_stays_fixed(lab):
    (result,) = lab.set(camera_rate=1.0)
    assert not result.successful
