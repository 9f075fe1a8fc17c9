"""What was recorded reads back as an episode."""

import time

import numpy as np

from vjepa_ros.episodes.bag import read_bag


def test_a_recording_is_an_episode(bench, camera, start_nodes, picture, tmp_path, wait_until):
    bench.gate = "recorder"
    (node,) = start_nodes("recorder", folder=str(tmp_path / "bag"), task="reach")
    camera.stream(picture(1, (64, 64)))
    wait_until(lambda: node._written.total > 100, "recorded", bench.status)
    bench.position = [0.55, 0.0, 0.3]
    bench.send(dx=0.05)
    time.sleep(1.0)
    assert bench.change_state("deactivate")
    assert bench.change_state("cleanup")

    episode = read_bag(tmp_path / "bag")
    assert episode.trajectory.task == "reach"
    assert episode.trajectory.provenance["robot"] == "simulated Franka"
    states = episode.trajectory.states
    np.testing.assert_allclose(states[0, :3], [0.5, 0.0, 0.3], atol=1e-6)
    np.testing.assert_allclose(states[-1, :3], [0.55, 0.0, 0.3], atol=1e-6)
    assert (states[:, 6] == 0).all()
    (frame,) = episode.frames(0, 1)
    np.testing.assert_array_equal(frame, picture(1, (64, 64)))


def test_a_folder_that_is_there_is_not_written_over(bench, start_nodes, tmp_path):
    bench.gate = "recorder"
    start_nodes("recorder", up=False, folder=str(tmp_path))
    assert not bench.change_state("configure")
    bench.wait_for_status(f"{tmp_path} is there already")
