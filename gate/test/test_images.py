"""The stamp of a picture that is never decoded."""

import struct

import pytest

from vjepa_gate.images import stamp_and_content


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
