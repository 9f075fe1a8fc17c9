"""Latents over the wire."""

import pytest
import torch
from std_msgs.msg import Header
from vjepa_msgs.msg import Latent

from vjepa_ros.nodes.latents import Frame, to_frame, to_message


@pytest.fixture
def frame():
    torch.manual_seed(0)
    header = Header(frame_id="camera")
    header.stamp.sec, header.stamp.nanosec = 1_795_000_000, 123_456_789
    return Frame(
        header=header, latents=torch.randn(16, 6), weights="tiny-1", crop="droid", source="cam"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_there_and_back(frame, dtype):
    message = to_message(frame, dtype)
    assert (message.rows, message.cols, message.width) == (4, 4, 6)
    assert len(message.data) == 16 * 6 * dtype.itemsize
    back = to_frame(message)
    assert torch.equal(back.latents, frame.latents.to(dtype).float())
    assert (back.header, back.weights, back.crop, back.source) == (
        frame.header,
        "tiny-1",
        "droid",
        "cam",
    )
    assert back.key == (1_795_000_000, 123_456_789)
    assert back.stamp == pytest.approx(1_795_000_000.123456789)


def test_rows_are_written_from_the_top_left(frame):
    data = to_message(frame).data
    first = torch.frombuffer(data, dtype=torch.float32)[:6]
    assert torch.equal(first, frame.latents[0])


def test_sizes_that_do_not_fit_are_refused(frame):
    message = to_message(frame)
    message.width = 7
    with pytest.raises(ValueError, match="384 bytes, expected 448: 4 × 4 tokens of 7"):
        to_frame(message)
    with pytest.raises(ValueError, match="expected 0"):
        to_frame(Latent())
    message.element_type = 9
    with pytest.raises(ValueError, match="element_type 9"):
        to_frame(message)
