"""Which planner belongs to which weights: the one default of node, evaluation and replay."""

import torch

from vjepa_ros.model.checkpoints import Checkpoint
from vjepa_ros.model.operations import cached_operations, matmul_rate
from vjepa_ros.planning.config import PLANNERS, PUBLISHED, PlannerConfig
from vjepa_ros.planning.world_model import fast_dtype

PLANNING_TIME = 10.0  # seconds that a plan may take on a CPU, where the weights name no planner
CPU_RATE = 0.5e12  # operations a second of an ordinary CPU: the same choice on every machine


def planner_of(checkpoint: Checkpoint, device: str) -> str:
    """Name the planner of a file of weights, on a device ("cpu", "cuda", …).

    A file that was made here names its own. Of the published ones any other gets V-JEPA 2's on
    a GPU, and on a CPU the largest that plans within PLANNING_TIME, or else the smallest.
    """
    named = checkpoint.metadata.get("planner")
    if named in PLANNERS:
        return named
    if not device.startswith("cpu"):
        return "paper"
    seconds = {name: _nominal_seconds(checkpoint, name) for name in _possible(checkpoint)}
    fitting = [name for name, time in seconds.items() if time <= PLANNING_TIME]
    if not fitting:
        return min(seconds, key=seconds.__getitem__)
    return max(fitting, key=seconds.__getitem__)


def why(checkpoint: Checkpoint, device: str) -> str:
    """Say for a person which planner it is, and why."""
    name = planner_of(checkpoint, device)
    config = PLANNERS[name]
    if checkpoint.metadata.get("planner") == name:
        return f"planner {name}, as the weights name it: {config.describe()}"
    if not device.startswith("cpu"):
        return f"planner {name}, as the weights name none: {config.describe()}"
    return (
        f"planner {name}: {config.describe()}. The weights name none; on a CPU a plan takes about "
        f"{_nominal_seconds(checkpoint, name):.0f} s, {PLANNING_TIME:g} s are aimed at. Set "
        "`planner` for another"
    )


def _possible(checkpoint: Checkpoint) -> list[str]:
    """The published planners that look no further ahead than the weights were trained for."""
    horizon = checkpoint.config.trained_horizon or max(PLANNERS[n].horizon for n in PUBLISHED)
    return [name for name in PUBLISHED if PLANNERS[name].horizon <= horizon]


def _nominal_seconds(checkpoint: Checkpoint, name: str) -> float:
    return _operations(checkpoint, PLANNERS[name]) / CPU_RATE


def planning_seconds(checkpoint: Checkpoint, config: PlannerConfig, device: torch.device) -> float:
    """Seconds that a plan takes on this very machine, from the rate that it multiplies at."""
    return _operations(checkpoint, config) / matmul_rate(fast_dtype(device), device)


def longest_image_age(seconds: float) -> float:
    """Seconds that an image behind an action may be old, where planning takes so long.

    Three times that, as no search reaches the rate of a large product, and the time for camera
    and network; never less than 2 s, by which an arm that sees nothing comes to hold.
    """
    return max(2.0, 1.0 + 3.0 * seconds)


def _operations(checkpoint: Checkpoint, config: PlannerConfig) -> float:
    assert checkpoint.config.predictor is not None
    operations = cached_operations(checkpoint.config.predictor, config.horizon)
    return config.samples * config.iterations * sum(operations.values())
