"""A message as bytes, some of whose numbers change: sent a thousand times a second from Python.

    pose = Wire(PoseStamped(header=Header(frame_id="base")))
    position = pose.slots(("pose.position.x", 3))  # and what follows it
    pose.put(position, (0.5, 0.0, 0.3))
    pose.stamp(nanoseconds)
    publisher.publish(bytes(pose))

Converting a FrankaRobotState anew takes rclpy most of a millisecond. Texts and lengths stay as
they are in the message that it was made from.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from rclpy.serialization import serialize_message
from rosidl_parser.definition import (
    AbstractSequence,
    AbstractString,
    Array,
    BasicType,
    NamespacedType,
)

_HEADER = 4  # bytes that say how the rest is encoded; alignment is counted after them
_SIZES = {
    "boolean": 1,
    "octet": 1,
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "uint32": 4,
    "int32": 4,
    "float": 4,
    "uint64": 8,
    "int64": 8,
    "double": 8,
}


class Wire:
    def __init__(self, message: Any) -> None:
        self._offsets: dict[str, int] = {}
        self._numbers: list[str] = []  # paths of the float64
        size = self._walk(message, "", _HEADER)
        self._bytes = bytearray(serialize_message(message))[:size]  # there may be room behind it
        self._doubles = np.frombuffer(self._bytes, "<f8", (size - _HEADER) // 8, _HEADER)
        self._words = np.frombuffer(self._bytes, "<u4", size // 4)
        paths = self._offsets.items()
        self._seconds = np.array([at // 4 for path, at in paths if path.endswith("stamp.sec")])

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)

    def slots(self, *fields: tuple[str, int]) -> np.ndarray:
        """Where numbers are: of each field, and so many float64 from it on."""
        firsts = [((self._offsets[path] - _HEADER) // 8, count) for path, count in fields]
        return np.concatenate([np.arange(first, first + count) for first, count in firsts])

    def put(self, slots: np.ndarray, values: ArrayLike) -> None:
        self._doubles[slots] = values

    def small(self, path: str) -> np.ndarray:
        """A view of a uint8 or bool; what is written to it is sent."""
        return np.frombuffer(self._bytes, "u1", 1, self._offsets[path])

    def stamp(self, nanoseconds: int) -> None:
        """Set every stamp in the message."""
        self._words[self._seconds], self._words[self._seconds + 1] = divmod(
            nanoseconds, 1_000_000_000
        )

    def shared(self, whole: "Wire", field: str) -> tuple[np.ndarray, np.ndarray]:
        """Where this message's numbers are in it, and in another that has it as a field."""
        here = self.slots(*((path, 1) for path in self._numbers))
        there = whole.slots(*((f"{field}.{path}", 1) for path in self._numbers))
        return here, there

    def copy(self, whole: "Wire", slots: tuple[np.ndarray, np.ndarray]) -> None:
        """The numbers of `shared` slots."""
        here, there = slots
        self._doubles[here] = whole._doubles[there]

    def _walk(self, message: Any, prefix: str, offset: int) -> int:
        """Note where each field begins; returns where the message ends."""
        names = message.get_fields_and_field_types()
        for name, kind in zip(names, message.SLOT_TYPES, strict=True):
            offset = self._measure(getattr(message, name), kind, prefix + name, offset)
        return offset

    def _measure(self, value: Any, kind: Any, path: str, offset: int) -> int:
        if isinstance(kind, BasicType):
            size = _SIZES[kind.typename]
            offset = _aligned(offset, size)
            self._offsets[path] = offset
            if kind.typename == "double":
                self._numbers.append(path)
            return offset + size
        if isinstance(kind, NamespacedType):
            return self._walk(value, f"{path}.", offset)
        if isinstance(kind, AbstractString):
            return _aligned(offset, 4) + 4 + len(value.encode()) + 1
        assert isinstance(kind, Array | AbstractSequence)
        if isinstance(kind, AbstractSequence):
            offset = _aligned(offset, 4) + 4
        for index, item in enumerate(value):
            offset = self._measure(item, kind.value_type, f"{path}[{index}]", offset)
        return offset


def _aligned(offset: int, size: int) -> int:
    return offset + -(offset - _HEADER) % size
