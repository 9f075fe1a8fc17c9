"""What a node tells of itself beside its work: how often it does it, and in how much memory."""

import threading
import time
from collections import deque

import torch

from vjepa_gate.ros import memory as process


class Meter:
    """Counts events, and those of the last seconds."""

    def __init__(self, window: float = 5.0) -> None:
        self._window = window
        self._times: deque[float] = deque(maxlen=10_000)
        self._lock = threading.Lock()
        self.total = 0

    def tick(self) -> None:
        """Count one event."""
        with self._lock:
            self.total += 1
            self._times.append(time.monotonic())

    def rate(self) -> float:
        """Events per second."""
        with self._lock:
            start = time.monotonic() - self._window
            while self._times and self._times[0] < start:
                self._times.popleft()
            return len(self._times) / self._window


def memory() -> dict[str, str]:
    """Of the whole process, in MB."""
    values = process.memory()
    if torch.cuda.is_initialized():
        values["GPU memory (MB)"] = f"{torch.cuda.memory_allocated() / 1e6:.0f}"
    return values
