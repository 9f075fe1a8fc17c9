"""What comes a thousand times a second is taken as often as it is needed."""

import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.duration import Duration
from rclpy.qos import QoSProfile

from vjepa_gate.robots import Topic
from vjepa_gate.ros.spinning import spinning_node
from vjepa_gate.ros.thinned import Thinned
from vjepa_gate.serialized import read_stamped, write_stamped

POSE = (0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0)


class Rig:
    def __init__(self, node, wait_until):
        self.thinned, self.heard, self._wait_until = Thinned(node), [], wait_until
        self.thinned.subscribe(PoseStamped, Topic(name="poses"), self._note)
        self._publisher = node.create_publisher(PoseStamped, "poses", QoSProfile(depth=50))
        wait_until(lambda: self._publisher.get_subscription_count() == 1, "found")

    def _note(self, serialized):
        self.heard.append(read_stamped(serialized, 7)[0])

    def send(self, *stamps):
        for stamp in stamps:
            self.send_bytes(write_stamped(stamp, "base", POSE))

    def send_bytes(self, serialized):
        self._publisher.publish(serialized)

    def all_arrived(self):
        return self._publisher.wait_for_all_acked(Duration(seconds=20))

    def look_until(self, stamp):
        def looked():
            self.thinned.look()
            return self.heard[-1:] == [stamp]

        self._wait_until(looked, f"{stamp} is heard")


@pytest.fixture
def rig(wait_until):
    with spinning_node("thins") as node:
        rig = Rig(node, wait_until)
        yield rig
        rig.thinned.destroy()


def test_a_look_finds_the_newest_alone(rig, wait_until):
    rig.send(1.0)
    rig.look_until(1.0)
    rig.send(*range(2, 22))
    rig.look_until(21.0)
    # While they arrived, each look may have found one; none is found twice.
    assert rig.heard == sorted(set(rig.heard))
    found = len(rig.heard)
    rig.thinned.look()
    assert len(rig.heard) == found


def test_of_slow_messages_none_is_lost(rig):
    for stamp in range(10, 30):
        rig.send(stamp)
        rig.look_until(stamp)
    assert rig.heard == list(range(10, 30))


def test_a_deeper_queue_is_emptied_by_each_look(wait_until):
    arguments = ["--ros-args", "-p", "qos_overrides./poses.subscription.depth:=20"]
    with spinning_node("thins", cli_args=arguments) as node:
        rig = Rig(node, wait_until)
        rig.send(*range(1, 11))
        assert rig.all_arrived()
        rig.thinned.look()
        assert rig.heard == [10.0]
        rig.thinned.destroy()


def test_clocks_that_were_set_back_and_messages_without_a_stamp_are_heard(rig):
    for stamp in (20.0, 10.0, 0.0, 10.5):
        rig.send(stamp)
        rig.look_until(stamp)


@pytest.mark.parametrize("payload", [b"", b"\x00\x01\x00\x00", b"\x00\x01\x00\x00" + bytes(9)])
def test_bytes_that_are_no_message_are_survived(rig, payload):
    rig.send_bytes(payload)
    rig.thinned.look()
    rig.send(10.0)
    rig.look_until(10.0)
