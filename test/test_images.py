"""Right, or a ValueError: no malformed message crashes, and none becomes a wrong picture."""

import array
import struct
import sys
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from vjepa_ros import images


def picture(height: int = 6, width: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def message(pixels: np.ndarray, encoding: str, padding: int = 0, big: bool = False) -> Image:
    """A message as a camera driver would fill it, rows padded with a byte that must not show."""
    dtype = pixels.dtype.newbyteorder(">" if big else "<")
    rows = pixels.astype(dtype).reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xA5)
    made = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    made.is_bigendian, made.step = int(big), rows.shape[1]
    made.data = array.array("B", rows.tobytes())
    return made


paddings = pytest.mark.parametrize("padding", [0, 1, 5])


# --- what cameras send -------------------------------------------------------------------


@paddings
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "rgba8", "bgra8"])
def test_8_bit_colours(encoding, padding):
    rgb = picture()
    sent = rgb if encoding.startswith("rgb") else rgb[..., ::-1]
    if "a8" in encoding:
        sent = np.dstack((sent, np.full(sent.shape[:2], 77, np.uint8)))
    np.testing.assert_array_equal(images.to_rgb(message(sent, encoding, padding)), rgb)


@paddings
def test_grey_has_three_equal_channels(padding):
    grey = picture()[..., 0]
    rgb = images.to_rgb(message(grey, "mono8", padding))
    np.testing.assert_array_equal(rgb, np.dstack([grey] * 3))


@paddings
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bgr16", "rgba16", "bgra16"])
def test_16_bits_in_either_byte_order(encoding, big, padding):
    rgb = picture().astype(np.uint16) * 256 + 200
    sent = {
        "mono16": rgb[..., 0],
        "rgb16": rgb,
        "bgr16": rgb[..., ::-1],
        "rgba16": np.dstack((rgb, rgb[..., :1])),
        "bgra16": np.dstack((rgb[..., ::-1], rgb[..., :1])),
    }[encoding]
    expected = np.dstack([rgb[..., 0]] * 3) if encoding == "mono16" else rgb
    got = images.to_rgb(message(sent, encoding, padding, big))
    np.testing.assert_array_equal(got, expected >> 8)


@paddings
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(("encoding", "dtype"), [("16UC1", np.uint16), ("32FC1", np.float32)])
def test_depth_stays_what_it_was(encoding, dtype, big, padding):
    depth = (np.random.default_rng(0).random((5, 7)) * 60000).astype(dtype)
    sent = message(depth, encoding, padding, big)
    got = images.to_array(sent)
    np.testing.assert_array_equal(got, depth)
    assert got.dtype == dtype
    with pytest.raises(ValueError, match="does not say what its colours are"):
        images.to_rgb(sent)


@paddings
@pytest.mark.parametrize("bits", ["8", "16"])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_keeps_the_colour_of_a_uniform_wall(pattern, bits, padding):
    """Each sensor pixel sees one colour of the wall; every pixel of the picture has all three."""
    wall = {"r": 200, "g": 90, "b": 20}
    cell = np.array([wall[letter] for letter in pattern]).reshape(2, 2)
    mosaic = np.tile(cell, (4, 5)).astype(np.uint8)
    if bits == "16":
        mosaic = mosaic.astype(np.uint16) << 8
    rgb = images.to_rgb(message(mosaic, f"bayer_{pattern}{bits}", padding))
    np.testing.assert_array_equal(rgb, np.broadcast_to([200, 90, 20], (8, 10, 3)))


@paddings
@pytest.mark.parametrize(
    ("encoding", "order"),
    [("uyvy", "uyvy"), ("yuv422", "uyvy"), ("yuyv", "yuyv"), ("yuv422_yuy2", "yuyv")],
)
def test_yuv422_of_a_red_wall(encoding, order, padding):
    red = {"y": 81, "u": 90, "v": 240}  # BT.601, studio range
    pair = np.array([red[letter] for letter in order], np.uint8).reshape(1, 2, 2)
    rgb = images.to_rgb(message(np.tile(pair, (4, 3, 1)), encoding, padding))
    assert rgb.shape == (4, 6, 3)
    np.testing.assert_allclose(rgb, np.broadcast_to([255, 0, 0], rgb.shape), atol=2)


def test_data_of_any_buffer_type():
    """rclpy gives array.array, rosbags a numpy array, a raw reader bytes."""
    rgb = picture()
    for data in (rgb.tobytes(), rgb.reshape(-1), array.array("B", rgb.tobytes())):
        made = SimpleNamespace(
            height=np.uint32(6), width=np.uint32(8), step=np.uint32(24),
            encoding="rgb8", is_bigendian=np.uint8(0), data=data,
        )  # fmt: skip
        np.testing.assert_array_equal(images.to_rgb(made), rgb)


