"""ROS image messages to and from numpy.

Works on anything that has the fields of sensor_msgs/Image or CompressedImage: rclpy's
messages and those that rosbags reads. What does not add up (sizes, row padding, data
length, an encoding that has no colours) is a ValueError that says what was found and
what was expected; no picture is ever guessed.
"""

import array
import functools
import struct
import zlib
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

# Of a whole file. Few bytes may stand for a picture that fills the memory; 8K has 33 million.
MAX_PIXELS = 40_000_000


class _Encoding(NamedTuple):
    dtype: str  # of one channel, without its byte order
    channels: int
    to_rgb: int | None = None  # OpenCV's conversion; None where the channels are RGB already


_GREY, _BGR, _RGBA, _BGRA = (
    cv2.COLOR_GRAY2RGB,
    cv2.COLOR_BGR2RGB,
    cv2.COLOR_RGBA2RGB,
    cv2.COLOR_BGRA2RGB,
)
_UYVY, _YUYV = cv2.COLOR_YUV2RGB_UYVY, cv2.COLOR_YUV2RGB_YUY2

# The encodings of sensor_msgs/image_encodings.hpp that have colours or grey.
_COLOUR = {
    "rgb8": _Encoding("u1", 3),
    "bgr8": _Encoding("u1", 3, _BGR),
    "rgba8": _Encoding("u1", 4, _RGBA),
    "bgra8": _Encoding("u1", 4, _BGRA),
    "mono8": _Encoding("u1", 1, _GREY),
    "rgb16": _Encoding("u2", 3),
    "bgr16": _Encoding("u2", 3, _BGR),
    "rgba16": _Encoding("u2", 4, _RGBA),
    "bgra16": _Encoding("u2", 4, _BGRA),
    "mono16": _Encoding("u2", 1, _GREY),
    "bayer_rggb8": _Encoding("u1", 1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": _Encoding("u1", 1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": _Encoding("u1", 1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": _Encoding("u1", 1, cv2.COLOR_BayerGRBG2RGB),
    "bayer_rggb16": _Encoding("u2", 1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr16": _Encoding("u2", 1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg16": _Encoding("u2", 1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg16": _Encoding("u2", 1, cv2.COLOR_BayerGRBG2RGB),
    "uyvy": _Encoding("u1", 2, _UYVY),
    "yuv422": _Encoding("u1", 2, _UYVY),
    "yuyv": _Encoding("u1", 2, _YUYV),
    "yuv422_yuy2": _Encoding("u1", 2, _YUYV),
}
# Measurements, not pictures: only `to_array` reads these.
_MEASURED = {
    "8UC1": _Encoding("u1", 1),
    "8UC3": _Encoding("u1", 3),
    "16UC1": _Encoding("u2", 1),
    "16SC1": _Encoding("i2", 1),
    "32FC1": _Encoding("f4", 1),
}
_ENCODINGS = _COLOUR | _MEASURED


def to_rgb(message: Any) -> NDArray[np.uint8]:
    """The picture of a sensor_msgs/Image as RGB [height, width, 3].

    16-bit pictures keep their upper 8 bits.
    """
    if message.encoding in _MEASURED:
        raise ValueError(
            f"image encoding {message.encoding!r} does not say what its colours are: "
            f"expected one of {', '.join(_COLOUR)}"
        )
    pixels = to_array(message)
    convert = _COLOUR[message.encoding].to_rgb
    _check_pattern(message.encoding, pixels)
    if convert is not None:
        pixels = cv2.cvtColor(pixels, convert)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return np.ascontiguousarray(pixels)


def to_array(message: Any) -> NDArray[Any]:
    """A sensor_msgs/Image as it is: [height, width] or [height, width, channels].

    In the machine's byte order and without row padding, in the message's own encoding:
    depth as 16UC1 (usually millimetres) or 32FC1 (metres) stays what it was.
    """
    encoding = _layout(message)
    bridge = _cv_bridge()
    pixels = _unpack(message, encoding) if bridge is None else bridge(message)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def compressed_to_rgb(message: Any) -> NDArray[np.uint8]:
    """The picture of a sensor_msgs/CompressedImage (JPEG or PNG) as RGB [height, width, 3]."""
    if "compressedDepth" in message.format:
        raise ValueError(
            f"compressed image of format {message.format!r} is depth: expected a colour picture"
        )
    return decode_picture(bytes(message.data))


def decode_picture(data: bytes) -> NDArray[np.uint8]:
    """The bytes of a whole JPEG or PNG file as RGB [height, width, 3]."""
    if data.startswith(b"\xff\xd8\xff"):
        _check_jpeg(data)
        width, height = _jpeg_size(data)
    elif data.startswith(_PNG_MAGIC):
        _check_png(data)
        width, height = struct.unpack_from(">II", data, 16)
    else:
        raise ValueError(
            f"found {len(data)} bytes that begin with {data[:8]!r}, expected a JPEG or PNG picture"
        )
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"picture of {len(data)} bytes is {width}×{height} pixels, expected at most "
            f"{MAX_PIXELS / 1e6:g} million"
        )
    try:
        bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise ValueError(f"picture of {len(data)} bytes cannot be decoded: {error.err}") from error
    if bgr is None:
        raise ValueError(f"picture of {len(data)} bytes cannot be decoded: it is damaged")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def rgb_to_fields(rgb: NDArray[np.uint8]) -> dict[str, Any]:
    """The fields of a sensor_msgs/Image, but its header, for an RGB picture [height, width, 3]."""
    _check_rgb(rgb)
    height, width, _ = rgb.shape
    data = array.array("B")  # the one type that rclpy takes without copying item by item
    data.frombytes(np.ascontiguousarray(rgb).data.cast("B"))
    return {
        "height": height,
        "width": width,
        "encoding": "rgb8",
        "is_bigendian": 0,
        "step": 3 * width,
        "data": data,
    }


def encode_jpeg(rgb: NDArray[np.uint8], quality: int = 90) -> bytes:
    """An RGB picture [height, width, 3] as the bytes of a JPEG file."""
    return _encode(rgb, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """An RGB picture [height, width, 3] as the bytes of a PNG file."""
    return _encode(rgb, ".png", [])


def uses_cv_bridge() -> bool:
    """Whether images are unpacked by ROS's cv_bridge; else by numpy, with the same result."""
    return _cv_bridge() is not None


def _encode(rgb: NDArray[np.uint8], suffix: str, options: list[int]) -> bytes:
    _check_rgb(rgb)
    done, data = cv2.imencode(suffix, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"OpenCV could not write a picture of shape {rgb.shape} as {suffix}")
    return data.tobytes()


# --- raw images --------------------------------------------------------------------------


def _layout(message: Any) -> _Encoding:
    """The message's encoding, after checking that its sizes and data fit each other."""
    encoding = _ENCODINGS.get(message.encoding)
    if encoding is None:
        raise ValueError(
            f"image encoding {message.encoding!r} is not supported: "
            f"expected one of {', '.join(_ENCODINGS)}"
        )
    height, width, step = int(message.height), int(message.width), int(message.step)
    if height < 1 or width < 1:
        raise ValueError(f"image of {width}×{height} pixels, expected at least 1×1")
    row = width * encoding.channels * np.dtype(encoding.dtype).itemsize
    if step < row:
        raise ValueError(
            f"image step is {step} bytes a row, expected at least {row} for {width} pixels "
            f"of {message.encoding}"
        )
    size = memoryview(message.data).nbytes
    if size != step * height:
        raise ValueError(
            f"image data is {size} bytes, expected {step * height}: {height} rows of {step}"
        )
    return encoding


def _unpack(message: Any, encoding: _Encoding) -> NDArray[Any]:
    """The pixels of a checked message; a copy, since rows may be padded and unaligned."""
    dtype = np.dtype((">" if message.is_bigendian else "<") + encoding.dtype)
    height, width, step = int(message.height), int(message.width), int(message.step)
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)
    used = rows[:, : width * encoding.channels * dtype.itemsize].copy()
    pixels = used.view(dtype).reshape(height, width, encoding.channels)
    return pixels[..., 0] if encoding.channels == 1 else pixels


def _check_pattern(encoding: str, pixels: NDArray[Any]) -> None:
    height, width = pixels.shape[:2]
    if encoding.startswith("bayer") and (height < 2 or width < 2):
        raise ValueError(f"{encoding} image of {width}×{height} pixels, expected at least 2×2")
    if _COLOUR[encoding].channels == 2 and width % 2:
        raise ValueError(f"{encoding} image is {width} pixels wide, expected an even width")


@functools.cache
def _cv_bridge() -> Any:
    """cv_bridge's unpacking where ROS brings one that works, else None.

    The one on PyPI is ROS 1 code that ignores row padding, and Ubuntu's does not load
    beside a numpy of another major version: so it must prove itself first.
    """
    try:
        from cv_bridge import CvBridge
        from sensor_msgs.msg import Image

        bridge = CvBridge()
        for encoding, data in (("rgb8", range(20)), ("mono16", range(12))):
            probe = Image(height=2, width=2, encoding=encoding, is_bigendian=1)
            probe.step = len(data) // 2
            probe.data = array.array("B", data)
            expected = _unpack(probe, _ENCODINGS[encoding])
            if not np.array_equal(bridge.imgmsg_to_cv2(probe), expected):
                return None
    except Exception:  # whatever it fails with, numpy does the same work
        return None
    return bridge.imgmsg_to_cv2


def _check_rgb(rgb: NDArray[np.uint8]) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise ValueError(
            f"picture is {rgb.dtype} {list(rgb.shape)}, expected RGB uint8 [height, width, 3]"
        )


# --- whole JPEG and PNG files ------------------------------------------------------------
# OpenCV fills in what a cut file lacks and says nothing, so their ends are checked here.

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def _check_jpeg(data: bytes) -> None:
    if not data.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise ValueError(
            f"JPEG of {len(data)} bytes lacks its end marker: it was cut off, expected a whole file"
        )


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height, from the segment that begins the frame."""
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, position + 5)
            return width, height
        fill = marker == 0xFF  # any number of them may stand before a marker
        position += 1 if fill else 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    raise ValueError(f"JPEG of {len(data)} bytes does not say how large it is: it is damaged")


def _check_png(data: bytes) -> None:
    """Walk the chunks (length, kind, content, checksum) to the last one."""
    position, kind = len(_PNG_MAGIC), b""
    while kind != b"IEND":
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            raise ValueError(f"PNG of {len(data)} bytes ends before its last chunk: it was cut off")
        chunk, checksum = data[position + 4 : end - 4], data[end - 4 : end]
        if zlib.crc32(chunk) != int.from_bytes(checksum, "big"):
            raise ValueError(f"PNG of {len(data)} bytes is damaged at byte {position}")
        position, kind = end, chunk[:4]
