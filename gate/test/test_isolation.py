"""Graphs on one machine that must not hear each other."""

import os
import subprocess
import sys

import pytest

from vjepa_gate import isolation
from vjepa_gate.isolation import DOMAINS, isolate, reserve_domain

KEEP_ONE = """
import os, sys
from vjepa_gate import isolation
isolation.DOMAINS = tuple(map(int, sys.argv[1:])) or isolation.DOMAINS
isolation.isolate()
print(os.environ["ROS_DOMAIN_ID"], os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"], flush=True)
input()
"""


def keep_one(*among: str) -> subprocess.Popen:
    """A process that has a domain until it is killed."""
    command = [sys.executable, "-c", KEEP_ONE, *among]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def kill(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def test_processes_that_run_at_once_have_domains_of_their_own():
    processes = [keep_one() for _ in range(4)]
    found = [process.stdout.readline().split() for process in processes]
    ours = {os.environ["ROS_DOMAIN_ID"], str(reserve_domain()), str(reserve_domain())}
    for process in processes:
        kill(process)
    assert len({domain for domain, _ in found} | ours) == len(processes) + 3
    assert all(heard == "LOCALHOST" for _, heard in found)


def test_a_domain_is_free_again_however_its_process_ended(monkeypatch):
    nobody_elses = 1000 + os.getpid()
    monkeypatch.setattr(isolation, "DOMAINS", (nobody_elses,))
    process = keep_one(str(nobody_elses))
    assert process.stdout.readline() == f"{nobody_elses} LOCALHOST\n"
    with pytest.raises(RuntimeError, match="reserved"):
        reserve_domain()
    kill(process)
    assert reserve_domain() == nobody_elses


def test_to_isolate_again_changes_nothing():
    before = os.environ["ROS_DOMAIN_ID"]
    isolate()
    assert os.environ["ROS_DOMAIN_ID"] == before


def test_ports_of_a_domain_are_given_to_no_connection():
    """Those of fifty participants; 32768 … 60999 are Linux' own."""
    for domain in DOMAINS:
        first = 7400 + 250 * domain
        assert first > 60999 or first + 10 + 2 * 50 < 32768
        assert first + 10 + 2 * 50 <= 65535
