"""Messages as DDS carries them: read and written without rclpy, which takes 0.1 to 1 ms for each.

Four bytes, of which the second tells the byte order, then the fields, each number at a multiple of
its size. Those looked at here begin with a header.
"""

import struct
from collections.abc import Sequence

_LITTLE_ENDIAN = b"\x00\x01\x00\x00"
_START = 4  # from where multiples are counted
_STAMP_END, _TEXT_START = 12, 16


def stamp_of(serialized: bytes) -> float:
    """Seconds; raises ValueError for fewer bytes than a header has."""
    if len(serialized) <= _STAMP_END:
        raise ValueError(f"a message of {len(serialized)} bytes has no header")
    whole, nanoseconds = struct.unpack_from(f"{_order(serialized)}iI", serialized, _START)
    return whole + 1e-9 * nanoseconds


def stamp_and_content(serialized: bytes) -> tuple[float, bytes]:
    """Seconds, and what is the same for the same pixels.

    Raises ValueError for what cannot be an image.
    """
    return stamp_of(serialized), serialized[_STAMP_END:]


def read_stamped(serialized: bytes, count: int) -> tuple[float, str, tuple[float, ...]]:
    """Seconds, frame_id and the numbers of a PoseStamped (7), TwistStamped or WrenchStamped (6).

    Raises ValueError for what cannot be one.
    """
    stamp, order = stamp_of(serialized), _order(serialized)
    try:
        (length,) = struct.unpack_from(f"{order}I", serialized, _STAMP_END)
        end = _TEXT_START + length
        numbers = struct.unpack_from(f"{order}{count}d", serialized, end + _gap(end))
    except struct.error as error:
        raise ValueError(
            f"a message of {len(serialized)} bytes has no {count} numbers after its header"
        ) from error
    return stamp, serialized[_TEXT_START : end - 1].decode(), numbers


def write_stamped(stamp: float, frame: str, numbers: Sequence[float]) -> bytes:
    """Such a message, for a publisher."""
    seconds, nanoseconds = divmod(round(stamp * 1e9), 10**9)
    text = frame.encode() + b"\x00"
    head = struct.pack("<4siII", _LITTLE_ENDIAN, seconds, nanoseconds, len(text)) + text
    return head + bytes(_gap(len(head))) + struct.pack(f"<{len(numbers)}d", *numbers)


def _order(serialized: bytes) -> str:
    return "<" if serialized[1] & 1 else ">"


def _gap(offset: int) -> int:
    """Bytes from there to where a float64 may begin."""
    return -(offset - _START) % 8
