"""Serves our own policy in openpi's protocol, as a server of anybody's would."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from vjepa_ros.policy import wire
from vjepa_ros.policy.net import PolicyNet
from vjepa_ros.policy.proposals import GOAL_IMAGE
from vjepa_ros.policy.settings import PolicyMap

Infer = Callable[[dict[str, Any]], dict[str, Any]]


class PolicyInference:
    """Questions in the default map to actions; the goal is a picture, as words tell it little."""

    def __init__(self, net: PolicyNet, encode: Callable[[Tensor], Tensor]) -> None:
        self._net, self._encode, self._map = net, encode, PolicyMap()
        self._turn = threading.Lock()  # one question at a time

    def __call__(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer a question; raises ValueError for one that lacks something."""
        keys = (self._map.image, GOAL_IMAGE, self._map.pose, self._map.gripper)
        lacking = [key for key in keys if not isinstance(question.get(key), np.ndarray)]
        if lacking:
            raise ValueError(f"a question without {', '.join(lacking)}, expected arrays")
        rgb = np.stack([question[key] for key in keys[:2]])
        if rgb.dtype != np.uint8 or rgb.ndim != 4 or rgb.shape[-1] != 3:
            raise ValueError(f"pictures {rgb.dtype} {list(rgb.shape)}, expected uint8 [H, W, 3]")
        state = np.concatenate([np.ravel(question[key]) for key in keys[2:]])
        if state.shape != (7,) or not np.isfinite(state).all():
            raise ValueError(f"a state of {state.shape} numbers, expected 7 finite ones")
        with self._turn, torch.no_grad():
            now, goal = self._encode(torch.from_numpy(rgb)).float()
            actions = self._net(now[None], goal[None], torch.from_numpy(state).float()[None])
        return {"actions": actions[0].numpy()}


def serving(infer: Infer, host: str, port: int) -> Server:
    """A server that answers as `serve_forever` runs; `shutdown` ends it."""

    def answer(connection: ServerConnection) -> None:
        try:
            connection.send(wire.pack({"protocol": "openpi", "actions": "change, 4 Hz"}))
            for message in connection:
                started = time.monotonic()
                try:
                    found = infer(wire.unpack(message if isinstance(message, bytes) else b""))
                except Exception as error:
                    logging.getLogger(__name__).exception("a question that failed")
                    connection.send(f"{type(error).__name__}: {error}")
                    return
                timing = {"infer_ms": 1000 * (time.monotonic() - started)}
                connection.send(wire.pack(found | {"server_timing": timing}))
        except ConnectionClosed:
            return

    return serve(answer, host, port, compression=None, max_size=wire.MAX_MESSAGE)
