"""Standard output and error that never keep a process waiting.

Whoever reads them may have stopped: a terminal after Ctrl-S, an ssh session that hangs, a pager.
A pipe takes 64 kB then, and the next line of the log blocks the thread that tells it; that of an
arm gate must go on.
"""

import contextlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

_STREAMS = {1: "stdout", 2: "stderr"}
_LAST_WORDS = 0.5  # seconds that the end waits for a reader
_BLOCK = 65_536  # bytes


@contextlib.contextmanager
def never_blocking() -> Iterator[None]:
    """What nobody reads is dropped, C's output and Python's; a thread carries the rest."""
    if sys.stderr.isatty():  # which rcutils finds out no more
        os.environ.setdefault("RCUTILS_COLORIZED_OUTPUT", "1")
    with contextlib.ExitStack() as undo:
        for descriptor, name in _STREAMS.items():
            _divert(descriptor, name, undo)
        yield


def _divert(descriptor: int, name: str, undo: contextlib.ExitStack) -> None:
    stream = getattr(sys, name)
    stream.flush()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    kept = os.dup(descriptor)
    os.dup2(writer, descriptor)
    os.close(writer)
    thread = threading.Thread(target=_carry, args=(reader, kept), name=name, daemon=True)
    thread.start()
    raw: Any = _Dropping(descriptor)
    text = io.TextIOWrapper(io.BufferedWriter(raw), errors="replace", line_buffering=True)
    setattr(sys, name, text)

    def restore() -> None:
        getattr(sys, name).flush()
        setattr(sys, name, stream)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)  # the pipe's last writer is gone: the thread ends
        thread.join(_LAST_WORDS)
        if not thread.is_alive():  # else what is said from now on would wait, too
            os.dup2(kept, descriptor)

    undo.callback(restore)


def _carry(reader: int, out: int) -> None:
    with contextlib.suppress(OSError):  # nobody is there any more
        while block := os.read(reader, _BLOCK):
            while block:
                block = block[os.write(out, block) :]
    os.close(reader)


class _Dropping(io.RawIOBase):
    """Takes all, and writes what the pipe has room for."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        """Say yes."""
        return True

    def fileno(self) -> int:
        """Tell the descriptor."""
        return self._descriptor

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Write what there is room for; the rest is lost."""
        with contextlib.suppress(OSError):
            os.write(self._descriptor, data)
        return len(data)
