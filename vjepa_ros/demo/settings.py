"""What a demonstration is of."""

from dataclasses import dataclass
from pathlib import Path

from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_sim.tasks import SCHEDULES, Task, make_task

MAX_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Raises ValueError for what there is not."""

    task: str = "pick_place cube"  # of `vjepa-sim tasks`
    goals: str = "dense"  # schedule of sub-goal pictures
    scene: int = 3  # no figure is reported for it
    seed: int = 0  # of the planner's samples
    weights: Path = SHIPPED_WEIGHTS

    def __post_init__(self) -> None:
        known = SCHEDULES[self.make_task().name]
        if self.goals not in known:
            raise ValueError(f"--goals {self.goals}: expected one of {', '.join(known)}")
        for name in ("scene", "seed"):
            if not 0 <= getattr(self, name) <= MAX_SEED:
                raise ValueError(f"--{name} {getattr(self, name)}: expected 0 … {MAX_SEED}")

    def make_task(self) -> Task:
        """Make the task that its words name."""
        name, *about = self.task.split() or [""]
        if len(about) > 2:
            raise ValueError(f"--task {self.task!r}: expected a name, an object and a place")
        return make_task(name, *about)

    def command(self) -> str:
        """What shows the same again."""
        return (
            f'vjepa-ros demo --task "{self.task}" --goals {self.goals} --scene {self.scene} '
            f"--seed {self.seed}"
        )
