"""What comes a thousand times a second is taken as often as it is needed."""

import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile

from vjepa_gate.robots import Topic
from vjepa_gate.ros.spinning import spinning_node
from vjepa_gate.ros.thinned import Thinned


@pytest.fixture
def rig(wait_until):
    with spinning_node("thins") as node:
        thinned, heard = Thinned(node), []
        thinned.subscribe(PoseStamped, Topic(name="poses"), heard.append, spacing=0.0045)
        publisher = node.create_publisher(PoseStamped, "poses", QoSProfile(depth=50))
        wait_until(lambda: publisher.get_subscription_count() == 1, "found")

        def send(*milliseconds):
            for stamp in milliseconds:
                message = PoseStamped()
                message.header.stamp.sec, rest = divmod(stamp, 1000)
                message.header.stamp.nanosec = rest * 10**6
                publisher.publish(message)

        def stamps():
            found = (message.header.stamp for message in list(heard))
            return [1000 * stamp.sec + stamp.nanosec // 10**6 for stamp in found]

        yield publisher, send, stamps
        thinned.destroy()


def test_stamps_that_are_near_each_other_are_left_out(rig, wait_until):
    _, send, stamps = rig
    send(*range(10_000, 10_021))
    wait_until(lambda: stamps()[-1:] == [10_020], "the last")
    assert stamps() == [10_000, 10_005, 10_010, 10_015, 10_020]


def test_of_slow_messages_none_is_lost(rig, wait_until):
    _, send, stamps = rig
    sent = list(range(10_000, 11_000, 25))
    send(*sent)
    wait_until(lambda: len(stamps()) == len(sent), "all")
    assert stamps() == sent


def test_clocks_that_were_set_back_and_messages_without_a_stamp_are_heard(rig, wait_until):
    _, send, stamps = rig
    sent = [20_000, 10_000, 0, 0, 10_010]
    send(*sent)
    wait_until(lambda: len(stamps()) == len(sent), "all")
    assert stamps() == sent


@pytest.mark.parametrize("payload", [b"", b"\x00\x01\x00\x00", b"\x00\x01\x00\x00" + bytes(9)])
def test_bytes_that_are_no_message_are_survived(rig, wait_until, payload):
    publisher, send, stamps = rig
    publisher.publish(payload)
    send(10_000)
    wait_until(lambda: stamps() == [10_000], "the next")