def test_a_picture_goes_into_a_message_and_back():
    rgb = picture()[::-1, ::2]  # not contiguous
    sent = Image(**images.rgb_to_fields(rgb))
    np.testing.assert_array_equal(images.to_rgb(sent), rgb)
    got = images.to_rgb(sent)
    got[:] = 0  # a picture is a copy: writing to it must not reach the message
    np.testing.assert_array_equal(images.to_rgb(sent), rgb)


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), "u1")])
def test_only_pictures_go_into_messages(bad):
    with pytest.raises(ValueError, match="expected RGB uint8"):
        images.rgb_to_fields(bad)


# --- compressed --------------------------------------------------------------------------


def test_png_is_exact_and_jpeg_close():
    rgb = cv2.resize(picture(), (64, 48), interpolation=cv2.INTER_CUBIC)
    png = CompressedImage(format="png", data=images.encode_png(rgb))
    np.testing.assert_array_equal(images.compressed_to_rgb(png), rgb)
    jpeg = CompressedImage(format="bgr8; jpeg compressed bgr8", data=images.encode_jpeg(rgb, 95))
    assert np.abs(images.compressed_to_rgb(jpeg).astype(int) - rgb).mean() < 6


def test_a_grey_png_becomes_rgb():
    grey = picture()[..., 0]
    png = cv2.imencode(".png", grey)[1].tobytes()
    np.testing.assert_array_equal(images.decode_picture(png), np.dstack([grey] * 3))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes that begin with b''"),
        (b"GIF89a" + bytes(40), "expected a JPEG or PNG"),
        (b"<html>not found</html>", "expected a JPEG or PNG"),
        (images.encode_jpeg(picture(64, 64))[:-200], "lacks its end marker"),
        (images.encode_png(picture(64, 64))[:-200], "cut off"),
        (b"\xff\xd8\xff\xd9", "expected a JPEG or PNG|does not say how large"),
    ],
)
def test_what_is_no_whole_picture_is_refused(data, says):
    with pytest.raises(ValueError, match=says):
        images.decode_picture(data)


def test_compressed_depth_is_no_picture():
    sent = CompressedImage(format="16UC1; compressedDepth", data=images.encode_png(picture()))
    with pytest.raises(ValueError, match="is depth"):
        images.compressed_to_rgb(sent)


@settings(max_examples=1500, deadline=None)
@given(st.data())
def test_a_damaged_png_is_never_a_wrong_picture(data):
    rgb = picture(5, 5)
    png = bytearray(images.encode_png(rgb))
    position = data.draw(st.integers(0, len(png) - 1))
    png[position] ^= data.draw(st.integers(1, 255))
    try:
        got = images.decode_picture(bytes(png))
    except ValueError:
        return
    np.testing.assert_array_equal(got, rgb)


@settings(max_examples=1500, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"]))
def test_random_bytes_are_a_value_error(data, magic):
    with pytest.raises(ValueError):  # noqa: PT011 - whichever check sees it first
        images.decode_picture(magic + data)


# --- malformed raw messages --------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encoding": "jpeg"}, "encoding 'jpeg' is not supported"),
        ({"encoding": ""}, "encoding '' is not supported"),
        ({"height": 0}, "8×0 pixels"),
        ({"width": 0}, "0×6 pixels"),
        ({"step": 23}, "23 bytes a row, expected at least 24"),
        ({"height": 7}, "data is 144 bytes, expected 168: 7 rows of 24"),
        ({"height": 5}, "data is 144 bytes, expected 120"),
        ({"step": 25}, "data is 144 bytes, expected 150"),
        ({"encoding": "rgba8"}, "expected at least 32"),
        ({"width": 4_000_000_000}, "expected at least 12000000000"),
    ],
)
def test_sizes_that_do_not_fit_are_told(change, says):
    sent = message(picture(), "rgb8")
    for field, value in change.items():
        setattr(sent, field, value)
    with pytest.raises(ValueError, match=says):
        images.to_rgb(sent)


def test_patterns_need_whole_cells():
    with pytest.raises(ValueError, match="at least 2×2"):
        images.to_rgb(message(np.zeros((1, 4), np.uint8), "bayer_rggb8"))
    with pytest.raises(ValueError, match="even width"):
        images.to_rgb(message(np.zeros((2, 3, 2), np.uint8), "yuyv"))


