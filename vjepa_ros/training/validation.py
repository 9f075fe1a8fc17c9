"""Does a predictor use its actions? Its error on held-out episodes beside that of baselines."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.training.data import EpisodeSet
from vjepa_ros.training.latents import latents_of
from vjepa_ros.training.losses import rolled_out

BASELINES = ("copy last", "zero action", "shuffled actions")


@dataclass(frozen=True)
class PredictionErrors:
    """Mean |difference| of latents 1 … H steps ahead, by who predicted them."""

    windows: int
    errors: dict[str, list[float]]

    def table(self) -> str:
        """Give errors by steps ahead as text, with the verdict."""
        steps = range(1, len(self.errors["model"]) + 1)
        lines = [f"{'steps ahead':18}" + "".join(f"{step:8}" for step in steps)]
        for name, errors in self.errors.items():
            lines.append(f"{name:18}" + "".join(f"{error:8.4f}" for error in errors))
        return "\n".join([*lines, self.verdict()])

    def verdict(self) -> str:
        """Say whether the model uses its actions."""
        first = {name: errors[0] for name, errors in self.errors.items()}
        best = min(BASELINES, key=lambda name: first[name])
        share = first["model"] / first[best]
        if share < 0.8:
            return f"It uses its actions: one step ahead it errs {share:.0%} as much as '{best}'."
        return (
            f"It has NOT learnt to use its actions: one step ahead it errs {share:.0%} as much "
            f"as '{best}'. Train longer, or check that states and actions fit the pictures."
        )


@torch.no_grad()
def prediction_errors(
    encoder: Encoder,
    predictor: Predictor,
    episodes: EpisodeSet,
    *,
    horizon: int,
    windows: int = 96,
    seed: int = 0,
    batch: int = 16,
) -> PredictionErrors:
    """Rolled out from one frame of each of some windows of episodes."""
    windows = min(windows, len(episodes))
    starts = episodes.draw(windows, horizon + 1, np.random.default_rng(seed))
    device = next(predictor.parameters()).device
    sums = {name: torch.zeros(horizon) for name in ("model", *BASELINES)}
    for chosen in np.array_split(starts, max(1, windows // batch)):
        data = episodes.load(chosen, horizon + 1).to(device)
        latents = latents_of(encoder, data, data.pixels())
        first, truth = latents[:, 0], latents[:, 1:]
        guesses = {
            name: rolled_out(predictor, first, actions, data.states[:, 0])
            for name, actions in _actions_of(data.actions).items()
        }
        guesses["copy last"] = first[:, None].expand_as(truth)
        for name, total in sums.items():
            total += (guesses[name] - truth).abs().mean((-2, -1)).sum(0).cpu()
    return PredictionErrors(windows, {name: (sums[name] / windows).tolist() for name in sums})


def _actions_of(actions: Tensor) -> dict[str, Tensor]:
    return {
        "model": actions,
        "zero action": torch.zeros_like(actions),
        "shuffled actions": actions.roll(1, 0),
    }
