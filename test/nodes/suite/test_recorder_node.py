"""What was recorded reads back as an episode."""

import resource
from types import SimpleNamespace

import numpy as np
import pytest
from rclpy.time import Time
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CompressedImage
from vjepa_msgs.msg import Plan

from vjepa_ros.episodes.bag import read_bag
from vjepa_ros.episodes.bag_schema import typestore


def test_a_recording_is_an_episode(bench, camera, start_nodes, picture, tmp_path, wait_until):
    bench.gate = "recorder"
    (node,) = start_nodes("recorder", folder=str(tmp_path / "bag"), task="reach")
    camera.stream(picture(1, (64, 64)))
    wait_until(lambda: node._written.total > 100, "recorded", bench.status)
    bench.position = [0.55, 0.0, 0.3]
    bench.send(dx=0.05)
    moved = node._written.total
    wait_until(lambda: node._written.total > moved + 100, "recorded", bench.status)
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


def test_plans_and_goals_are_recorded_with_their_types(bench, start_nodes, tmp_path, wait_until):
    bench.gate = "recorder"
    bench.alive.clear()
    plan = Plan(solver="cem", seed=7, seconds=0.5, energy_best=[1.5, 0.5], weights="tiny")
    goal = CompressedImage(format="png", data=bytes(range(9)))
    plans = bench.node.create_publisher(Plan, "plan", 10)
    goals = bench.node.create_publisher(CompressedImage, "goal_picture/compressed", 10)
    start_nodes("recorder", folder=str(tmp_path / "bag"))
    wait_until(lambda: plans.get_subscription_count() and goals.get_subscription_count(), "heard")
    plans.publish(plan)
    goals.publish(goal)
    for topic in ("/plan", "/goal_picture/compressed"):
        recorded = lambda topic=topic: bench.status() and bench.values().get(topic) == "1"  # noqa: E731
        wait_until(recorded, f"{topic} recorded", bench.status)
    assert bench.change_state("deactivate")
    assert bench.change_state("cleanup")

    with AnyReader([tmp_path / "bag"], default_typestore=typestore()) as bag:
        read = {
            connection.topic: bag.deserialize(raw, connection.msgtype)
            for connection, _, raw in bag.messages()
        }
    assert (read["/plan"].solver, read["/plan"].seed) == ("cem", 7)
    assert read["/plan"].energy_best.tolist() == pytest.approx([1.5, 0.5])
    assert read["/goal_picture/compressed"].data.tolist() == list(range(9))


def test_a_full_disk_ends_it_with_what_came_before(bench, camera, start_nodes, picture, tmp_path):
    """A limit to the size of a file stands for the disk."""
    bench.gate = "recorder"
    (node,) = start_nodes("recorder", folder=str(tmp_path / "bag"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 * 2**20, before[1]))
    try:
        camera.stream(picture(1, (300, 400)))
        bench.wait_for_status("recording ended: File too large")
        written = node._written.total
        assert node._bag is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(read_bag(tmp_path / "bag").trajectory) > 5
    assert node._written.total == written
    assert bench.change_state("deactivate")
    assert bench.change_state("cleanup")


def test_a_clock_that_is_set_back_leaves_a_bag_that_can_be_read(
    bench, camera, start_nodes, picture, tmp_path, wait_until, monkeypatch
):
    bench.gate = "recorder"
    (node,) = start_nodes("recorder", folder=str(tmp_path / "bag"))
    camera.stream(picture(1, (64, 64)))
    wait_until(lambda: node._written.total > 50, "recorded", bench.status)
    behind = SimpleNamespace(now=lambda: Time(seconds=1.7e9))
    monkeypatch.setattr(node, "get_clock", lambda: behind)
    wait_until(lambda: node._written.total > 150, "recorded", bench.status)
    monkeypatch.undo()
    assert bench.change_state("deactivate")
    assert bench.change_state("cleanup")
    assert len(read_bag(tmp_path / "bag").trajectory) > 5
