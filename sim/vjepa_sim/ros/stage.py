"""A scene with the task that is set in it: what the services reset and the truth topic judges."""

from dataclasses import replace

from vjepa_sim.scene import Scene, SceneConfig
from vjepa_sim.tasks import Goal, Outcome, Task


class Stage:
    def __init__(self, config: SceneConfig, viewpoint: str, task: Task, seed: int) -> None:
        self.scene = Scene(replace(config, objects=task.objects))
        self._viewpoint = viewpoint
        self.task, self.seed = task, seed
        self._target = task.start(self.scene, seed)

    def reset(self, task: Task, seed: int, schedule: str = "") -> list[Goal]:
        """Set a task anew; the goals of the schedule, if one is named.

        ValueError where that cannot be done; the scene before is then at its start again.
        """
        goals = []
        try:
            if schedule:
                episode = task.reset(self.scene, seed, schedule, self._viewpoint)
                goals, target = episode.goals, episode.target
            else:
                target = task.start(self.scene, seed)
        except ValueError:
            self.task.start(self.scene, self.seed)
            raise
        self.task, self.seed, self._target = task, seed, target
        return goals

    def outcome(self) -> Outcome:
        return self.task.judge(self.scene, self._target)
