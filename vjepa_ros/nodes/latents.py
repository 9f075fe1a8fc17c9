"""vjepa_msgs/Latent to and from tensors."""

import array
from dataclasses import dataclass

import torch
from builtin_interfaces.msg import Time
from std_msgs.msg import Header
from torch import Tensor
from vjepa_msgs.msg import Latent

from vjepa_gate.ros import stamps

_TYPES = {
    torch.float32: Latent.FLOAT32,
    torch.float16: Latent.FLOAT16,
    torch.bfloat16: Latent.BFLOAT16,
}
_DTYPES = {element_type: dtype for dtype, element_type in _TYPES.items()}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A camera picture as the encoder sees it; nodes in one process share the tensor."""

    header: Header  # of the camera image
    latents: Tensor  # [L, D], float32, on the encoder's device
    weights: str
    crop: str
    source: str

    @property
    def stamp(self) -> float:
        """Of the image, in seconds."""
        return stamps.seconds(self.header.stamp)

    @property
    def name(self) -> str:
        """The stamp as a text, which is no goal's name."""
        return f"{self.header.stamp.sec}.{self.header.stamp.nanosec:09d}"

    @property
    def key(self) -> tuple[int, int]:
        """The stamp without rounding."""
        return stamp_key(self.header.stamp)


def stamp_named(name: str) -> Time | None:
    """The stamp of the image behind a frame of that name; None for a goal's name."""
    whole, point, nanoseconds = name.partition(".")
    if not (point and whole.isdigit() and nanoseconds.isdigit()):
        return None
    return Time(sec=int(whole), nanosec=int(nanoseconds))


def stamp_key(stamp: object) -> tuple[int, int]:
    """Give a stamp that can be compared without rounding."""
    return stamp.sec, stamp.nanosec  # type: ignore[attr-defined]


def to_message(frame: Frame, dtype: torch.dtype = torch.float32) -> Latent:
    """Turn a frame into a message."""
    tokens, width = frame.latents.shape
    side = round(tokens**0.5)
    if side**2 != tokens:
        raise ValueError(f"latents have {tokens} tokens, expected a square grid of patches")
    raw = frame.latents.to("cpu", dtype).contiguous().view(torch.uint8)
    data = array.array("B")  # the one type that rclpy takes without copying item by item
    data.frombytes(raw.numpy().data.cast("B"))
    return Latent(
        header=frame.header,
        source=frame.source,
        weights=frame.weights,
        crop=frame.crop,
        rows=side,
        cols=side,
        width=width,
        element_type=_TYPES[dtype],
        data=data,
    )


def to_frame(message: Latent) -> Frame:
    """Raises ValueError for a message whose sizes do not fit each other."""
    dtype = _DTYPES.get(message.element_type)
    if dtype is None:
        raise ValueError(f"latent of element_type {message.element_type}, expected 0, 1 or 2")
    tokens, width = message.rows * message.cols, message.width
    expected = tokens * width * dtype.itemsize
    if not expected or len(message.data) != expected:
        raise ValueError(
            f"latent data is {len(message.data)} bytes, expected {expected}: "
            f"{message.rows} × {message.cols} tokens of {width} in {dtype}"
        )
    values = torch.frombuffer(bytearray(message.data), dtype=dtype)
    return Frame(
        header=message.header,
        latents=values.view(tokens, width).float(),
        weights=message.weights,
        crop=message.crop,
        source=message.source,
    )
