"""A ROS graph of one's own: heard on this machine alone, in a domain that nobody else there has.

For demonstrations, tests and benchmarks, which no real arm may hear, nor each other. Call
`isolate` before anything imports rclpy.
"""

import contextlib
import os
import socket
from functools import cache
from itertools import chain

# Those whose UDP ports Linux gives to no connection; what people choose by hand comes last.
DOMAINS = tuple(chain(range(215, 233), range(101, 0, -1)))
_reserved: list[socket.socket] = []


@cache  # the second call of a process changes nothing
def isolate() -> None:
    """Let this process and its children talk to each other alone."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(reserve_domain())


def reserve_domain() -> int:
    """Find a domain that no process has reserved, and keep it until this process ends.

    What is held is a socket with an abstract name: it leaves no file, goes with its process
    however that ends, and is known just as far as the domain's ports are.
    """
    for domain in DOMAINS:
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            lock.bind(f"\0vjepa_ros/domain/{domain}")
            _reserved.append(lock)
            return domain
        lock.close()
    raise RuntimeError(
        f"all {len(DOMAINS)} ROS domains of this machine are reserved by demonstrations, tests or "
        "benchmarks that are running: end some of them"
    )
