"""A policy behind a websocket as a proposer: what is seen goes there, candidates come back."""

import time
from contextlib import ExitStack
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from vjepa_ros import conventions
from vjepa_ros.conventions import GRIPPER
from vjepa_ros.policy import wire
from vjepa_ros.policy.opening import Seen
from vjepa_ros.policy.settings import PolicyMap, PolicySettings

_PAUSE = 2.0  # seconds after a failure before the policy is asked again
GOAL_IMAGE = "observation/goal_image"  # beyond openpi: what our own policy is told the goal by


class PolicyProposer:
    """Asks, and converts; whatever goes wrong there is None and a trouble in words."""

    def __init__(self, settings: PolicySettings, map_: PolicyMap, period: float) -> None:
        """period: seconds of one of the planner's actions."""
        assert settings.policy is not None
        self.settings, self.map = settings, map_
        self.trouble = ""  # why the last answer was of no use
        self.answered = 0
        self._rows = max(1, round(map_.rate * period))  # of the policy for each action
        self._open = ExitStack()
        self._server: ClientConnection | None = None
        self._asked_again = 0.0

    def __call__(self, seen: Seen) -> Tensor | None:
        """Candidates [P, H, 7], or None where the planner is alone."""
        now = time.monotonic()
        if now < self._asked_again:
            return None
        end = now + self.settings.policy_timeout
        try:
            found = [self._chunks(seen, end) for _ in range(self.settings.policy_samples)]
        except (OSError, EOFError, ValueError, WebSocketException) as error:
            self.close()  # an answer that comes later is none to the next question
            self._asked_again = time.monotonic() + _PAUSE
            late = isinstance(error, TimeoutError)
            why = f"no answer within {self.settings.policy_timeout:g} s" if late else str(error)
            self.trouble = f"{self.settings.policy}: {why}"
            return None
        self.trouble, self.answered = "", self.answered + 1
        return torch.cat(found)

    def close(self) -> None:
        """Leave the policy."""
        self._open.close()
        self._server = None

    def _chunks(self, seen: Seen, end: float) -> Tensor:
        answer = self._ask(self._question(seen), end)
        rows = answer.get("actions") if isinstance(answer, dict) else None
        if not isinstance(rows, np.ndarray) or rows.ndim not in (2, 3):
            raise ValueError("an answer without an array `actions`, expected [T, 7] or [P, T, 7]")
        if rows.shape[-1] != 7 or 0 in rows.shape:
            raise ValueError(f"actions {list(rows.shape)}, expected [T, 7] or [P, T, 7]")
        if rows.dtype.kind != "f" or not np.isfinite(rows).all():
            raise ValueError(f"actions of {rows.dtype} with NaN or infinite, expected numbers")
        chunks = torch.from_numpy(rows.astype(np.float64)).reshape(-1, *rows.shape[-2:])
        return torch.stack([self.actions(seen.state, chunk) for chunk in chunks])

    def _ask(self, question: dict[str, Any], end: float) -> Any:
        if self._server is None:
            assert self.settings.policy is not None
            server = connect(
                self.settings.policy,
                open_timeout=_left(end),
                close_timeout=0.1,
                compression=None,
                max_size=wire.MAX_MESSAGE,
            )
            self._server = self._open.enter_context(server)
            self._server.recv(timeout=_left(end))  # what it says of itself
        self._server.send(wire.pack(question))
        answer = self._server.recv(timeout=_left(end))
        if isinstance(answer, str):
            raise ValueError(f"it failed with {(answer.strip().splitlines() or ['nothing'])[-1]}")
        return wire.unpack(answer)

    def _question(self, seen: Seen) -> dict[str, Any]:
        map_, state = self.map, seen.state.double().numpy()
        open_, closed = map_.gripper_open, map_.gripper_closed
        question = {
            map_.image: fitted(seen.rgb, map_.size),
            map_.pose: state[:6].astype(np.float32),
            map_.gripper: np.array([open_ + state[GRIPPER] * (closed - open_)], np.float32),
            map_.prompt: self.settings.prompt,
        }
        if seen.goal is not None:
            question[GOAL_IMAGE] = fitted(seen.goal, map_.size)
        return question

    def actions(self, state: Tensor, rows: Tensor) -> Tensor:
        """Rows [T, 7] of the policy, seen from a state, as this project's actions [H, 7]."""
        open_, closed = self.map.gripper_open, self.map.gripper_closed
        rows, state = rows.clone(), state.double()
        if self.map.actions == "target":
            rows[:, GRIPPER] = ((rows[:, GRIPPER] - open_) / (closed - open_)).clamp(0, 1)
            targets = rows
        else:
            rows[:, GRIPPER] /= closed - open_
            targets = torch.stack(_led_by(state, rows))
        ends = targets[self._rows - 1 :: self._rows]
        ends = ends if len(ends) else targets[-1:]  # a chunk shorter than one action
        actions = conventions.actions_of(torch.cat((state[None], ends)))
        conventions.check_action(actions)  # other units are nobody's proposal
        return actions.float()


def _led_by(state: Tensor, changes: Tensor) -> list[Tensor]:
    reached = []
    for change in changes:
        state = conventions.apply_action(state, change)
        reached.append(state)
    return reached


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def fitted(rgb: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The whole picture in a square, with black bars, as openpi's clients have it."""
    height, width = rgb.shape[:2]
    scale = size / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(np.ascontiguousarray(rgb), shape, interpolation=cv2.INTER_AREA)
    square = np.zeros((size, size, 3), np.uint8)
    top, left = (size - shape[1]) // 2, (size - shape[0]) // 2
    square[top : top + shape[1], left : left + shape[0]] = small
    return square
