import os
import shutil
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from vjepa_ros import conventions
from vjepa_ros.episodes.bag import read_bag
from vjepa_ros.episodes.bag_schema import BagTopics
from vjepa_ros.episodes.bag_writer import write_bag
from vjepa_ros.episodes.files import EpisodeError

START = 1_700_000_000.0


def assert_same_states(found, expected, tolerance=1e-9):
    """Angles may differ by whole turns, so rotations are compared as matrices."""
    for part in (conventions.POSITION, conventions.GRIPPER):
        np.testing.assert_allclose(found[:, part], expected[:, part], atol=tolerance)
    turns = [conventions.euler_to_matrix(torch.from_numpy(a[:, 3:6])) for a in (found, expected)]
    np.testing.assert_allclose(turns[0], turns[1], atol=tolerance)


# --- bags of our own ---------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("images", ["png", "raw"])
def test_lossless_images_and_states_come_back(tmp_path, episode, storage, images):
    write_bag(tmp_path / "bag", episode, episode.frames, images=images, storage=storage)
    back = read_bag(tmp_path / "bag").load()
    np.testing.assert_array_equal(back.frames, episode.frames)
    np.testing.assert_array_equal(back.stamps, episode.stamps)
    assert_same_states(back.states, episode.states)
    np.testing.assert_allclose(back.commanded, episode.commanded, atol=1e-9)
    assert (back.task, back.provenance) == (episode.task, episode.provenance)
    calibration = back.calibration
    np.testing.assert_array_equal(calibration.intrinsics, episode.calibration.intrinsics)
    np.testing.assert_allclose(
        calibration.camera_to_base, episode.calibration.camera_to_base, atol=1e-12
    )


def test_jpeg_images_come_back_close(tmp_path, episode):
    write_bag(tmp_path / "bag", episode, episode.frames, images="jpeg")
    back = read_bag(tmp_path / "bag").load()
    assert 0 < np.abs(back.frames.astype(int) - episode.frames).mean() < 8


def test_an_episode_of_states_and_frames_only(tmp_path, episode):
    bare = replace(episode, commanded=None, calibration=None, task="", provenance={})
    write_bag(tmp_path / "bag", bare, bare.frames)
    back = read_bag(tmp_path / "bag").load()
    assert back.commanded is None
    assert back.calibration is None
    assert back.provenance == {"source": "bag"}


def test_a_single_storage_file_reads_without_its_metadata(tmp_path, episode):
    write_bag(tmp_path / "bag", episode, episode.frames)
    back = read_bag(tmp_path / "bag" / "bag.mcap").load()
    np.testing.assert_array_equal(back.frames, episode.frames)


def test_topics_can_be_renamed(tmp_path, episode):
    topics = BagTopics(image="/left/image", pose="arm/pose", max_width=0.1)
    write_bag(tmp_path / "bag", episode, episode.frames, topics=topics)
    assert_same_states(read_bag(tmp_path / "bag").load().states, episode.states)  # it says so
    with pytest.raises(EpisodeError, match="arm/ee: found no such topic"):
        read_bag(tmp_path / "bag", {"pose": "arm/ee"})
    with pytest.raises(EpisodeError, match=r"the bag has left/image/compressed: choose with"):
        read_bag(tmp_path / "bag", {"image": "right/image"})


def test_windows_of_a_bag_decode_the_right_frames(tmp_path, make_episode):
    episode = make_episode(steps=30)
    write_bag(tmp_path / "bag", episode, episode.frames)
    reader = read_bag(tmp_path / "bag")
    np.testing.assert_array_equal(list(reader.frames(7, 11)), episode.frames[7:11])
    np.testing.assert_array_equal(list(reader.select([2, 29]).frames()), episode.frames[[2, 29]])
    np.testing.assert_array_equal(list(reader.every(1.0).frames(3, 5)), episode.frames[12:20:4])


