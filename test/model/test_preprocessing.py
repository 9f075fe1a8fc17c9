"""Crop and resize against OpenCV, which interpolates without antialias too."""

import cv2
import numpy as np
import pytest
import torch

from vjepa_ros.model.preprocessing import Preprocessor


def picture(height, width):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    ("crop", "height", "width", "box"),
    [
        ("droid", 720, 1280, (0, 154, 720, 972)),  # the training pictures of V-JEPA 2-AC
        ("droid", 480, 640, (0, 0, 480, 640)),
        ("droid", 256, 256, (0, 0, 256, 256)),
        ("droid", 640, 320, (106, 0, 427, 320)),
        ("square", 720, 1280, (0, 280, 720, 720)),
        ("square", 481, 320, (80, 0, 320, 320)),
        ("square", 128, 128, (0, 0, 128, 128)),
    ],
)
def test_the_crop_is_centred_and_resized_bilinearly(crop, height, width, box):
    rgb = picture(height, width)
    top, left, crop_height, crop_width = box
    cropped = rgb[0, top : top + crop_height, left : left + crop_width].numpy()
    resized = cv2.resize(cropped.astype(np.float32), (256, 256), interpolation=cv2.INTER_LINEAR)
    view = Preprocessor(256, crop).view(rgb)
    np.testing.assert_allclose(view[0].permute(1, 2, 0).numpy(), resized, atol=0.01)


def test_a_picture_of_the_right_size_is_only_normalised():
    rgb = picture(128, 128)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = ((rgb / 255 - mean) / std).permute(0, 3, 1, 2)
    torch.testing.assert_close(Preprocessor(128)(rgb), expected, atol=1e-5, rtol=1e-5)


def test_a_batch_is_as_its_pictures_one_by_one():
    batch = torch.cat((picture(90, 160), 255 - picture(90, 160)))
    preprocess = Preprocessor(64, "droid")
    one_by_one = torch.cat([preprocess(rgb.unsqueeze(0)) for rgb in batch])
    torch.testing.assert_close(preprocess(batch), one_by_one)


@pytest.mark.parametrize(
    ("rgb", "found"),
    [
        (picture(32, 32).float(), r"torch.float32 \[1, 32, 32, 3\]"),
        (picture(32, 32)[0], r"torch.uint8 \[32, 32, 3\]"),
        (picture(32, 32).permute(0, 3, 1, 2), r"torch.uint8 \[1, 3, 32, 32\]"),
        (picture(32, 32)[:, :0], r"torch.uint8 \[1, 0, 32, 3\]"),
    ],
)
def test_anything_but_rgb_bytes_is_refused(rgb, found):
    with pytest.raises(ValueError, match=f"rgb is {found}, expected pictures as uint8"):
        Preprocessor(32)(rgb)


def test_an_unknown_crop_is_refused():
    with pytest.raises(ValueError, match="crop is 'wide', expected one of square, droid"):
        Preprocessor(256, "wide")
