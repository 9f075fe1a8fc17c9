"""What is looked at of a message that is not decoded: its stamp; of a picture, that it changes."""

import struct
import zlib

_STAMP_START, _STAMP_END = 4, 12  # bytes into a serialized message that begins with a header


def stamp_of(serialized: bytes) -> float:
    """Seconds; raises ValueError for fewer bytes than a header has."""
    if len(serialized) <= _STAMP_END:
        raise ValueError(f"a message of {len(serialized)} bytes has no header")
    # The header comes first, after 4 bytes of which the second tells the byte order.
    order = "<" if serialized[1] & 1 else ">"
    whole, nanoseconds = struct.unpack_from(f"{order}iI", serialized, _STAMP_START)
    return whole + 1e-9 * nanoseconds


def stamp_and_content(serialized: bytes) -> tuple[float, int]:
    """Seconds, and a number that is the same for the same pixels.

    Raises ValueError for what cannot be an image.
    """
    return stamp_of(serialized), zlib.crc32(memoryview(serialized)[_STAMP_END:])
