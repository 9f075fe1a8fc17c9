"""Runs the stack's processes where no `ros2 launch` does: prefixed output, restarts, one end."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from vjepa_gate.errors import UserError
from vjepa_gate.share import config_folder

if TYPE_CHECKING:
    from vjepa_ros.stack import Process

PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"
_RESTART_DELAY = 0.5  # seconds
_MOST_RESTARTS = 5  # of one process in a row
_ROW = 30.0  # seconds; one that lived longer starts counting anew
# Sent to the children when the thread that started them is gone, however it died.
_FAREWELL = signal.SIGINT
# Python that ties a process to its parent, and becomes it.
_TIED = f"""
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, {_FAREWELL.value})  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
_PATIENCE = {signal.SIGINT: 15.0, signal.SIGTERM: 3.0, signal.SIGKILL: 3.0}


def command_line(process: "Process") -> list[str]:
    """What starts a process without `ros2 run`."""
    if process.module:
        command = [sys.executable, "-m", process.module]
    else:
        found = shutil.which(process.executable)
        if found is None:
            raise UserError(f"{process.name}: no program {process.executable} on the PATH")
        command = [found]
    space = process.namespace.strip("/")
    placed = ["--ros-args", "-r", f"__ns:=/{space}"] if space else []
    return [*command, *process.words(), *placed]


def environment() -> Mapping[str, str]:
    """Of the processes: with the transport that loses no images, if the user chose none."""
    return {
        PROFILE: str(config_folder("vjepa_ros") / "fastdds.xml"),
        "PYTHONUNBUFFERED": "1",
        **os.environ,
    }


class _Child:
    def __init__(self, process: "Process", width: int, output: TextIO | None) -> None:
        self.process = process
        self._output = output
        self._prefix = f"[{process.name}]".ljust(width + 2)
        self._command = command_line(process)
        self.restarts = 0
        if process.notice:
            self._say(process.notice)
        self.start()

    def start(self) -> None:
        self.started = time.monotonic()
        # A session of its own: Ctrl-C is for the supervisor, which ends them in order.
        self.popen = subprocess.Popen(
            [sys.executable, "-ISc", _TIED, str(os.getpid()), *self._command],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._forward, args=(self.popen.stdout,))
        self._reader.start()

    def _forward(self, lines: Any) -> None:
        for line in lines:
            self._say(line.rstrip())

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # a child must not wait for a terminal that is gone
            print(f"{self._prefix} {line}", file=self._output, flush=True)

    def end(self, number: signal.Signals) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(number)

    def join(self) -> None:
        self.popen.wait()
        self._reader.join()


class Supervisor:
    """`with Supervisor(processes) as supervisor:` starts them and, at its end, ends them.

    What they say goes to the file `output`, or to the terminal. They end with the thread that
    started them, if it dies before.
    """

    def __init__(self, processes: Sequence["Process"], output: TextIO | None = None) -> None:
        self._processes = processes
        self._output = output
        self._children: list[_Child] = []

    def __enter__(self) -> "Supervisor":
        width = max(len(process.name) for process in self._processes)
        try:
            for process in self._processes:
                self._children.append(_Child(process, width, self._output))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def check(self) -> None:
        """To be called again and again: starts anew what has died.

        Raises UserError for a process that cannot live: it was told something wrong (exit 2),
        is not to be started again, or keeps dying.
        """
        for child in self._children:
            code, process = child.popen.poll(), child.process
            if code is None:
                continue
            alive = time.monotonic() - child.started
            how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
            if alive > _ROW:
                child.restarts = 0
            if code == 2 or not process.respawn or child.restarts >= _MOST_RESTARTS:
                where = "above" if self._output is None else f"in {self._output.name}"
                raise UserError(f"{process.name} {how}: see its last lines {where}")
            print(f"{process.name} {how}: starting it again", file=self._output, flush=True)
            time.sleep(_RESTART_DELAY)
            child.restarts += 1
            child.start()

    def pids(self) -> dict[str, int]:
        """Process ids by name; another one after each new start."""
        return {child.process.name: child.popen.pid for child in self._children}

    def _end(self) -> None:
        """The last one first, so that the arm is at rest before its gate goes."""
        for number, patience in _PATIENCE.items():
            for child in reversed(self._children):
                child.end(number)
            end = time.monotonic() + patience
            while time.monotonic() < end and self._alive():
                time.sleep(0.05)
        for child in self._children:
            child.join()

    def _alive(self) -> bool:
        return any(child.popen.poll() is None for child in self._children)
