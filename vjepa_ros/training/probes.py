"""What can be read from latents, and whether their distance tells how far the tool has to go."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.training.data import FAR as OBJECT_FAR
from vjepa_ros.training.data import EpisodeSet

_RIDGES = (1e-2, 1e-1, 1.0)  # to choose from; shares of the features' mean square
_PIXELS = 32  # of a side, for the baseline that reads the picture itself
FAR = 0.08  # metres from which on a goal counts as far


# --- linear probes -----------------------------------------------------------------------


@dataclass(frozen=True)
class Readings:
    """Truth, and what a linear probe makes of held-out frames: [N, 7] each.

    Tool x, y, z in metres, closedness, and x, y, z of the object: NaN where that is not known.
    """

    truth: Tensor
    read: Tensor

    def error_cm(self, columns: slice) -> list[float]:
        """Root mean square error along each axis."""
        return _root_mean_square(100 * (self.read - self.truth)[:, columns])

    @property
    def tool_cm(self) -> list[float]:
        """Errors of the tool along x, y and z."""
        return self.error_cm(slice(0, 3))

    @property
    def object_cm(self) -> list[float]:
        """Errors of the object along x and y."""
        return self.error_cm(slice(4, 6))

    def object_cm_where(self, far: bool) -> list[float]:
        """The same, of the frames alone whose hand is far from the object, or near it."""
        apart = (self.truth[:, 4:7] - self.truth[:, :3]).norm(dim=1)
        chosen = apart > OBJECT_FAR if far else apart <= OBJECT_FAR
        return _root_mean_square(100 * (self.read - self.truth)[chosen, 4:6])

    @property
    def gripper_r2(self) -> float:
        """Share of the variance of closedness that is read; 1 is all of it."""
        truth, read = self.truth[:, 3], self.read[:, 3]
        return float(1 - (read - truth).square().mean() / truth.var(correction=0))


def _root_mean_square(errors: Tensor) -> list[float]:
    return errors.square().nanmean(0).sqrt().tolist()


@torch.no_grad()
def probe(
    encoder: Encoder | None,
    episodes: EpisodeSet,
    held_out: EpisodeSet,
    *,
    frames: int = 3000,
    seed: int = 0,
) -> Readings:
    """Ridge regression from the latents of single frames; without an encoder, from pixels."""
    rng = np.random.default_rng(seed)
    frames = min(frames, len(episodes))
    known, truth = _features(encoder, episodes, episodes.draw(frames, 2, rng))
    asked, wanted = _features(encoder, held_out, held_out.draw(frames // 3, 2, rng))
    centre, spread = known.mean(0), known.std(0) + 1e-6
    known, asked = (known - centre) / spread, (asked - centre) / spread
    # Every fourth frame that is known chooses how smooth the regression is.
    fitted = torch.arange(len(known)) % 4 > 0
    errors = {
        ridge: (_regress(known[fitted], truth[fitted], known[~fitted], ridge) - truth[~fitted])
        .square()
        .nanmean()
        for ridge in _RIDGES
    }
    best = min(errors, key=lambda ridge: float(errors[ridge]))
    return Readings(wanted, _regress(known, truth, asked, best))


def _regress(known: Tensor, truth: Tensor, asked: Tensor, ridge: float) -> Tensor:
    """What is to be read from the features `asked`, after those that are known."""
    tool = _solve(known, truth[:, :4], asked, ridge)
    told = truth.isfinite().all(1)
    if not told.any():
        return torch.cat((tool, truth.new_full((len(asked), 3), torch.nan)), 1)
    return torch.cat((tool, _solve(known[told], truth[told, 4:], asked, ridge)), 1)


def _solve(known: Tensor, truth: Tensor, asked: Tensor, ridge: float) -> Tensor:
    # The dual form: there are more features than frames.
    kernel = known @ known.T
    kernel.diagonal().add_(ridge * float(kernel.diagonal().mean()))
    weights = torch.linalg.solve(kernel, truth - truth.mean(0))
    return asked @ (known.T @ weights) + truth.mean(0)


def _features(
    encoder: Encoder | None, episodes: EpisodeSet, starts: NDArray[np.int64]
) -> tuple[Tensor, Tensor]:
    """Features [N, F] of single frames, and what is to be read from them [N, 7]."""
    features, truths = [], []
    for chosen in np.array_split(starts, max(1, len(starts) // 64)):
        batch = episodes.load(chosen, 1)
        pixels = batch.pixels()[:, 0]
        if encoder is None:
            seen = F.interpolate(pixels, (_PIXELS, _PIXELS), mode="area")
        else:
            device = encoder.device
            seen = encoder.encode(pixels.to(device)).cpu()
        features.append(seen.flatten(1))
        states, objects = batch.states[:, 0], batch.objects[:, 0]
        truths.append(torch.cat((states[:, POSITION], states[:, GRIPPER:], objects[:, :3]), 1))
    return torch.cat(features), torch.cat(truths)


# --- energies ----------------------------------------------------------------------------


@dataclass(frozen=True)
class EnergyPairs:
    """Pairs of frames of one episode each: how far the tool is, and the energy between them."""

    distance: NDArray[np.float64]  # metres
    gripper: NDArray[np.float64]  # difference of closedness
    energy: NDArray[np.float64]  # mean |difference| of the latents

    def rank_correlation(self, beyond: float = 0.0) -> float:
        """Spearman's, of pairs whose hands are alike and at least so far apart."""
        chosen = (self.distance >= beyond) & (self.gripper < 0.1)
        return float(spearmanr(self.distance[chosen], self.energy[chosen]).statistic)

    @property
    def gripper_share(self) -> float:
        """The energy of opening or closing the hand, as a share of that of a 25 cm move."""
        shut = self.energy[(self.distance < 0.015) & (self.gripper > 0.4)]
        still = self.energy[(self.distance < 0.015) & (self.gripper < 0.1)]
        moved = self.energy[(abs(self.distance - 0.25) < 0.03) & (self.gripper < 0.1)]
        if not (len(shut) and len(still) and len(moved)):
            return float("nan")
        return float((shut.mean() - still.mean()) / (moved.mean() - still.mean()))


@torch.no_grad()
def energy_pairs(
    encoder: Encoder, episodes: EpisodeSet, *, most: int = 30, stride: int = 2
) -> EnergyPairs:
    """All pairs of every other frame of some episodes."""
    distances, grippers, energies = [], [], []
    device = encoder.device
    for first, length in list(zip(episodes.first_steps, episodes.lengths, strict=True))[:most]:
        batch = episodes.load(np.arange(first, first + length, stride), 1)
        latents = encoder.encode(batch.pixels()[:, 0].to(device)).flatten(1).cpu()
        states = batch.states[:, 0]
        upper = torch.triu_indices(len(states), len(states), offset=1)
        apart = torch.cdist(latents, latents, p=1) / latents.shape[1]
        difference = states[upper[0]] - states[upper[1]]
        distances.append(difference[:, POSITION].norm(dim=1))
        grippers.append(difference[:, GRIPPER].abs())
        energies.append(apart[upper[0], upper[1]])
    columns = (torch.cat(part).double().numpy() for part in (distances, grippers, energies))
    return EnergyPairs(*columns)
