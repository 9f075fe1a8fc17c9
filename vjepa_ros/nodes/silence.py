"""Which nodes have stopped to tell how they are, though their processes live: they hang."""

import time
from collections.abc import Callable, Iterable

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node

LONGEST = 5.0  # seconds; nodes tell once a second


class Silence:
    """Looks at /diagnostics, and tells of a node that falls silent, and is back."""

    def __init__(self, node: Node, names: Iterable[str], tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._heard: dict[str, float] = {}  # when, of those that ever told anything
        self._silent: set[str] = set()
        space = node.get_namespace().strip("/")
        self._names = {f"{space}/{name}".lstrip("/"): name for name in names}
        node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 100)

    def _hear(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name in self._names:
                self._heard[self._names[status.name]] = time.monotonic()

    def check(self) -> None:
        """To be called again and again."""
        for name, since in list(self._heard.items()):
            silence = time.monotonic() - since
            if silence > LONGEST and name not in self._silent:
                self._silent.add(name)
                self._tell(f"{name} has said nothing for {silence:.0f} s: does it hang?")
            elif silence < LONGEST and name in self._silent:
                self._silent.remove(name)
                self._tell(f"{name} is back")
