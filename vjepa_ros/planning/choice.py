"""Which planner belongs to which weights: the one default of node, evaluation and replay."""

from vjepa_ros.model.checkpoints import Checkpoint
from vjepa_ros.model.operations import cached_operations
from vjepa_ros.planning.config import PLANNERS, PUBLISHED, PlannerConfig

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
    seconds = {name: _seconds(checkpoint, PLANNERS[name]) for name in _possible(checkpoint)}
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
        f"planner {name}: {config.describe()}. The weights name none; it takes about "
        f"{_seconds(checkpoint, config):.0f} s a plan on a CPU, where {PLANNING_TIME:g} s are "
        "allowed. Set `planner` for another"
    )


def _possible(checkpoint: Checkpoint) -> list[str]:
    """The published planners that look no further ahead than the weights were trained for."""
    horizon = checkpoint.config.trained_horizon or max(PLANNERS[n].horizon for n in PUBLISHED)
    return [name for name in PUBLISHED if PLANNERS[name].horizon <= horizon]


def _seconds(checkpoint: Checkpoint, config: PlannerConfig) -> float:
    assert checkpoint.config.predictor is not None
    operations = cached_operations(checkpoint.config.predictor, config.horizon)
    return config.samples * config.iterations * sum(operations.values()) / CPU_RATE
