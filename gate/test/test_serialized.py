"""Messages as bytes, held against what rclpy makes of them."""

import math
import struct

import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from vjepa_gate.serialized import read_stamped, stamp_and_content, write_stamped

FRAMES = ("", "b", "base", "fr3_link0", "left/basé")


@pytest.mark.parametrize(("order", "flag"), [("<", 1), (">", 0)])
def test_stamp_and_content(order, flag):
    head = bytes((0, flag, 0, 0)) + struct.pack(f"{order}iI", 12, 500_000_000)
    stamp, content = stamp_and_content(head + b"pixels")
    assert stamp == 12.5
    assert stamp_and_content(head + b"others")[1] != content
    later = bytes((0, flag, 0, 0)) + struct.pack(f"{order}iI", 13, 0)
    assert stamp_and_content(later + b"pixels") == (13.0, content)


@pytest.mark.parametrize("size", [0, 1, 4, 12])
def test_what_cannot_be_an_image(size):
    with pytest.raises(ValueError, match=f"a message of {size} bytes has no header"):
        stamp_and_content(bytes(size))


def filled(kind, frame):
    """A message whose numbers count from 1."""
    message = kind()
    message.header.frame_id = frame
    message.header.stamp.sec, message.header.stamp.nanosec = 12, 250_000_000
    for number, (part, name) in enumerate(places(message), 1):
        setattr(part, name, float(number))
    return message


def places(message):
    name = {PoseStamped: "pose", TwistStamped: "twist"}.get(type(message), "wrench")
    body = getattr(message, name)
    for field in body.get_fields_and_field_types():
        part = getattr(body, field)
        yield from ((part, name) for name in part.get_fields_and_field_types())


KINDS = [(PoseStamped, 7), (TwistStamped, 6), (WrenchStamped, 6)]


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("kind", "count"), KINDS)
def test_what_rclpy_wrote_is_read(kind, count, frame):
    serialized = serialize_message(filled(kind, frame))
    assert read_stamped(serialized, count) == (12.25, frame, tuple(range(1, count + 1)))


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(("kind", "count"), KINDS)
def test_rclpy_reads_what_was_written(kind, count, frame):
    serialized = write_stamped(12.25, frame, range(1, count + 1))
    assert deserialize_message(serialized, kind) == filled(kind, frame)


def test_the_other_byte_order():
    head = bytes(4) + struct.pack(">iII5s", 12, 0, 5, b"base\0")
    serialized = head + bytes(-(len(head) - 4) % 8) + struct.pack(">7d", *range(7))
    assert read_stamped(serialized, 7) == (12.0, "base", tuple(range(7)))


@given(st.integers(0, 91), st.binary(max_size=12), st.integers(4, 30))
def test_bytes_that_are_no_message_are_refused_or_read(size, noise, at):
    """Cut off and overwritten: nothing but a ValueError, and no number that is not there."""
    serialized = write_stamped(12.25, "base", range(7))[:size]
    broken = serialized[:at] + noise + serialized[at + len(noise) :]
    try:
        _, _, numbers = read_stamped(broken, 7)
    except ValueError:
        return
    assert len(numbers) == 7


def test_a_pose_that_is_cut_off():
    whole = write_stamped(12.25, "base", [math.pi] * 7)
    with pytest.raises(ValueError, match="has no 7 numbers after its header"):
        read_stamped(whole[:-1], 7)
