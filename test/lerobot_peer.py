"""Run by a Python that has LeRobot: what LeRobotDataset itself makes of a set, as an npz."""

import sys

import numpy as np
from lerobot.datasets.lerobot_dataset import LeRobotDataset

root, out = sys.argv[1:]
dataset = LeRobotDataset("test/set", root=root, video_backend="torchcodec")
(camera,) = dataset.meta.video_keys
items = [dataset[index] for index in range(len(dataset))]
numbers = dataset.hf_dataset.with_format("arrow")[:]  # as stored; tensors are float32
np.savez(
    out,
    frames=np.stack([(item[camera] * 255).round().byte().numpy() for item in items]),
    tasks=np.array([item["task"] for item in items]),
    fps=dataset.fps,
    mean=dataset.meta.stats["observation.state.cartesian_position"]["mean"],
    lengths=np.array(dataset.meta.episodes["length"]),
    **{name: np.array(numbers.column(name).to_pylist()) for name in numbers.column_names},
)
