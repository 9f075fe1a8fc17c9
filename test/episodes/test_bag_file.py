"""Bags on a disk that takes no more: a limit to the size of a file stands for it."""

import resource
import subprocess
import sys

import pytest

from vjepa_ros.episodes.bag_file import BagFile
from vjepa_ros.episodes.bag_scan import open_bag
from vjepa_ros.episodes.bag_schema import typestore

MB = 2**20
# Messages of a size, up to a limit of the file's; says how many it was told are written.
PROGRAM = """
import resource, sys
from pathlib import Path
from vjepa_ros.episodes.bag_file import BagFile
from vjepa_ros.episodes.bag_schema import typestore

path, size, limit, most = Path(sys.argv[1]), *map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
bag = BagFile(path)
bag.open()
topics = [bag.add_connection(name, "std_msgs/msg/String", typestore=typestore()) for name in "ab"]
written = 0
try:
    for number in range(most):
        data = number.to_bytes(4, "little") + bytes(size)
        bag.write(topics[number % 2], 10**9 + number, data)
        written += 1
except OSError as error:
    print(error.strerror)
bag.close()
print(written)
"""


def write(path, size, limit, most=100_000):
    words = [sys.executable, "-c", PROGRAM, str(path), str(size), str(limit), str(most)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split("\n")[:-1]


def numbers(path):
    with open_bag(path) as bag:
        assert sum(one.msgcount for one in bag.connections) == bag.message_count
        return [int.from_bytes(raw[:4], "little") for _, _, raw in bag.messages()]


@pytest.mark.parametrize("size", [1000, 50_000, 3 * MB])
@pytest.mark.parametrize("limit", [7 * MB + 37, 8 * MB - 1])
def test_what_came_before_the_disk_was_full_is_read(tmp_path, size, limit):
    said, written = write(tmp_path / "bag", size, limit)
    assert said == "File too large"
    found = numbers(tmp_path / "bag")
    assert found == list(range(len(found)))
    lost = int(written) - len(found)
    assert lost * size < 2 * (MB + 2 * size)  # what was pending, and a chunk's room for the index


def test_a_disk_that_is_full_at_the_end(tmp_path):
    """It takes all messages, but no index behind them."""
    most = 1000
    write(tmp_path / "whole", 10_000, 100 * MB, most)
    size = (tmp_path / "whole/whole.mcap").stat().st_size
    assert numbers(tmp_path / "whole") == list(range(most))
    (written,) = write(tmp_path / "bag", 10_000, size - 1000, most)
    assert int(written) == most
    found = numbers(tmp_path / "bag")
    assert found == list(range(len(found)))
    assert len(found) > most - 250


def test_a_disk_that_takes_nothing_at_all(tmp_path):
    bag = BagFile(tmp_path / "bag")
    bag.open()
    topic = bag.add_connection("a", "std_msgs/msg/String", typestore=typestore())
    bag.write(topic, 1, bytes(10))
    size = (tmp_path / "bag/bag.mcap").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            bag.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
