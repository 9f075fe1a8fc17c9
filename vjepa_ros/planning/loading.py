"""From a file of weights to a world model that can look and plan."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vjepa_gate.errors import UserError
from vjepa_ros.model.checkpoints import load_weights, open_checkpoint
from vjepa_ros.model.freed_memory import keep_freed_memory
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.planning.choice import planner_of
from vjepa_ros.planning.config import PlannerConfig, choose_planner
from vjepa_ros.planning.replicas import ReplicatedWorldModel
from vjepa_ros.planning.world_model import WorldModel


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A file of weights, ready to look and plan."""

    world_model: WorldModel
    config: ModelConfig
    identity: str
    planner: str  # name of the one that belongs to the weights

    def chosen_planner(
        self, name: str | None, given: Mapping[str, Any]
    ) -> tuple[str, PlannerConfig]:
        """The named planner, or that of the weights, with what was given instead; its name."""
        name = name or self.planner
        try:
            return name, choose_planner(name, given)
        except ValueError as error:
            raise UserError(str(error)) from error


@functools.cache
def load_world_model(path: Path, device: torch.device | str = "cpu") -> Loaded:
    """The model of a file of weights, read once a process; on several devices by `device`."""
    devices = chosen_devices(str(device))
    weights = load_weights(path, devices[0])
    if weights.encoder is None or weights.predictor is None:
        lacking = "encoder" if weights.encoder is None else "predictor"
        raise UserError(f"{path} holds no {lacking}: planning needs both")
    world_model = ReplicatedWorldModel(
        devices,
        weights.encoder,
        weights.predictor,
        Preprocessor(weights.config.image_size, weights.config.crop),
        trained_horizon=weights.config.trained_horizon,
    )
    keep_freed_memory()
    return Loaded(
        world_model=world_model,
        config=weights.config,
        identity=weights.identity,
        planner=planner_of(open_checkpoint(path), str(devices[0])),
    )


def chosen_devices(names: str) -> tuple[torch.device, ...]:
    """The devices of those names, separated by commas; auto is a GPU where there is one."""
    return tuple(_device(name.strip()) for name in names.split(","))


def chosen_device(names: str) -> torch.device:
    """The first of them: where pictures are encoded."""
    return chosen_devices(names)[0]


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda") and not name.startswith("cuda:"):
        raise UserError(f"device is {name!r}, expected auto, cpu, cuda, or some as cuda:0,cuda:1")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device is {name!r}, but torch finds no GPU here: use cpu")
    return torch.device(name)
