"""Camera pictures as the encoder was trained to see them: crop, resize, normalise."""

import torch
import torch.nn.functional as F
from torch import Tensor

# ImageNet's statistics of pixels in [0, 255].
MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)

# Width over height, least and most, of the centred crop that is then squeezed to a square.
CROPS = {
    "square": (1.0, 1.0),
    "droid": (0.75, 1.35),  # what V-JEPA 2-AC's training ends up with: 972×720 of 1280×720
}


class Preprocessor:
    """RGB pictures of any size to what the encoder takes; live frames and goals alike."""

    def __init__(self, size: int, crop: str = "square") -> None:
        if crop not in CROPS:
            raise ValueError(f"crop is {crop!r}, expected one of {', '.join(CROPS)}")
        self.size, self.crop = size, crop

    def __call__(self, rgb: Tensor) -> Tensor:
        """From uint8 [B, H, W, 3] to normalised float32 [B, 3, size, size]."""
        pixels = self.view(rgb)
        mean = torch.tensor(MEAN, device=rgb.device).view(3, 1, 1)
        std = torch.tensor(STD, device=rgb.device).view(3, 1, 1)
        return (pixels - mean) / std

    def view(self, rgb: Tensor) -> Tensor:
        """What the encoder will see of the pictures, from 0 to 255: [B, 3, size, size]."""
        pixels = self.cropped(rgb).permute(0, 3, 1, 2).float()
        # No antialias, as in training.
        return F.interpolate(pixels, (self.size, self.size), mode="bilinear")

    def cropped(self, rgb: Tensor) -> Tensor:
        """The part that it will see, uint8 as it is; cropped again it stays the same."""
        if rgb.dtype != torch.uint8 or rgb.dim() != 4 or rgb.shape[-1] != 3 or 0 in rgb.shape:
            raise ValueError(
                f"rgb is {rgb.dtype} {list(rgb.shape)}, expected pictures as uint8 [B, H, W, 3]"
            )
        top, left, height, width = self._centred(*rgb.shape[1:3])
        return rgb[:, top : top + height, left : left + width]

    def _centred(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Top, left, height and width of the crop of a picture."""
        narrowest, widest = CROPS[self.crop]
        crop_width = min(width, round(height * widest))
        crop_height = min(height, round(width / narrowest))
        return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width
