"""The newest things between threads."""

import threading
import time

from vjepa_ros.nodes.shelf import Shelf


def test_only_the_newest_are_kept():
    shelf = Shelf(2)
    for number in range(5):
        shelf.put(number, f"value {number}")
    assert shelf.newest() == "value 4"
    assert shelf.wait(3, timeout=0) == "value 3"
    assert shelf.wait(2, timeout=0) is None


def test_what_was_last_asked_for_stays():
    shelf = Shelf(2)
    for number in range(9):
        shelf.put(number, f"value {number}")
        if number in (1, 3):
            shelf.wait(number, timeout=0)
    assert [shelf.wait(number, timeout=0) for number in (1, 3)] == [None, "value 3"]
    assert shelf.newest() == "value 8"


def test_taken_is_gone():
    shelf = Shelf(1)
    assert shelf.take(timeout=0) is None
    shelf.put(None, 1)
    shelf.put(None, 2)
    assert shelf.take(timeout=0) == 2
    assert shelf.take(timeout=0) is None


def test_who_waits_is_woken_by_what_is_wanted():
    shelf = Shelf(1)
    found = []
    waiting = threading.Thread(
        target=lambda: found.append(shelf.wait_newest(lambda value: value > 2, timeout=20))
    )
    waiting.start()
    for number in range(5):
        shelf.put(None, number)
        time.sleep(0.01)
    waiting.join()
    assert found[0] in (3, 4)
    assert shelf.wait_newest(lambda value: value > 9, timeout=0) is None
