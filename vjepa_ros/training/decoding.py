"""Training a decoder on the latents of a frozen encoder, frame by frame."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vjepa_ros.model.checkpoints import Weights
from vjepa_ros.model.decoder import Decoder, DecoderConfig
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.training.attentive import latents
from vjepa_ros.training.data import Batch, EpisodeSet
from vjepa_ros.training.losses import rolled_out

_EDGES = 1.0  # how much differences between neighbouring pixels count beside the pixels
_MEASURED = 512  # frames
_AT_ONCE = 32
_NARROW = 256  # channels; of wider latents the neighbours are too much to fit
_RIDGE = 1e-4  # share of the features' mean square


@dataclass(frozen=True, kw_only=True)
class DecoderTraining:
    """How a decoder is optimised."""

    steps: int = 2000
    fitted: int = 2000  # frames that what is linear is fitted to
    width: int = 96  # channels
    batch: int = 8
    seed: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 0.01


def train_decoder(weights: Weights, episodes: EpisodeSet, config: DecoderTraining) -> Decoder:
    """One that draws frames, as the encoder is shown them, from their latents alone."""
    torch.manual_seed(config.seed)
    encoder, shape = _encoder(weights), weights.config
    grid = shape.image_size // shape.encoder.patch
    net = Decoder(
        DecoderConfig(
            latent_width=shape.encoder.width,
            grid=grid,
            size=episodes.frame_shape[0],
            width=config.width,
            kernel=3 if shape.encoder.width <= _NARROW else 1,
        )
    )
    net.to(encoder.device)
    # Several times as fast on CPUs; the types of torch leave it out.
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rng = np.random.default_rng(config.seed)
    _fit(net, encoder, episodes, episodes.draw(min(config.fitted, len(episodes)), 1, rng))
    optimizer = torch.optim.AdamW(
        net.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    batches = episodes.stream(
        batch=config.batch, frames=1, seed=config.seed, steps=range(config.steps)
    )
    for batch in tqdm(batches, "decoder", config.steps, unit="step"):
        loss = _loss(net(latents(encoder, batch)), _pictures(batch).to(encoder.device))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return net.eval().requires_grad_(False)


@torch.no_grad()
def _fit(net: Decoder, encoder: Encoder, episodes: EpisodeSet, frames: NDArray[np.int64]) -> None:
    """What is linear, by least squares: descent would take a hundred times as long."""
    weight, kernel = net.straight.weight, net.config.kernel
    gram = moment = torch.zeros(())
    for chosen in tqdm(np.array_split(frames, -(-len(frames) // _AT_ONCE)), "fit", unit="batch"):
        batch = episodes.load(chosen, 1)
        around = F.unfold(net.on_grid(latents(encoder, batch)), kernel, padding=kernel // 2)
        tokens = F.pad(around, (0, 0, 0, 1), value=1.0).transpose(1, 2).flatten(0, 1)  # and a bias
        parts = F.pixel_unshuffle(_pictures(batch).to(tokens), net.patch)
        gram = gram + tokens.T @ tokens
        moment = moment + tokens.T @ parts.flatten(2).transpose(1, 2).flatten(0, 1)
    gram.diagonal().add_(_RIDGE * gram.diagonal().mean())
    solution = torch.linalg.solve(gram.double(), moment.double()).to(weight)
    weight.copy_(solution[:-1].T.unflatten(1, weight.shape[1:]))
    assert net.straight.bias is not None
    net.straight.bias.copy_(solution[-1])


@torch.no_grad()
def drawing_errors(decoder: Decoder, weights: Weights, episodes: EpisodeSet) -> dict[str, float]:
    """Mean |difference| of grey levels, of 255, on some frames; beside it that of the mean picture.

    `imagined` is what is drawn from a prediction one step ahead, against what came.
    """
    encoder, predictor = _encoder(weights), weights.predictor
    starts = episodes.draw(min(_MEASURED, len(episodes)), 2, np.random.default_rng(0))
    parts = np.array_split(starts, -(-len(starts) // _AT_ONCE))
    mean = torch.stack([_pictures(episodes.load(chosen, 1)).mean(0) for chosen in parts]).mean(0)
    errors: dict[str, list[Tensor]] = {"drawn": [], "mean picture": [], "imagined": []}
    for chosen in parts:
        batch = episodes.load(chosen, 2)
        seen, came = _pictures(batch), batch.frames[:, 1].permute(0, 3, 1, 2) / 255
        now = latents(encoder, batch)
        errors["drawn"].append(_off(decoder(now).cpu(), seen))
        errors["mean picture"].append(_off(mean, seen))
        if predictor is not None:
            ahead = rolled_out(
                predictor, now, batch.actions.to(now.device), batch.states[:, 0].to(now.device)
            )
            errors["imagined"].append(_off(decoder(ahead[:, 0]).cpu(), came))
    return {name: float(torch.cat(found).mean()) for name, found in errors.items() if found}


def _off(drawn: Tensor, seen: Tensor) -> Tensor:
    """Grey levels [B]."""
    return 255 * (drawn.clamp(0, 1) - seen).abs().mean((1, 2, 3))


def _loss(drawn: Tensor, seen: Tensor) -> Tensor:
    """Of pixels, and of edges: those of thin fingers hardly count otherwise."""
    off = drawn - seen
    edges = off.diff(dim=-1).abs().mean() + off.diff(dim=-2).abs().mean()
    return off.abs().mean() + _EDGES * edges


def _pictures(batch: Batch) -> Tensor:
    """The first frames of the windows, colours [B, 3, size, size] in 0 … 1."""
    return batch.frames[:, 0].permute(0, 3, 1, 2) / 255


def _encoder(weights: Weights) -> Encoder:
    if weights.encoder is None:
        raise ValueError(f"{weights.identity} has no encoder: there are no latents to draw")
    return weights.encoder
