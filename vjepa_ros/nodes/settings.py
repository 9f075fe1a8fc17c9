"""What each node can be told, beside the planner's own settings; needs neither torch nor ROS."""

from dataclasses import dataclass
from pathlib import Path

from vjepa_gate.settings import setting


@dataclass(frozen=True, kw_only=True)
class PlannerNodeSettings:
    """Of the planner's node; the numbers of the planner itself are in PlannerConfig."""

    robot: str = setting("sim", "robot YAML: a file, or a name in config/")
    planner: str = setting(
        "tiny", "settings to start from: tiny, paper, notebook, jepa_wms, vjepa2_1 or plain"
    )
    axes: Path | None = setting(None, "file of `vjepa-ros calibrate`, for where the camera stands")
    seed: int = setting(0, "of the first search; each following one has the next number", low=0)
    step_period: float = setting(0.25, "that an action takes", low=0.02, high=10.0, unit="s")
    settle: float = setting(
        0.1, "to rest after an action before the next look", low=0.0, high=10.0, unit="s"
    )
    max_image_age: float = setting(
        2.0, "beyond which a plan from its image is thrown away", low=0.05, high=3600.0, unit="s"
    )
    max_wait: float = setting(
        30.0, "to wait for images and nodes before a task fails", low=0.5, high=600.0, unit="s"
    )
    answer_timeout: float = setting(
        10.0, "for one answer of another node", low=0.5, high=3600.0, unit="s"
    )
    max_seconds: float = setting(600.0, "for one task", low=0.1, high=86_400.0, unit="s")
    hint_steps: int = setting(
        6, "without progress, to hint at sub-goals", low=1, high=10_000, unit="steps"
    )
