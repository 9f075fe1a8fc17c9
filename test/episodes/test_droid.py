import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from vjepa_ros import conventions
from vjepa_ros.episodes.droid import read_droid, write_droid
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.mp4 import write_mp4


@pytest.fixture
def folder(tmp_path, make_episode):
    """A folder as DROID has it, without anything that our own writer adds."""
    episode = make_episode(steps=12)
    path = tmp_path / "Tue_Jul_11_09:41:08_2023"
    videos = path / "recordings" / "MP4"
    videos.mkdir(parents=True)
    write_mp4(videos / "22008760.mp4", episode.frames, 60)
    write_mp4(videos / "18026681.mp4", episode.frames[:, ::-1], 60)
    metadata = {
        "uuid": "IRIS+abc",
        "lab": "IRIS",
        "current_task": "Move the cup",
        "left_mp4_path": "success/2023-07-11/Tue_Jul_11_09:41:08_2023/recordings/MP4/22008760.mp4",
        "wrist_mp4_path": "success/2023-07-11/…/recordings/MP4/18026681.mp4",
    }
    (path / "metadata_IRIS+abc.json").write_text(json.dumps(metadata))
    with h5py.File(path / "trajectory.h5", "w") as file:
        state = file.create_group("observation/robot_state")
        state["cartesian_position"] = episode.states[:, :6]
        state["gripper_position"] = np.linspace(-0.004, 0.9, 12)  # a hand reads past its stop
        file["action/cartesian_position"] = episode.states[:, :6] + [0.01, 0, 0, 0, 0, 0]
        file["action/gripper_position"] = np.full(12, 0.5)
        stamps = 1689000000000 + np.arange(12) * 67
        file["observation/timestamp/cameras/22008760_frame_received"] = stamps
        file["observation/camera_extrinsics/22008760_left"] = np.tile(
            [0.1, 0.6, 0.4, -1.9, 0.1, -1.2], (12, 1)
        )
        moving = np.cumsum(np.full((12, 6), 0.01), 0)
        file["observation/camera_extrinsics/18026681_left"] = moving
    return path


def edit(path, key, values):
    with h5py.File(path / "trajectory.h5", "a") as file:
        del file[key]
        if values is not None:
            file[key] = values


def test_reads_what_droid_recorded(folder):
    reader = read_droid(folder)
    trajectory = reader.trajectory
    assert len(reader) == 12
    assert trajectory.task == "Move the cup"
    assert trajectory.states[0, 6] == 0
    assert trajectory.states[-1, 6] == pytest.approx(0.9)
    assert trajectory.step_period == pytest.approx(0.067, abs=1e-6)
    assert trajectory.provenance["stamps"].endswith("22008760_frame_received")
    stand = trajectory.calibration.camera_to_base
    expected = Rotation.from_euler("xyz", [-1.9, 0.1, -1.2]).as_matrix()
    np.testing.assert_allclose(stand[:3, :3], expected, atol=1e-12)
    np.testing.assert_allclose(stand[:3, 3], [0.1, 0.6, 0.4])


def test_the_command_leads_from_the_state_to_the_commanded_pose(folder):
    trajectory = read_droid(folder).trajectory
    np.testing.assert_allclose(trajectory.commanded[:, 0], 0.01, atol=1e-12)
    np.testing.assert_allclose(trajectory.commanded[:, 1:6], 0, atol=1e-12)
    np.testing.assert_allclose(trajectory.commanded[:, 6], 0.5 - trajectory.states[:-1, 6])


def test_frames_are_rgb_and_in_order(folder, make_episode):
    frames = read_droid(folder).load().frames
    expected = make_episode(steps=12).frames.astype(int)
    errors = [[np.abs(frame - other).mean() for other in expected] for frame in frames.astype(int)]
    assert np.argmin(errors, axis=1).tolist() == list(range(12))
    assert np.diag(errors).max() < 8
    swapped = np.abs(frames[..., ::-1].astype(int) - expected).mean()
    assert swapped > 3 * np.diag(errors).mean()


def test_a_window_is_the_same_as_in_the_whole(folder):
    reader = read_droid(folder)
    whole = reader.load().frames
    np.testing.assert_array_equal(list(reader.frames(5, 8)), whole[5:8])
    np.testing.assert_array_equal(list(reader.select([1, 9]).frames()), whole[[1, 9]])


def test_a_step_period_follows_the_stamps_not_the_video(folder):
    """The MP4 says 60 Hz; by its stamps every fourth frame is 0.268 s apart."""
    every = read_droid(folder).every(0.268)
    assert len(every) == 3
    assert every.trajectory.step_period == pytest.approx(0.268, abs=1e-6)


def test_other_cameras_by_name_and_by_serial(folder, make_episode):
    for camera in ("wrist", "18026681"):
        reader = read_droid(folder, camera)
        first = next(reader.frames()).astype(int)
        assert np.abs(first - make_episode(steps=12).frames[0, ::-1]).mean() < 8
        assert reader.trajectory.calibration.camera_to_base is None  # it moves with the hand
        assert reader.trajectory.provenance["stamps"] == "none, taken as 15 Hz"


def test_of_a_stereo_video_the_left_half_counts(folder, make_episode):
    frames = make_episode(steps=12).frames
    videos = folder / "recordings" / "MP4"
    (videos / "22008760.mp4").unlink()
    write_mp4(videos / "22008760-stereo.mp4", np.concatenate((frames, frames[::-1]), axis=2), 60)
    first = next(read_droid(folder).frames()).astype(int)
    assert first.shape == frames[0].shape
    assert np.abs(first - frames[0]).mean() < 8


