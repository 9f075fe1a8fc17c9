"""One small field of a large message, read a hundred times a second.

rclpy takes 1 ms to convert a FrankaRobotState. Where its fields lie depends on how long its texts
and sequences are, and that is the same from message to message: so one is converted, and those
after it are only seen to have the same lengths.
"""

from typing import Any

import numpy as np
from rclpy.serialization import deserialize_message
from rosidl_parser.definition import (
    AbstractSequence,
    AbstractString,
    Array,
    BasicType,
    NamespacedType,
)

_START = 4  # bytes that say how the rest is encoded; alignment is counted after them
_SIZES = {
    **dict.fromkeys(("boolean", "octet", "char", "uint8", "int8"), 1),
    **dict.fromkeys(("uint16", "int16"), 2),
    **dict.fromkeys(("uint32", "int32", "float"), 4),
    **dict.fromkeys(("uint64", "int64", "double"), 8),
}


class ByteField:
    """A uint8 or bool at the top of a message."""

    def __init__(self, kind: type, name: str) -> None:
        self._kind, self._name = kind, name
        self._like = b""  # the message that the layout is that of
        self._lengths = np.zeros(0, int)  # where they are, in words
        self._offset = 0

    def read(self, serialized: bytes) -> int:
        """Raises ValueError or RuntimeError for bytes that are no such message."""
        if not self._same_layout(serialized):
            message = deserialize_message(serialized, self._kind)
            self._offset, self._lengths = _walk(message, self._name)
            self._like = serialized
        return serialized[self._offset]

    def _same_layout(self, serialized: bytes) -> bool:
        known = self._like
        if not known or len(serialized) != len(known) or serialized[:_START] != known[:_START]:
            return False
        here, there = (_words(message)[self._lengths] for message in (serialized, known))
        return bool((here == there).all())


def _words(serialized: bytes) -> np.ndarray:
    return np.frombuffer(serialized, np.uint32, len(serialized) // 4)


def _walk(message: Any, name: str) -> tuple[int, np.ndarray]:
    """Where a field begins, in bytes, and all lengths that come before it, in words."""
    offset, lengths = _START, list[int]()

    def pass_number(size: int) -> None:
        nonlocal offset
        offset += -(offset - _START) % size + size

    def pass_length() -> None:
        pass_number(4)
        lengths.append(offset // 4 - 1)

    def pass_value(value: Any, kind: Any) -> None:
        nonlocal offset
        if isinstance(kind, BasicType):
            pass_number(_SIZES[kind.typename])
        elif isinstance(kind, NamespacedType):
            for field, of_field in _fields(value):
                pass_value(getattr(value, field), of_field)
        elif isinstance(kind, AbstractString):
            pass_length()
            offset += len(value.encode()) + 1
        else:
            assert isinstance(kind, Array | AbstractSequence)
            if isinstance(kind, AbstractSequence):
                pass_length()
            for item in value:
                pass_value(item, kind.value_type)

    for field, kind in _fields(message):
        if field == name:
            return offset, np.array(lengths)
        pass_value(getattr(message, field), kind)
    raise ValueError(f"{type(message).__name__} has no {name}")


def _fields(message: Any) -> zip:
    return zip(message.get_fields_and_field_types(), message.SLOT_TYPES, strict=True)
