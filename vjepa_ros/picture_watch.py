"""Whether the pictures of a camera can be planned from: something to see, always in one size."""

import numpy as np
from numpy.typing import NDArray

# Standard deviation in grey levels of 0 to 255: a scene has tens, a dark sensor's noise 1 or 2.
_LEAST_CONTRAST = 3.0
_PROBED = 48  # rows and columns of pixels, evenly spread, tell enough


class PictureWatch:
    """Knows the size of the first picture: in another one a goal would be cropped elsewhere."""

    def __init__(self) -> None:
        self._size: tuple[int, ...] = ()

    def check(self, rgb: NDArray[np.uint8]) -> None:
        """Raises ValueError for a picture [H, W, 3] that cannot be used."""
        size = rgb.shape[:2]
        self._size = self._size or size
        if size != self._size:
            (height, width), (first_height, first_width) = size, self._size
            raise ValueError(
                f"it is {width}×{height}, the first one was {first_width}×{first_height}: "
                "set the camera back, or deactivate and activate the encoder"
            )
        contrast = _contrast(rgb)
        if contrast < _LEAST_CONTRAST:
            raise ValueError(
                f"it shows nothing (contrast {contrast:.1f} of 255, brightness {rgb.mean():.0f}): "
                "is the lens covered, is there light?"
            )


def _contrast(rgb: NDArray[np.uint8]) -> float:
    down, across = (max(1, length // _PROBED) for length in rgb.shape[:2])
    return float(rgb[::down, ::across].std(axis=(0, 1)).max())
