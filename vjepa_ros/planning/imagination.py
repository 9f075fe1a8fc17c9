"""What a model imagines, drawn beside what came: for people alone."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.model.decoder import Decoder
from vjepa_ros.planning.world_model import Context, WorldModel

ROWS = "what came; the same drawn from its latents; what was imagined"


@dataclass(frozen=True)
class Illustrator:
    """Draws rollouts of a world model with the decoder that belongs to its weights."""

    world_model: WorldModel
    decoder: Decoder

    @torch.no_grad()
    def sheet(self, rgb: Tensor, states: Tensor, actions: Tensor) -> Tensor:
        """Rows as `ROWS` says them, a column for each of H actions [H, 7]: uint8 [3 S, H S, 3].

        rgb [H + 1, H', W', 3] and states [H + 1, 7] are what was seen; all is imagined from the
        first.
        """
        preprocessor = self.world_model.preprocessor
        assert preprocessor is not None  # whoever imagines pictures has encoded them
        latents = self.world_model.encode(rgb)
        context = Context(latents=latents[:1], states=states[:1])
        (imagined,) = self.world_model.rollout(context, actions[None])
        came = preprocessor.view(rgb[1:]).round().to("cpu", torch.uint8).permute(0, 2, 3, 1)
        drawn = [self.decoder.draw(one) for one in (latents[1:], imagined)]
        return torch.cat([_in_a_row(row) for row in (came, *drawn)])


def beside(decoder: Decoder, imagined: Tensor, came: Tensor) -> Tensor:
    """Latents [L, D] of both as one picture, uint8 [S, 2 S, 3]: imagined left, what came right."""
    return _in_a_row(decoder.draw(torch.stack((imagined, came.to(imagined)))))


def _in_a_row(pictures: Tensor) -> Tensor:
    """From [N, S, S, 3] to [S, N S, 3]."""
    return torch.cat(list(pictures), 1)
