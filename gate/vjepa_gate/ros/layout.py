"""A few fields of a large message, read a hundred times a second.

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
_LENGTH = "I"
_CODES = {
    **dict.fromkeys(("boolean", "octet", "char", "uint8"), "B"),
    "int8": "b",
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "uint64": "Q",
    "int64": "q",
    "float": "f",
    "double": "d",
}


class Fields:
    """Fields at the top of a message, each as its numbers and texts in one row."""

    def __init__(self, kind: type, *names: str) -> None:
        self._kind, self._names = kind, names
        self._prefix = b""
        self._lengths = self._values = struct.Struct("")
        self._known: tuple[int, ...] = ()
        self._parts: list[slice] = []

    def read(self, serialized: bytes) -> list[tuple[Any, ...]]:
        """Raises ValueError or RuntimeError for bytes that are no such message."""
        if not self._is_known(serialized):
            self._learn(serialized)
        values = self._values.unpack_from(serialized)
        return [values[part] for part in self._parts]

    def _is_known(self, serialized: bytes) -> bool:
        if not self._prefix or not serialized.startswith(self._prefix):
            return False
        enough = len(serialized) >= max(self._lengths.size, self._values.size)
        return enough and self._lengths.unpack_from(serialized) == self._known

    def _learn(self, serialized: bytes) -> None:
        walk = _Walk(deserialize_message(serialized, self._kind), self._names)
        order = "<" if serialized[1] & 1 else ">"
        self._lengths = struct.Struct(order + "".join(walk.lengths.words))
        self._values = struct.Struct(order + "".join(walk.values.words))
        self._parts = [walk.parts[name] for name in self._names]
        self._known = self._lengths.unpack_from(serialized)
        self._prefix = serialized[:_START]


class _Format:
    """For struct: what is read, and what is passed over between."""

    def __init__(self) -> None:
        self.words, self._end = list[str](), 0

    def read(self, offset: int, code: str) -> None:
        self.words.append(f"{offset - self._end}x{code}")
        self._end = offset + struct.calcsize(code)


class _Walk:
    """Through a message as its bytes lie, to the last field that is wanted."""

    def __init__(self, message: Any, names: tuple[str, ...]) -> None:
        self.lengths, self.values = _Format(), _Format()
        self.parts: dict[str, slice] = {}
        self._offset = _START
        for field, kind in _fields(message):
            start = len(self.values.words)
            self._pass(getattr(message, field), kind, wanted=field in names)
            if field in names:
                self.parts[field] = slice(start, len(self.values.words))
            if len(self.parts) == len(names):
                return
        raise ValueError(f"{type(message).__name__} has not all of {', '.join(names)}")

    def _pass(self, value: Any, kind: Any, *, wanted: bool) -> None:
        if isinstance(kind, BasicType):
            self._number(_CODES[kind.typename], [self.values] if wanted else [])
        elif isinstance(kind, NamespacedType):
            for field, of_field in _fields(value):
                self._pass(getattr(value, field), of_field, wanted=wanted)
        elif isinstance(kind, AbstractString):
            self._number(_LENGTH, [self.lengths])
            size = len(value.encode())
            if wanted:
                self.values.read(self._offset, f"{size}s")
            self._offset += size + 1
        else:
            assert isinstance(kind, Array | AbstractSequence)
            if isinstance(kind, AbstractSequence):
                self._number(_LENGTH, [self.lengths])
            for item in value:
                self._pass(item, kind.value_type, wanted=wanted)

    def _number(self, code: str, into: list[_Format]) -> None:
        size = struct.calcsize(code)
        self._offset += -(self._offset - _START) % size
        for one in into:
            one.read(self._offset, code)
        self._offset += size


def _fields(message: Any) -> zip:
    return zip(message.get_fields_and_field_types(), message.SLOT_TYPES, strict=True)
