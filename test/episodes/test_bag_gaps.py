"""Where the arm was not heard for a while, images may be left out."""

from pathlib import Path

import numpy as np

from vjepa_ros.episodes.bag_sync import StateTrack, Track


def track(stamps: np.ndarray) -> Track:
    return Track(path=Path("bag"), topic="pose", stamps=stamps, rows=np.zeros((len(stamps), 7)))


def test_images_without_a_message_near_them_are_not_known():
    pose = track(np.array([0.0, 0.05, 0.1, 0.9, 0.95, 1.0]))
    states = StateTrack(pose=pose, width=track(np.arange(0, 1.01, 0.05)), max_width=0.08)
    known = states.knows(np.array([0.0, 0.1, 0.5, 0.92, 2.0]))
    assert known.tolist() == [True, True, False, True, False]
