"""Whether the nodes say what the library says of the same pictures, without ROS."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION, pose_from_state, state_from_pose
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.model.checkpoints import open_checkpoint
from vjepa_ros.options import Options
from vjepa_ros.planning.axes import AxesTurned, load_axes
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.loading import chosen_device, load_world_model
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.task import Task
from vjepa_ros.planning.world_model import Context, Goal, WorldModel
from vjepa_ros.replay.player import GraphPlan, Played
from vjepa_ros.stack import planner_config

_LATENT_TOLERANCE = 1e-3  # mean |difference|; latents have a spread of 1
_ENERGY_TOLERANCE = 1e-3
_ACTION_TOLERANCE = 1e-3  # metres
_GRIPPER_TOLERANCE = 0.01  # closedness


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Between what a node said and what the library says of the same images."""

    compared: int
    within: int  # the tolerance
    largest: float  # difference
    tolerance: float

    @property
    def whole(self) -> bool:
        """Whether anything was compared, and all of it agreed."""
        return 0 < self.compared == self.within


class Offline:
    """Encoder, predictor and planner of the same options, called as a library."""

    def __init__(self, options: Options) -> None:
        weights = options.value("planner", "weights")
        device = chosen_device(options.value("planner", "device"))
        loaded = load_world_model(weights, device)
        self.world_model: WorldModel = loaded.world_model
        self.identity = loaded.identity
        model: CostModel = self.world_model
        if axes := options.value("planner", "axes"):
            model = AxesTurned(model, load_axes(axes))
        _, config = planner_config(options, open_checkpoint(weights))
        self.planner = Planner(config, model)

    def compare(self, reader: EpisodeReader, played: Played) -> dict[str, Agreement]:
        """Of the steps whose latents were kept: encoded and planned anew, in the order and with
        the seeds of the graph's plans.
        """
        latents = [
            float((self._encode(frame) - played.latents[step]).abs().mean())
            for step, frame in _frames(reader, sorted(played.latents))
        ]
        plans = [plan for plan in played.plans if plan.step in played.latents]
        energies, metres, closedness = self._compare_plans(reader, plans)
        return {
            "latents": _agreement(latents, _LATENT_TOLERANCE),
            "energies to the goal": _agreement(energies, _ENERGY_TOLERANCE),
            "actions (m)": _agreement(metres, _ACTION_TOLERANCE),
            "gripper (closedness)": _agreement(closedness, _GRIPPER_TOLERANCE),
        }

    def _compare_plans(
        self, reader: EpisodeReader, plans: Sequence[GraphPlan]
    ) -> tuple[list[float], list[float], list[float]]:
        last = len(reader) - 1
        goal = Goal(latents=self._encode(next(reader.frames(last, last + 1))))
        states = as_measured(reader.trajectory.states)
        steps = [plan.step for plan in plans]
        contexts = {
            step: Context(latents=self._encode(frame)[None], states=states[step : step + 1])
            for step, frame in _frames(reader, sorted(set(steps)))
        }
        tasks: dict[int, Task] = {}
        energies, metres, closedness = [], [], []
        for plan in plans:
            context = contexts[plan.step]
            task = tasks.get(plan.task) or self.planner.start(context, [goal]).endless()
            task = replace(task, seed=plan.seed)
            tasks[plan.task], decision = self.planner.plan(task, context)
            assert decision.action is not None
            difference = (decision.action - torch.tensor(plan.action)).abs()
            energies.append(abs(decision.energy - plan.energy_now))
            metres.append(float(difference[POSITION].max()))
            closedness.append(float(difference[GRIPPER]))
        return energies, metres, closedness

    def _encode(self, frame: NDArray[np.uint8]) -> Tensor:
        return self.world_model.encode(torch.from_numpy(frame)[None])[0].cpu()


def as_measured(states: NDArray[np.float64]) -> Tensor:
    """States [T, 7] as they come out of poses and fingers, whatever angles they had."""
    return state_from_pose(*pose_from_state(torch.from_numpy(states))).float()


def _frames(reader: EpisodeReader, steps: list[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    return zip(steps, reader.decode(steps), strict=True)


def _agreement(differences: list[float], tolerance: float) -> Agreement:
    return Agreement(
        compared=len(differences),
        within=sum(difference <= tolerance for difference in differences),
        largest=max(differences, default=0.0),
        tolerance=tolerance,
    )
