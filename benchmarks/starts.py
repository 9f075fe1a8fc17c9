"""Where a search starts from, beside nothing and the plan before: recorded actions, or a policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION, actions_of
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.planning.loading import Loaded
from vjepa_ros.planning.world_model import Goal
from vjepa_ros.policy.net import PolicyNet, load_policy
from vjepa_ros.policy.opening import Seen
from vjepa_sim.expert import follow
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import SCHEDULES, Task
from vjepa_sim.tasks import Goal as Picture

_CLOSEDNESS = 0.05  # metres that all of it counts, where the nearest recorded state is looked for


@dataclass(kw_only=True)
class Recorded:
    """What the one did whom the goal pictures were taken of, from the state nearest to now on."""

    pictures: Sequence[Picture]
    legs: Sequence[Tensor]  # of each goal: the states [T, 7] on the way to it
    trouble: str = ""
    answered: int = 0

    def __call__(self, seen: Seen) -> Tensor:
        """As a planner's proposer."""
        numbers = [n for n, one in enumerate(self.pictures) if one.observation.rgb is seen.goal]
        return self.towards(numbers[0], seen.state)

    def towards(self, number: int, state: Tensor) -> Tensor:
        """The actions [1, T, 7] that went to a goal; at its end, to stay."""
        leg = self.legs[number]
        off = (leg - state).abs()
        away = off[:, POSITION].norm(dim=1) + _CLOSEDNESS * off[:, GRIPPER]
        actions = actions_of(leg[int(away.argmin()) :])
        return actions[None].float() if len(actions) else torch.zeros(1, 1, 7)

    def close(self) -> None:
        """Leave nobody."""


@dataclass(kw_only=True)
class Cloned:
    """What a small policy would do (`vjepa-ros policy train`)."""

    net: PolicyNet
    loaded: Loaded
    trouble: str = ""
    answered: int = 0

    def __call__(self, seen: Seen) -> Tensor:
        """As a planner's proposer."""
        pictures = torch.stack([torch.from_numpy(one) for one in (seen.rgb, seen.goal)])
        now, goal = self.loaded.world_model.encode(pictures)
        return self.between(now, Goal(latents=goal), seen.state)

    @torch.no_grad()
    def between(self, now: Tensor, goal: Goal, state: Tensor) -> Tensor:
        """Its actions [1, T, 7] from latents [L, D]."""
        found: Tensor = self.net(now[None], goal.latents[None], state[None].float())
        return found

    def close(self) -> None:
        """Leave nobody."""


def recorded(scene: Scene, task: Task, seed: int, schedule: str) -> list[Tensor]:
    """The states on the expert's way to each goal, a step of the model's clock apart."""
    target = task.start(scene, seed)
    legs, states = [], [state_of(scene.observe())]
    for waypoint in task.path(scene, target):
        states += [state_of(scene.observe()) for _ in follow(scene, waypoint)]
        if waypoint.name in SCHEDULES[task.name][schedule]:
            legs.append(torch.stack(states))
            states = states[-1:]
    return legs


def cloned(file: Path, loaded: Loaded) -> Cloned:
    """The policy of a file."""
    return Cloned(net=load_policy(file, loaded.identity), loaded=loaded)
