"""How fast the simulation draws and steps, how well it tracks, how often the expert succeeds.

    python benchmarks/simulation.py                  # speed and tracking, on one core
    python benchmarks/simulation.py --expert 50      # and the expert in 50 scenes per task

Times are medians of one core's own time, so that other work on the machine counts little;
wall-clock medians stand beside them.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from vjepa_sim.geometry import pointing_down
from vjepa_sim.motion import WORKSPACE
from vjepa_sim.scene import Scene, SceneConfig
from vjepa_sim.tasks import all_tasks

CONTROL_PERIOD = 0.25  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--expert", type=int, default=0, metavar="N", help="scenes per task")
    parser.add_argument("--repeats", type=int, default=100, help="frames and steps to time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    _use_one_core()
    config = SceneConfig(objects=("cube", "bowl"), distractors=1)
    with Scene(config) as scene:
        results = frame_times(scene, args.repeats) | step_rate(scene, args.repeats)
        results |= tracking_error(scene)
        results |= expert_rates(scene, args.expert)
    if args.json:
        print(json.dumps(results))
    else:
        for name, value in results.items():
            print(f"{name:46} {value}")


def frame_times(scene: Scene, repeats: int) -> dict[str, float]:
    results = {}
    for size in (128, 256):
        scene.config = replace(scene.config, width=size, height=size)
        for camera in ("exterior", "wrist"):
            cpu, wall = _median_ms(lambda name=camera: scene.render(name), repeats)
            results[f"frame {size} px {camera}, ms"] = cpu
            results[f"frame {size} px {camera}, ms wall"] = wall
    return results


def step_rate(scene: Scene, repeats: int) -> dict[str, float]:
    """A control step with one 128 px picture, the arm always on the move."""
    scene.config = replace(scene.config, width=128, height=128)
    scene.reset(0)
    rng = np.random.default_rng(0)

    def control_step() -> None:
        scene.set_target(rng.uniform(*WORKSPACE), pointing_down())
        scene.step(CONTROL_PERIOD)
        scene.observe()

    cpu, wall = _median_ms(control_step, repeats)
    return {
        "control steps a second with a 128 px frame": round(1000 / cpu, 1),
        "control steps a second, wall": round(1000 / wall, 1),
    }


def tracking_error(scene: Scene, targets: int = 40) -> dict[str, float]:
    """Distance to targets all over the workspace, two seconds after they were given."""
    scene.config = replace(scene.config, objects=(), distractors=0)
    scene.reset(0)
    rng = np.random.default_rng(1)
    misses = []
    for _ in range(targets):
        target = rng.uniform(*WORKSPACE)
        scene.set_target(target, pointing_down(rng.uniform(-0.5, 0.5)))
        scene.step(2.0)
        misses.append(1000 * np.linalg.norm(scene.state().position - target))
    return {
        "tracking error, mm mean": round(float(np.mean(misses)), 3),
        "tracking error, mm largest": round(float(np.max(misses)), 3),
    }


def expert_rates(scene: Scene, scenes: int) -> dict[str, str]:
    results = {}
    for task in all_tasks() if scenes else []:
        done = 0
        for seed in range(scenes):
            target = task.start(scene, seed)
            for _ in task.demonstrate(scene, target):
                pass
            done += task.judge(scene, target).success
        results[f"expert, {task.title}"] = f"{done} of {scenes}"
    return results


def _median_ms(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Medians of processor time and wall-clock time in milliseconds."""
    call()
    times = []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        call()
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpu_ms, wall_ms = (1000 * np.median(times, axis=0)).round(2).tolist()
    return cpu_ms, wall_ms


def _use_one_core() -> None:
    cv2.setNumThreads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    main()
