"""Warnings that come no more often than a person can read."""

import time

from rclpy.node import Node


class Warner:
    """rclpy's own throttle looks up the caller's source at every call, which takes milliseconds."""

    def __init__(self, node: Node, period: float) -> None:
        self._logger = node.get_logger()
        self._period = period  # seconds
        self._last = -period

    def warn(self, text: str) -> bool:
        """Whether it was said."""
        now = time.monotonic()
        if now - self._last < self._period:
            return False
        self._last = now
        self._logger.warning(text)
        return True
