"""SIGINT, SIGTERM and SIGHUP as something to look at, instead of what they did before."""

import contextlib
import signal
import time
from collections.abc import Iterator

_POLL = 0.05  # seconds


class Noted:
    """Whether a signal has come.

    No threading.Event: a handler that sets one waits for its lock, which the very thread that
    it interrupts may hold.
    """

    def __init__(self) -> None:
        self._noted = False

    def set(self) -> None:
        """Note a signal."""
        self._noted = True

    def is_set(self) -> bool:
        """Tell whether one has come."""
        return self._noted

    def wait(self, seconds: float) -> bool:
        """For a signal, no longer than that; whether one has come."""
        end = time.monotonic() + seconds
        while not self._noted and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _POLL))
        return self._noted


@contextlib.contextmanager
def signals_noted() -> Iterator[Noted]:
    """To be entered in the main thread. What `nohup` had ignored stays so."""
    noted = Noted()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)  # the terminal is gone
    before = {number: signal.signal(number, lambda *_: noted.set()) for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
