"""Latents of training frames, encoded once and kept on disk beside the unpacked frames.

They lie in a bank, as a memory's do: float16, mapped, and never read as a whole. Its folder's name
has the weights' identity; that of the frames around it, the episodes, the crop and the clock.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vjepa_gate.errors import UserError
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.planning.subgoals.bank import load_bank, write_bank
from vjepa_ros.training.data import Batch, EpisodeSet

_AT_ONCE = 32  # frames that are encoded together


def attach_latents(episodes: EpisodeSet, encoder: Encoder, weights: str) -> None:
    """Let a set's batches have latents; the first time, all of its frames are encoded."""
    folder = episodes.folder / f"latents-{weights}"
    if folder.exists():
        bank = load_bank(folder)
        if bank.weights != weights or len(bank.latents) != len(episodes):
            raise UserError(
                f"{folder} holds {len(bank.latents)} latents of {bank.weights}, expected "
                f"{len(episodes)} of {weights}: remove it"
            )
    else:
        bank = write_bank(
            folder,
            _encoded(episodes, encoder),
            states=episodes.columns["states"].numpy().astype(np.float64),
            lengths=episodes.lengths,
            weights=weights,
        )
    episodes.latents = bank.latents


@torch.no_grad()
def latents_of(encoder: Encoder, batch: Batch, pixels: Tensor) -> Tensor:
    """Of a batch's frames [B, T, L, D]: those it has, or else the encoder's of its pixels."""
    if batch.latents is not None:
        return batch.latents.float()
    return encoder.encode(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])


def _encoded(
    episodes: EpisodeSet, encoder: Encoder
) -> Iterator[tuple[int, NDArray[np.float16], None]]:
    device = next(encoder.parameters()).device
    for first in tqdm(range(0, len(episodes), _AT_ONCE), "encode", unit="batch"):
        frames = min(_AT_ONCE, len(episodes) - first)
        batch = episodes.load([first], frames).to(device)
        latents = latents_of(encoder, batch, batch.pixels())[0]
        yield first, latents.to("cpu", torch.float16).numpy(), None
