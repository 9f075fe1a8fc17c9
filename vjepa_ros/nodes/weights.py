"""Weights into a node, with what a person wants to read while they load."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from rclpy.node import Node

from vjepa_gate.errors import UserError
from vjepa_gate.ros.memory import resident
from vjepa_ros.model.checkpoints import Weights, load_weights
from vjepa_ros.model.freed_memory import keep_freed_memory
from vjepa_ros.model.located import located
from vjepa_ros.nodes.settings import ModelSettings
from vjepa_ros.planning.loading import chosen_devices
from vjepa_ros.planning.world_model import fast_dtype

_PERIOD = 5.0  # seconds between two lines while weights load


def load(node: Node, settings: ModelSettings) -> tuple[Weights, tuple[torch.device, ...]]:
    """Load the weights that the settings name on the first of their devices; tell how it goes."""
    path, devices = located(settings.weights), chosen_devices(settings.device)
    device = devices[0]
    if not path.is_file():
        raise UserError(f"weights: no file {path}: give the path of a checkpoint")
    started = time.monotonic()
    with _progress(node, path, device):
        weights = load_weights(path, device, fast_dtype(device))
    keep_freed_memory()
    node.get_logger().info(f"loaded {weights.identity} in {time.monotonic() - started:.1f} s")
    return weights, devices


@contextlib.contextmanager
def _progress(node: Node, path: Path, device: torch.device) -> Iterator[None]:
    log, size = node.get_logger(), path.stat().st_size
    log.info(f"loading {path} ({size / 1e6:.0f} MB) on {device}")
    ended, started, before = threading.Event(), time.monotonic(), resident()

    def tell() -> None:
        while not ended.wait(_PERIOD):
            log.info(
                f"loading {path.name}: {time.monotonic() - started:.0f} s so far, memory has "
                f"grown by {(resident() - before) / 1e6:.0f} MB, the file has {size / 1e6:.0f} MB"
            )

    teller = threading.Thread(target=tell, name="loading progress")
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
