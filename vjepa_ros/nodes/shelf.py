"""The newest things, shared between threads, and waited for."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shelf(Generic[K, V]):
    """The last `size` values by key: what nobody has taken in time is gone, nothing queues.

    What was last asked for by its key stays, too: a search may outlast many frames.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._asked: K | None = None
        self._changed = threading.Condition()

    def put(self, key: K, value: V) -> None:
        """Put a value there, in the place of an old one."""
        with self._changed:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values.keys() - {self._asked}) > self._size:
                del self._values[next(key for key in self._values if key != self._asked)]
            self._changed.notify_all()

    def newest(self) -> V | None:
        """Give the newest value, None where there is none."""
        with self._changed:
            return self._newest()

    def wait(self, key: K, timeout: float) -> V | None:
        """The value of a key, once it is there."""
        with self._changed:
            if not self._changed.wait_for(lambda: key in self._values, timeout):
                return None
            self._asked = key
            return self._values[key]

    def take(self, timeout: float) -> V | None:
        """The newest value, once there is one; it is then no longer here."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._values), timeout):
                return None
            return self._values.popitem()[1]

    def wait_newest(self, wanted: Callable[[V], bool], timeout: float) -> V | None:
        """The newest value, once it is one that is wanted."""

        def found() -> bool:
            newest = self._newest()
            return newest is not None and wanted(newest)

        with self._changed:
            return self._newest() if self._changed.wait_for(found, timeout) else None

    def _newest(self) -> V | None:
        return next(reversed(self._values.values()), None)