def test_reading_a_long_bag_holds_one_frame_at_a_time(tmp_path, make_episode):
    """300 frames are 69 MB, 10,000 are 2.3 GB; a chunk of the bag and the poses are a few MB."""
    length = int(os.environ.get("EPISODE_LONG_BAG", "300"))
    episode = make_episode(steps=10)
    frames = np.random.default_rng(0).integers(0, 255, (10, 240, 320, 3), np.uint8)
    many = replace(
        episode,
        states=np.repeat(episode.states, length // 10, axis=0),
        stamps=START + np.arange(length) / 15,
        frames=np.zeros((length, 1, 1, 3), np.uint8),
        commanded=None,
        calibration=None,
        truth={},
    )
    write_bag(tmp_path / "bag", many, (frames[step % 10] for step in range(length)), images="raw")
    tracemalloc.start()
    total = sum(int(frame[0, 0, 0]) for frame in read_bag(tmp_path / "bag").frames())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == length // 10 * int(frames[:, 0, 0, 0].sum())
    assert peak < 10e6


# --- bags that were damaged --------------------------------------------------------------


def test_a_bag_that_was_cut_off_is_refused(tmp_path, episode):
    write_bag(tmp_path / "bag", episode, episode.frames)
    file = tmp_path / "bag" / "bag.mcap"
    file.write_bytes(file.read_bytes()[:-4000])
    with pytest.raises(EpisodeError, match="`mcap recover` mends"):
        read_bag(tmp_path / "bag")


def test_a_changed_byte_fails_the_checksum_of_its_topic(tmp_path, episode):
    write_bag(tmp_path / "bag", episode, episode.frames, images="raw", storage="sqlite3")
    file = tmp_path / "bag" / "bag.db3"
    data = bytearray(file.read_bytes())
    data[data.find(episode.frames[3].tobytes()[:100]) + 7] ^= 1
    file.write_bytes(data)
    with pytest.raises(EpisodeError, match=r"/camera/image_raw: found checksum .* damaged"):
        read_bag(tmp_path / "bag")


def test_missing_messages_are_noticed(tmp_path, episode):
    """A bag whose index promises more than it holds."""
    write_bag(tmp_path / "bag", episode, episode.frames, storage="sqlite3")
    metadata = tmp_path / "bag" / "metadata.yaml"
    content = yaml.safe_load(metadata.read_text())
    topics = content["rosbag2_bagfile_information"]["topics_with_message_count"]
    next(one for one in topics if "current_pose" in one["topic_metadata"]["name"])[
        "message_count"
    ] = 9
    metadata.write_text(yaml.safe_dump(content))
    with pytest.raises(EpisodeError, match="found 5 messages; expected 9"):
        read_bag(tmp_path / "bag")


def test_empty_folders_and_missing_files_are_named(tmp_path):
    with pytest.raises(EpisodeError, match="nowhere"):
        read_bag(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(EpisodeError, match="empty"):
        read_bag(tmp_path / "empty")
    (tmp_path / "empty.mcap").touch()
    with pytest.raises(EpisodeError, match=r"empty\.mcap"):
        read_bag(tmp_path / "empty.mcap")


def test_a_killed_write_leaves_no_bag(tmp_path, episode):
    def frames():
        yield episode.frames[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bag(tmp_path / "bag", episode, frames())
    assert not list(tmp_path.iterdir())


def test_a_huge_message_is_refused(tmp_path, episode, monkeypatch):
    write_bag(tmp_path / "bag", episode, episode.frames, images="raw")
    monkeypatch.setattr("vjepa_ros.episodes.bag_scan.MAX_MESSAGE", 5000)
    with pytest.raises(EpisodeError, match=r"image_raw: found a message of \d+ bytes, more than"):
        read_bag(tmp_path / "bag")


def test_bags_can_be_moved(tmp_path, episode):
    write_bag(tmp_path / "bag", episode, episode.frames)
    shutil.move(tmp_path / "bag", tmp_path / "elsewhere")
    np.testing.assert_array_equal(read_bag(tmp_path / "elsewhere").load().frames, episode.frames)
