"""What a demonstration is of."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vjepa_gate.settings import setting
from vjepa_ros.model.shipped import usual_weights

if TYPE_CHECKING:
    from vjepa_sim.tasks import Task

MAX_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Raises ValueError for what there is not."""

    task: str = setting("pick_place cube", "one of `vjepa-sim tasks`")
    goals: Literal["single", "paper", "dense"] = setting(
        "single", "pictures: of the end alone, or sub-goals, too"
    )
    scene: int = setting(3, "seed of the scene; no figure is reported for 3", low=0, high=MAX_SEED)
    seed: int = setting(0, "of the planner", low=0, high=MAX_SEED)
    weights: Path | None = setting(None, "file of weights, or the name of shipped ones [objects]")
    robot: str = setting("sim", "robot YAML: a file, or a name in gate/config/")
    out: Path | None = setting(None, "folder to make; none: runs/<time>")

    def __post_init__(self) -> None:
        from vjepa_sim.tasks import SCHEDULES  # not for --help

        known = SCHEDULES[self.make_task().name]
        if self.goals not in known:
            raise ValueError(f"--goals {self.goals}: expected one of {', '.join(known)}")

    def make_task(self) -> "Task":
        """Make the task that its words name."""
        from vjepa_sim.tasks import make_task

        name, *about = self.task.split() or [""]
        if len(about) > 2:
            raise ValueError(f"--task {self.task!r}: expected a name, an object and a place")
        return make_task(name, *about)

    @property
    def chosen_weights(self) -> Path:
        """Give those that were named, or the shipped ones that know ways to goals."""
        return self.weights or usual_weights(by_key_frames=True)

    def command(self) -> str:
        """What shows the same again."""
        return (
            f'vjepa-ros demo --task "{self.task}" --goals {self.goals} --scene {self.scene} '
            f"--seed {self.seed} --robot {self.robot}"
        )
