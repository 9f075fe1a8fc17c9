"""Messages of openpi's protocol: msgpack, with arrays as their bytes, type and shape.

Nothing that is received can run code: there is no pickle, and an array is of plain numbers.
"""

import math
from typing import Any

import msgpack
import numpy as np

MAX_MESSAGE = 64 * 2**20  # bytes
_NUMBERS = "biuf"  # kinds of numpy's types


def pack(message: Any) -> bytes:
    """Turn dicts, lists, texts, numbers and arrays into bytes."""
    packed: bytes = msgpack.packb(message, default=_packed)
    return packed


def unpack(data: bytes) -> Any:
    """Read such bytes; raises ValueError for anything else."""
    if len(data) > MAX_MESSAGE:
        raise ValueError(f"a message of {len(data)} bytes, expected at most {MAX_MESSAGE}")
    try:
        return msgpack.unpackb(data, object_hook=_unpacked, strict_map_key=False)
    except Exception as error:
        raise ValueError(f"{type(error).__name__}: {error}; expected whole msgpack") from error


def _packed(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in _NUMBERS:
        kind = value.dtype.str
        if isinstance(value, np.generic):
            return {b"__npgeneric__": True, b"data": value.item(), b"dtype": kind}
        return {
            b"__ndarray__": True,
            b"data": value.tobytes(),
            b"dtype": kind,
            b"shape": value.shape,
        }
    raise ValueError(f"cannot send {type(value).__name__}, expected numbers, texts and arrays")


def _unpacked(value: dict[Any, Any]) -> Any:
    if b"__npgeneric__" in value:
        return _dtype(value).type(value[b"data"])
    if b"__ndarray__" not in value:
        return value
    dtype, shape = _dtype(value), tuple(value[b"shape"])
    data = value[b"data"]
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of {len(data)} bytes, expected {list(shape)} of {dtype}")
    return np.frombuffer(data, dtype).reshape(shape)


def _dtype(value: dict[Any, Any]) -> np.dtype:
    dtype = np.dtype(value[b"dtype"])
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"an array of {dtype}, expected numbers")
    return dtype
