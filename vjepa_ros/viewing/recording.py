"""A recording to an .rrd file, which Rerun opens: any episode, and what a bag says beside it."""

from pathlib import Path
from typing import Any

import rerun as rr
import torch

from vjepa_ros.conventions import pose_from_state
from vjepa_ros.episodes.bag_scan import open_bag
from vjepa_ros.episodes.bag_schema import PLAN, typestore
from vjepa_ros.episodes.files import reading
from vjepa_ros.episodes.library import layout_of, open_episode
from vjepa_ros.viewing.stream import APPLICATION, RECORDED, Stream, layout

_BESIDE = {  # by the end of a topic's name: its type, and the method of Stream that takes it
    "plan": (PLAN, Stream.plan),
    "goal_picture/compressed": ("sensor_msgs/msg/CompressedImage", Stream.goal),
    "surprise": ("std_msgs/msg/Float32", Stream.surprise),
}


def write_rrd(path: Path, out: Path, **opening: Any) -> int:
    """Write an episode; the number of its steps. `opening` is for open_episode."""
    reader = open_episode(path, **opening)
    recording = rr.RecordingStream(APPLICATION, recording_id=path.name)
    recording.save(out, default_blueprint=layout(RECORDED))
    stream, trajectory = Stream(recording), reader.trajectory
    for step, frame in enumerate(reader.frames()):
        stream.at(float(trajectory.stamps[step]))
        position, quaternion, closedness = pose_from_state(
            torch.from_numpy(trajectory.states[step])
        )
        stream.picture("camera", frame)
        stream.tool(position.tolist(), quaternion.tolist())
        stream.closedness(float(closedness))
    if layout_of(path) == "bag":
        _show_messages(path, stream)
    recording.flush()
    recording.disconnect()
    return len(reader)


def _show_messages(path: Path, stream: Stream) -> None:
    """What the planner thought, where the bag has it."""
    with open_bag(path) as bag:
        takers = {
            connection.id: take
            for connection in bag.connections
            for name, (kind, take) in _BESIDE.items()
            if connection.msgtype == kind and f"/{connection.topic}".endswith(f"/{name}")
        }
        shown = [connection for connection in bag.connections if connection.id in takers]
        if not shown:  # which rosbags would take for all
            return
        for connection, log_time, raw in bag.messages(shown):
            with reading(path, connection.topic, f"a whole {connection.msgtype}"):
                message = typestore().deserialize_cdr(raw, connection.msgtype)
                stream.at(log_time * 1e-9)
                takers[connection.id](stream, message)
