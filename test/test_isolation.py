"""Graphs on one machine that must not hear each other."""

import os
import subprocess
import sys

from vjepa_ros.isolation import DOMAINS, reserve_domain

KEEP_ONE = (
    "from vjepa_ros.isolation import isolate; import os; isolate();"
    "print(os.environ['ROS_DOMAIN_ID'], os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'], flush=True);"
    "input()"
)


def keep_one() -> subprocess.Popen:
    """A process that has a domain until it is killed."""
    command = [sys.executable, "-c", KEEP_ONE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def test_processes_that_run_at_once_have_domains_of_their_own():
    processes = [keep_one() for _ in range(4)]
    found = [process.stdout.readline().split() for process in processes]
    ours = {os.environ["ROS_DOMAIN_ID"], str(reserve_domain()), str(reserve_domain())}
    try:
        assert len({domain for domain, _ in found} | ours) == len(processes) + 3
        assert all(heard == "LOCALHOST" for _, heard in found)
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_a_domain_is_free_again_however_its_process_ended():
    domains = []
    for _ in range(2):
        process = keep_one()
        domains.append(process.stdout.readline().split()[0])
        process.kill()
        process.communicate()
    assert domains[0] == domains[1]


def test_ports_of_a_domain_are_given_to_no_connection():
    """Those of a hundred participants; 32768 … 60999 are Linux' own."""
    for domain in DOMAINS:
        first = 7400 + 250 * domain
        assert first > 60999 or first + 10 + 2 * 50 < 32768
        assert first + 10 + 2 * 50 <= 65535
