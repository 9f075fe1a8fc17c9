"""What tensors free is there for the next ones, and need not be cleared by the kernel again."""

import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import resource, torch
from vjepa_ros.model.freed_memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
usual = faults()
keep_freed_memory()
faults()
print(usual, faults())
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc is told what to keep: this is none"
)
def test_large_tensors_are_cleared_once():
    command = [sys.executable, "-c", _SCRIPT]
    usual, kept = map(int, subprocess.check_output(command, text=True).split())
    assert kept < usual / 10
