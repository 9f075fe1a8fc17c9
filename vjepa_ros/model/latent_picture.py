"""Latents for the eye: the principal components of patch tokens as colours."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vjepa_ros.model.preprocessing import Preprocessor

_SPREAD = 2.5  # standard deviations that fill the range of a colour


class LatentPainter:
    """The first latents fix which colours mean what, so that pictures can be compared."""

    def __init__(self, preprocessor: Preprocessor) -> None:
        self._preprocessor = preprocessor
        self._mean: Tensor | None = None
        self._axes = self._scale = torch.empty(0)

    def paint(self, latents: Tensor) -> Tensor:
        """Latents [L, D] of a square grid as uint8 [rows, cols, 3]."""
        tokens = latents.float()
        if self._mean is None:
            self._mean = tokens.mean(0)
            # Not torch.pca_lowrank, which is random.
            _, spread, axes = torch.linalg.svd(tokens - self._mean, full_matrices=False)
            self._axes = axes[:3].T
            self._scale = (spread[:3] / len(tokens) ** 0.5).clamp(min=1e-6)
        colours = (tokens - self._mean) @ self._axes / (_SPREAD * self._scale)  # in [-1, 1]
        side = round(len(tokens) ** 0.5)
        return _to_bytes(127.5 * (1 + colours)).view(side, side, 3)

    def beside_input(self, rgb: Tensor, latents: Tensor) -> Tensor:
        """What the encoder saw of a picture [H, W, 3], and its latents, as one picture."""
        seen = self._preprocessor.view(rgb[None])[0]  # [3, size, size]
        tokens = self.paint(latents).permute(2, 0, 1)[None].float()
        enlarged = F.interpolate(tokens, seen.shape[-2:], mode="nearest")[0]
        return _to_bytes(torch.cat((seen.to(enlarged), enlarged), -1)).permute(1, 2, 0)


def _to_bytes(colours: Tensor) -> Tensor:
    return colours.round().clamp(0, 255).to(torch.uint8)
