"""Recordings to .rrd files, read back by Rerun itself."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from rrd import rows_of
from vjepa_gate.errors import UserError
from vjepa_ros import cli
from vjepa_ros.episodes.bag_schema import PLAN, typestore
from vjepa_ros.episodes.library import find_episodes
from vjepa_ros.viewing import recording
from vjepa_ros.viewing.stream import _by_energy

BAGS = Path(__file__).parents[1] / "data" / "bags"


def test_a_bag_becomes_a_file_with_camera_tool_and_fingers(tmp_path, capsys):
    bag = next(find_episodes(BAGS / "reach"))
    out = tmp_path / "reach.rrd"
    assert cli.run(["episodes", "view", str(bag), str(out)]) == 0
    steps = int(capsys.readouterr().out.partition(": ")[2].partition(" steps")[0])
    rows = rows_of(out)
    for entity in ("/camera", "/arm/tool", "/arm/trail", "/planning/closedness"):
        assert rows[entity] == steps, entity
    assert rows["/energy/now"] == 0


def new(kind, **fields):
    return typestore().types[kind](**fields)


def plan(energies):
    """A plan with as many candidates."""
    stamp = new("builtin_interfaces/msg/Time", sec=5, nanosec=0)
    here = new(
        "geometry_msgs/msg/Pose",
        position=new("geometry_msgs/msg/Point", x=0.4, y=0.0, z=0.3),
        orientation=new("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0),
    )
    none = np.zeros(0, np.float32)
    return new(
        PLAN,
        header=new("std_msgs/msg/Header", stamp=stamp, frame_id="base"),
        image_stamp=stamp,
        solver="cem",
        seed=1,
        seconds=0.5,
        weights="w",
        subgoal=0,
        energy_now=0.7,
        samples=2,
        iterations=1,
        horizon=1,
        dropped=0,
        confidence=1.0,
        energy_best=np.float32([0.6]),
        energy_elites=none,
        energy_mean=none,
        elite_mean=none,
        elite_std=none,
        actions=none,
        path=[here, here],
        end_points=[new("geometry_msgs/msg/Point", x=0.5, y=0.0, z=0.3)] * len(energies),
        end_point_energies=np.float32(energies),
    )


def test_what_a_bag_says_of_planning_is_shown(tmp_path):
    kinds = {"/plan": PLAN, "/surprise": "std_msgs/msg/Float32", "/other": "std_msgs/msg/Float32"}
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        topics = {
            topic: writer.add_connection(topic, kind, typestore=typestore())
            for topic, kind in kinds.items()
        }

        def write(topic, message):
            data = typestore().serialize_cdr(message, kinds[topic])
            writer.write(topics[topic], 5 * 10**9, bytes(data))

        write("/plan", plan([0.6, np.inf]))
        write("/plan", plan([]))
        write("/surprise", new("std_msgs/msg/Float32", data=1.5))
        write("/surprise", new("std_msgs/msg/Float32", data=float("nan")))
        write("/other", new("std_msgs/msg/Float32", data=1.5))
    file = recording.rr.RecordingStream("test")
    file.save(tmp_path / "bag.rrd")
    recording._show_messages(tmp_path / "bag", recording.Stream(file))
    file.disconnect()
    rows = rows_of(tmp_path / "bag.rrd")
    assert (rows["/energy/now"], rows["/arm/plan"], rows["/arm/candidates"]) == (2, 2, 1)
    assert rows["/surprise/energy"] == 1


def test_of_a_thousand_poses_a_second_fifteen_are_shown(tmp_path):
    file = recording.rr.RecordingStream("test")
    file.save(tmp_path / "a.rrd")
    stream, message = recording.Stream(file), SimpleNamespace(pose=plan([]).path[0])
    for number in range(2000):
        stream.at(100 + number / 1000)
        stream.pose(message)
    stream.at(5.0)  # a clock that was set back
    stream.pose(message)
    file.disconnect()
    assert 30 <= rows_of(tmp_path / "a.rrd")["/arm/tool"] <= 31


def test_colours_go_from_green_to_red_and_are_grey_without_an_energy():
    colours = _by_energy(np.array([0.2, 0.4, np.inf]))
    assert colours.tolist() == [[0, 255, 25, 128], [255, 0, 25, 128], [128] * 4]
    assert (_by_energy(np.array([np.nan])) == 128).all()


def test_a_file_in_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="expected a file in a folder that exists"):
        cli.run(["episodes", "view", str(tmp_path), str(tmp_path / "no" / "a.rrd")])
