"""How fast recordings replay, with one worker and with more, and what memory a long one takes.

    python benchmarks/replay.py

Prints recorded steps a second without planning, process start and weights included, and the peak
memory of replaying bags of 1 000 and of 10 000 frames.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from vjepa_ros.episodes.bag_writer import write_bag
from vjepa_ros.episodes.library import open_episode
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.replay.runs import ReplayConfig, replay

BAGS = Path(__file__).parents[1] / "test" / "data" / "bags"
LONGEST = BAGS / "pick_place" / "episode_000000"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS, help="[the shipped ones]")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="[1 2]")
    parser.add_argument("--copies", type=int, default=12, help="of the shipped bags [12]")
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 10000], help="[1000 10000]")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for copy in range(args.copies):
            shutil.copytree(BAGS, Path(folder, "many", str(copy)))
        speeds = [speed(args.weights, Path(folder, "many"), workers) for workers in args.workers]
        for workers, steps in zip(args.workers, speeds, strict=True):
            print(
                f"{workers} workers: {steps:.1f} steps/s, {steps / speeds[0]:.2f} times the first"
            )
        for frames in args.frames:
            bag = long_bag(Path(folder, str(frames)), frames)
            megabytes, seconds = peak_memory(args.weights, bag)
            print(
                f"{frames} frames: {megabytes:.0f} MB at the peak, {frames / seconds:.1f} steps/s"
            )


def speed(weights: Path, bags: Path, workers: int) -> float:
    """Steps a second."""
    started = time.perf_counter()
    found = replay(ReplayConfig(weights=weights, plan_every=None), [bags], workers=workers)
    seconds = time.perf_counter() - started
    return sum(episode.steps for episode in found.episodes) / seconds


def long_bag(path: Path, frames: int) -> Path:
    """A demonstration forth and back, again and again."""
    reader = open_episode(LONGEST)
    episode = reader.load()
    way = np.concatenate((np.arange(len(episode)), np.arange(len(episode) - 2, 0, -1)))
    steps = np.resize(way, frames)
    trajectory = replace(
        reader.trajectory,
        states=episode.states[steps],
        stamps=1000 + 0.25 * np.arange(frames),
        commanded=None,
        truth={},
    )
    write_bag(path, trajectory, (episode.frames[step] for step in steps), images="jpeg")
    return path


def peak_memory(weights: Path, bag: Path) -> tuple[float, float]:
    """Megabytes, and seconds, of a process that replays one bag."""
    words = ["-m", "vjepa_ros.cli", "replay", str(bag), "--weights", str(weights)]
    options = ["--no-plan", "--workers", "1", "--horizon", "1"]
    started = time.perf_counter()
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, *words, *options])
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"replaying {bag} failed")
    return usage.ru_maxrss / 1024, time.perf_counter() - started


if __name__ == "__main__":
    main()
