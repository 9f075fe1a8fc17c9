"""One small field of a large message, read a hundred times a second.

rclpy takes 1 ms to convert a FrankaRobotState. Where its fields lie depends on how long its texts
and sequences are, and that is the same from message to message: so one is converted, and those
after it are only seen to have the same lengths.
"""

import struct
from typing import Any

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
        self._prefix = b""
        self._layout = struct.Struct("")
        self._lengths: list[int] = []

    def read(self, serialized: bytes) -> int:
        """Raises ValueError or RuntimeError for bytes that are no such message."""
        known = self._prefix and serialized.startswith(self._prefix)
        if known and len(serialized) >= self._layout.size:
            *lengths, value = self._layout.unpack_from(serialized)
            if lengths == self._lengths:
                return value
        message = deserialize_message(serialized, self._kind)
        order = "<" if serialized[1] & 1 else ">"
        self._prefix = serialized[:_START]
        self._layout = struct.Struct(order + _layout(message, self._name))
        *self._lengths, value = self._layout.unpack_from(serialized)
        return value


def _layout(message: Any, name: str) -> str:
    """All lengths before a field, and the field, for struct."""
    offset, read, words = _START, 0, list[str]()

    def pass_number(size: int) -> None:
        nonlocal offset
        offset += -(offset - _START) % size + size

    def pass_length() -> None:
        nonlocal read
        pass_number(4)
        words.append(f"{offset - 4 - read}xI")
        read = offset

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
            return "".join(words) + f"{offset - read}xB"
        pass_value(getattr(message, field), kind)
    raise ValueError(f"{type(message).__name__} has no {name}")


def _fields(message: Any) -> zip:
    return zip(message.get_fields_and_field_types(), message.SLOT_TYPES, strict=True)
