"""Training an attentive probe on the latents of a frozen encoder, frame by frame."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vjepa_ros.conventions import GRIPPER
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.probe import Probe, ProbeConfig
from vjepa_ros.training.data import Batch, EpisodeSet
from vjepa_ros.training.latents import latents_of

# What can be asked of a frame: 1 for yes, 0 for no, NaN where the recording does not tell.
LABELS: dict[str, Callable[[Mapping[str, Tensor]], Tensor]] = {
    "grasped": lambda columns: columns["objects"][:, 3],
    "closed": lambda columns: (columns["states"][:, GRIPPER] > 0.5).float(),
}
_ASKED_AT_ONCE = 64  # frames


@dataclass(frozen=True, kw_only=True)
class ProbeTraining:
    """How a probe is optimised."""

    steps: int = 1000
    batch: int = 64
    seed: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 0.05


def train_probe(encoder: Encoder, episodes: EpisodeSet, label: str, config: ProbeTraining) -> Probe:
    """A probe that says yes or no; both answers weigh the same, however rare one is."""
    torch.manual_seed(config.seed)
    truth = LABELS[label](episodes.columns)
    share = _known_share(truth, label)
    shape = encoder.config
    probe = Probe(ProbeConfig(width=shape.width, heads=shape.heads, labels=("no", label)))
    probe.to(encoder.device)
    optimizer = torch.optim.AdamW(
        probe.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    known = torch.nonzero(truth.isfinite())[:, 0].numpy()
    rng = np.random.default_rng(config.seed)
    weight = torch.tensor((share, 1 - share), device=encoder.device)
    for _ in range(config.steps):
        chosen = rng.choice(known, config.batch)
        tokens = latents(encoder, episodes.load(chosen, 1))
        wanted = truth[torch.from_numpy(chosen)].long().to(encoder.device)
        loss = F.cross_entropy(probe(tokens), wanted, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return probe.eval().requires_grad_(False)


@torch.no_grad()
def accuracy(probe: Probe, encoder: Encoder, episodes: EpisodeSet, label: str) -> dict[str, float]:
    """How often it is right, on frames where the answer is no and where it is yes."""
    truth = LABELS[label](episodes.columns)
    _known_share(truth, label)
    said = torch.cat(
        [
            probe(latents(encoder, episodes.load(chosen, 1))).argmax(1).cpu()
            for chosen in np.array_split(np.arange(len(truth)), -(-len(truth) // _ASKED_AT_ONCE))
        ]
    )
    no, yes = (float((said[truth == answer] == answer).float().mean()) for answer in (0, 1))
    return {"no": no, "yes": yes, "balanced": (no + yes) / 2}


@torch.no_grad()
def latents(encoder: Encoder, batch: Batch) -> Tensor:
    """Of the first frame of each window, [B, L, width]."""
    batch = batch.to(encoder.device)
    return latents_of(encoder, batch, batch.pixels())[:, 0]


def _known_share(truth: Tensor, label: str) -> float:
    known = truth[truth.isfinite()]
    share = float(known.mean()) if len(known) else float("nan")
    if not 0 < share < 1:
        raise ValueError(
            f"--label {label}: of {len(truth)} frames {len(known)} tell, expected both answers "
            "among them: `episodes collect --task pick_place` records such"
        )
    return share
