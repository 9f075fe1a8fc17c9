"""A few numbers read off all tokens at once."""

from torch import Tensor, nn

_NARROW, _HIDDEN = 16, 256  # channels


class Overview(nn.Module):
    """A few numbers from all tokens of some frames at once."""

    def __init__(self, width: int, tokens: int, outputs: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, _NARROW)
        self.mlp = nn.Sequential(
            nn.Linear(_NARROW * tokens, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, outputs)
        )

    def forward(self, latents: Tensor) -> Tensor:
        """From latents [B, T, tokens, width] to [B, T, outputs] in float32."""
        return self.mlp(self.squeeze(latents).flatten(2)).float()
