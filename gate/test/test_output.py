"""A process whose output nobody reads goes on; one whose output is read loses none of it."""

import subprocess
import sys
import time

import pytest

# Says the lines through Python and through C, more than any pipe holds.
PROGRAM = """
import ctypes, sys, time
from pathlib import Path
from vjepa_gate.output import never_blocking

libc = ctypes.CDLL(None)
with never_blocking():
    for number in range(int(sys.argv[2])):
        print(f"python {number}", sys.argv[4])
        libc.dprintf(2, b"c %d %s\\n", number, sys.argv[4].encode())
        time.sleep(float(sys.argv[3]))
    Path(sys.argv[1]).touch()
print("y" * 100_000)  # at the very end, as DDS says farewell
"""


@pytest.fixture
def start(tmp_path):
    started = []

    def start(lines, pause):
        words = [sys.executable, "-c", PROGRAM, str(tmp_path / "done")]
        words += [str(lines), str(pause), "x" * 200]
        started.append(
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_nobody_reads(start, tmp_path):
    process = start(5000, 0)
    assert process.wait(60) == 0
    assert (tmp_path / "done").exists()
    said = process.stdout.read()
    assert said.startswith(("python 0 x", "c 0 x"))  # what there was room for
    assert len(said) < 400_000


def test_somebody_reads(start):
    said, _ = start(300, 0.0005).communicate(timeout=60)
    assert said.endswith("y" * 100_000 + "\n")
    for name in ("python", "c"):
        lines = [line.removesuffix(" " + "x" * 200) for line in said.splitlines()]
        assert [line for line in lines if line.startswith(name)] == [
            f"{name} {number}" for number in range(300)
        ]


def test_the_reader_goes_away(start, tmp_path):
    process = start(2000, 0.0005)
    process.stdout.readline()
    process.stdout.close()
    end = time.monotonic() + 60
    while not (tmp_path / "done").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    process.wait(20)
