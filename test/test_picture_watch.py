"""Pictures that a camera delivers and nobody can plan from."""

import numpy as np
import pytest

from vjepa_ros.picture_watch import PictureWatch


def scene(height=60, width=80, contrast=20.0, brightness=100.0):
    noise = np.random.default_rng(0).normal(brightness, contrast, (height, width, 3))
    return noise.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(1, 2), (60, 80), (1080, 1920)])
def test_a_scene(size):
    PictureWatch().check(scene(*size))


@pytest.mark.parametrize(
    ("picture", "brightness"),
    [
        (np.zeros((480, 640, 3), np.uint8), 0),
        (np.full((480, 640, 3), 255, np.uint8), 255),
        (np.broadcast_to(np.array((0, 0, 255), np.uint8), (480, 640, 3)), 85),
        (scene(contrast=1.5, brightness=4), 4),
    ],
    ids=["black", "white", "a driver's blue", "a dark sensor's noise"],
)
def test_nothing_to_see(picture, brightness):
    with pytest.raises(ValueError, match=f"shows nothing .*brightness {brightness}.* lens"):
        PictureWatch().check(picture)


def test_another_size_until_it_is_the_first_again():
    watch = PictureWatch()
    watch.check(scene())
    with pytest.raises(ValueError, match="it is 40×30, the first one was 80×60: set the camera"):
        watch.check(scene(30, 40))
    watch.check(scene())