def test_rows_without_a_frame_at_the_end_are_left_out(folder, make_episode):
    write_mp4(folder / "recordings/MP4/22008760.mp4", make_episode(steps=12).frames[:10], 60)
    reader = read_droid(folder)
    assert len(reader) == 10
    assert reader.trajectory.provenance["video_frames"] == 10
    assert len(reader.load().frames) == 10


def break_gripper(folder):
    edit(folder, "observation/robot_state/gripper_position", np.linspace(0, 85, 12))


def break_pose_shape(folder):
    edit(folder, "observation/robot_state/cartesian_position", np.zeros((12, 7)))


def lose_pose(folder):
    edit(folder, "observation/robot_state/cartesian_position", None)


def lose_metadata(folder):
    next(folder.glob("metadata_*.json")).unlink()


def break_metadata(folder):
    next(folder.glob("metadata_*.json")).write_text('{"uuid": ')


def lose_left(folder):
    path = next(folder.glob("metadata_*.json"))
    metadata = json.loads(path.read_text())
    del metadata["left_mp4_path"]
    path.write_text(json.dumps(metadata))


def lose_video(folder):
    (folder / "recordings/MP4/22008760.mp4").unlink()


def cut_video(folder):
    path = folder / "recordings/MP4/22008760.mp4"
    path.write_bytes(path.read_bytes()[:300])


def short_video(folder):
    write_mp4(folder / "recordings/MP4/22008760.mp4", np.zeros((3, 48, 64, 3), np.uint8), 60)


def cut_table(folder):
    path = folder / "trajectory.h5"
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_gripper, r"trajectory\.h5: observation/robot_state/gripper_position: found gripper"),
        (break_pose_shape, r"cartesian_position: found one of shape \[12, 7\]; expected a dataset"),
        (lose_pose, r"trajectory\.h5: observation/robot_state/cartesian_position: found no such"),
        (lose_metadata, r"metadata_\*\.json: found 0 files of that name; expected one"),
        (break_metadata, r"metadata_IRIS\+abc\.json: file: found .*expected a JSON object|value"),
        (lose_left, r"left_mp4_path: found none; expected a path \(of wrist\)"),
        (lose_video, r"22008760\.mp4: found 18026681\.mp4; expected this camera's"),
        (cut_video, r"22008760\.mp4: file: found 0 frames"),
        (short_video, r"22008760\.mp4: frames: found 3; expected 12, the rows of trajectory\.h5"),
        (cut_table, r"trajectory\.h5: file: found OSError.*truncated"),
    ],
)
def test_what_is_wrong_is_named(folder, damage, message):
    damage(folder)
    with pytest.raises(EpisodeError, match=message):
        read_droid(folder)


def test_our_own_folder_comes_back(tmp_path, make_episode):
    episode = make_episode(steps=9)
    write_droid(tmp_path / "a", episode, episode.frames)
    back = read_droid(tmp_path / "a").load()
    for name in ("states", "stamps", "commanded"):
        np.testing.assert_allclose(getattr(back, name), getattr(episode, name), atol=1e-12)
    np.testing.assert_allclose(back.truth["cup/position"], episode.truth["cup/position"])
    assert (back.task, back.provenance) == (episode.task, episode.provenance)
    known = episode.calibration
    np.testing.assert_allclose(back.calibration.camera_to_base, known.camera_to_base, atol=1e-9)
    np.testing.assert_allclose(back.calibration.intrinsics, known.intrinsics)
    assert np.abs(back.frames.astype(int) - episode.frames).mean() < 8


def test_states_are_those_of_the_reference_loader(tmp_path, make_episode):
    """facebookresearch/vjepa2: pose and gripper side by side, actions by scipy's rotations."""
    episode = make_episode(steps=6)
    write_droid(tmp_path / "a", episode, episode.frames)
    with h5py.File(tmp_path / "a" / "trajectory.h5") as file:
        state = file["observation/robot_state"]
        poses = np.array(state["cartesian_position"])
        states = np.concatenate([poses, np.array(state["gripper_position"])[:, None]], 1)
    trajectory = read_droid(tmp_path / "a").trajectory
    np.testing.assert_allclose(trajectory.states, states, atol=1e-12)
    turns = Rotation.from_euler("xyz", states[:, 3:6])
    difference = np.concatenate(
        [np.diff(states[:, :3], axis=0), (turns[1:] * turns[:-1].inv()).as_euler("xyz")], 1
    )
    np.testing.assert_allclose(trajectory.actions[:, :6], difference, atol=1e-9)


def test_a_command_past_the_hands_stop_ends_at_the_stop(tmp_path, make_episode):
    episode = make_episode(steps=3)
    commanded = np.zeros((2, 7))
    commanded[:, 6] = 0.9
    episode = replace(episode, commanded=commanded)
    write_droid(tmp_path / "a", episode, episode.frames)
    back = read_droid(tmp_path / "a").trajectory
    states = torch.from_numpy(back.states[:-1])
    reached = conventions.apply_action(states, torch.from_numpy(back.commanded))
    np.testing.assert_allclose(reached[:, 6], 1)


def test_too_few_frames_write_nothing(tmp_path, episode):
    with pytest.raises(ValueError, match="3 frames, expected 5"):
        write_droid(tmp_path / "a", episode, episode.frames[:3])
    assert not list(tmp_path.iterdir())
