"""Weights into a node, with what a person wants to read while they load."""

import time
from pathlib import Path

import torch
from rclpy.node import Node

from vjepa_ros.errors import UserError
from vjepa_ros.model.checkpoints import Weights, load_weights
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.nodes.parameters import declare
from vjepa_ros.planning.world_model import fast_dtype


def declare_weights(node: Node) -> None:
    declare(node, "weights", str(SHIPPED_WEIGHTS), "file of weights")
    declare(node, "device", "auto", "of the model: cpu, cuda, or auto for a GPU where there is one")


def load(node: Node) -> tuple[Weights, torch.device]:
    path = Path(node.get_parameter("weights").value)
    device = chosen_device(node.get_parameter("device").value)
    if not path.is_file():
        raise UserError(f"weights: no file {path}: give the path of a checkpoint")
    log, started = node.get_logger(), time.monotonic()
    log.info(f"loading {path} ({path.stat().st_size / 1e6:.0f} MB) on {device}")
    weights = load_weights(path, device, fast_dtype(device))
    log.info(f"loaded {weights.identity} in {time.monotonic() - started:.1f} s")
    return weights, device


def chosen_device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda") and not name.startswith("cuda:"):
        raise UserError(f"device is {name!r}, expected auto, cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device is {name!r}, but torch finds no GPU here: use cpu")
    return torch.device(name)