malformed = st.builds(
    SimpleNamespace,
    height=st.integers(0, 9) | st.integers(0, 2**32 - 1),
    width=st.integers(0, 9) | st.integers(0, 2**32 - 1),
    step=st.integers(0, 80) | st.integers(0, 2**32 - 1),
    encoding=st.sampled_from([*images._ENCODINGS, "", "RGB8", "nv21"]) | st.text(max_size=8),
    is_bigendian=st.integers(0, 255),
    data=st.binary(max_size=300),
)


@settings(max_examples=4000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(malformed)
def test_malformed_messages_are_right_or_a_value_error(sent):
    try:
        rgb = images.to_rgb(sent)
    except ValueError:
        return
    assert rgb.shape == (sent.height, sent.width, 3)
    assert rgb.dtype == np.uint8
    assert len(sent.data) == sent.step * sent.height


@settings(max_examples=1000, deadline=None)
@given(
    st.integers(1, 7), st.integers(1, 7), st.integers(0, 9), st.integers(0, 2**16), st.booleans()
)
def test_well_formed_messages_of_any_size_are_exact(height, width, padding, seed, wide):
    rgb = picture(height, width, seed)
    sent = rgb[..., ::-1].astype(np.uint16) << 8 if wide else rgb[..., ::-1]
    encoding = "bgr16" if wide else "bgr8"
    np.testing.assert_array_equal(images.to_rgb(message(sent, encoding, padding, wide)), rgb)


# --- cv_bridge ---------------------------------------------------------------------------
# None that works can be had without apt ROS; these two stand in for a good and a bad one.


class WorkingBridge:
    def imgmsg_to_cv2(self, sent):
        dtype, channels = {"rgb8": (np.uint8, 3), "mono16": (">u2", 1)}[sent.encoding]
        rows = np.frombuffer(sent.data, np.uint8).reshape(sent.height, sent.step)
        rows = rows[:, : sent.width * channels * np.dtype(dtype).itemsize].copy().view(dtype)
        return rows.reshape(sent.height, sent.width, channels).squeeze()


class BridgeThatIgnoresPadding:
    def imgmsg_to_cv2(self, sent):
        return np.frombuffer(sent.data, np.uint8)[: sent.height * sent.width * 3].reshape(2, 2, 3)


@pytest.fixture
def install_bridge(monkeypatch):
    def install(bridge):
        monkeypatch.setitem(sys.modules, "cv_bridge", SimpleNamespace(CvBridge=bridge))
        images._cv_bridge.cache_clear()

    yield install
    images._cv_bridge.cache_clear()


def test_a_working_cv_bridge_is_used(install_bridge):
    install_bridge(WorkingBridge)
    assert images.uses_cv_bridge()
    rgb = picture()
    np.testing.assert_array_equal(images.to_rgb(message(rgb, "rgb8", padding=3)), rgb)


def test_a_broken_cv_bridge_is_not(install_bridge):
    install_bridge(BridgeThatIgnoresPadding)
    assert not images.uses_cv_bridge()


def bomb(width, height):
    """A PNG of one grey, which packs to nearly nothing."""

    def chunk(kind, content):
        checked = kind + content
        return len(content).to_bytes(4, "big") + checked + zlib.crc32(checked).to_bytes(4, "big")

    packer = zlib.compressobj(9)
    row = bytes(1 + width // 8)
    packed = b"".join(packer.compress(row * 1000) for _ in range(height // 1000)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", packed), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


def test_a_small_file_of_a_huge_picture_is_refused_unopened():
    data = bomb(24_000, 24_000)
    assert len(data) < 110_000
    with pytest.raises(ValueError, match="is 24000×24000 pixels, expected at most 40 million"):
        images.decode_picture(data)
    assert images.decode_picture(bomb(64, 1000)).shape == (1000, 64, 3)


def test_a_jpeg_says_how_large_it_is():
    data = images.encode_jpeg(np.zeros((30, 50, 3), np.uint8))
    place = data.index(b"\xff\xc0") + 5
    huge = data[:place] + struct.pack(">HH", 65_000, 65_000) + data[place + 4 :]
    with pytest.raises(ValueError, match="is 65000×65000 pixels"):
        images.decode_picture(huge)
    filled = data[:2] + b"\xff\xff" + data[2:]
    assert images.decode_picture(filled).shape == (30, 50, 3)
    with pytest.raises(ValueError, match="does not say how large it is"):
        images.decode_picture(data[:4] + b"\xff\xd9")
