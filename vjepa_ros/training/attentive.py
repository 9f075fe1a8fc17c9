"""Training an attentive probe on the latents of a frozen encoder, frame by frame."""

from collections.abc import Callable, Mapping, Sequence
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

# What can be answered with no or yes: 0 or 1 for each frame, NaN where the recording does not tell.
_YES_OR_NO: dict[str, Callable[[Mapping[str, Tensor]], Tensor]] = {
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
    """A probe that gives one of the answers; all weigh the same, however rare one is."""
    torch.manual_seed(config.seed)
    answers = _answers(episodes, label)
    truth = _truth(episodes, label, answers)
    shares = _shares(truth, label, answers)
    shape = encoder.config
    probe = Probe(ProbeConfig(width=shape.width, heads=shape.heads, labels=answers))
    probe.to(encoder.device)
    optimizer = torch.optim.AdamW(
        probe.parameters(), config.learning_rate, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    known = torch.nonzero(truth.isfinite())[:, 0].numpy()
    rng = np.random.default_rng(config.seed)
    weight = (1 / shares).to(encoder.device)
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
    """How often it is right, by what the answer is; tasks that no frame is of are left out."""
    answers = probe.config.labels
    truth = _truth(episodes, label, answers)
    if label in _YES_OR_NO:
        _shares(truth, label, answers)
    said = torch.cat(
        [
            probe(latents(encoder, episodes.load(chosen, 1))).argmax(1).cpu()
            for chosen in np.array_split(np.arange(len(truth)), -(-len(truth) // _ASKED_AT_ONCE))
        ]
    )
    right = {}
    for number, answer in enumerate(answers):
        asked = truth == number
        if asked.any():
            right[answer] = float((said[asked] == number).float().mean())
    if not right:
        raise ValueError(
            f"--label {label}: no held-out frame has one of the answers {', '.join(answers)}: "
            "raise --held-out, or give more episodes"
        )
    return right


@torch.no_grad()
def latents(encoder: Encoder, batch: Batch) -> Tensor:
    """Of the first frame of each window, [B, L, width]."""
    batch = batch.to(encoder.device)
    return latents_of(encoder, batch, batch.pixels())[:, 0]


def _answers(episodes: EpisodeSet, label: str) -> tuple[str, ...]:
    """What the answers are called: of `task` all that are told, in words."""
    if label in _YES_OR_NO:
        return "no", label
    return tuple(sorted({task for task in episodes.tasks if task}))


def _truth(episodes: EpisodeSet, label: str, answers: Sequence[str]) -> Tensor:
    """The number of each frame's answer [N]; NaN where nobody tells, or it is none of these."""
    if label in _YES_OR_NO:
        return _YES_OR_NO[label](episodes.columns)
    numbers = {answer: number for number, answer in enumerate(answers)}
    told = [float(numbers.get(task, np.nan)) for task in episodes.tasks]
    return torch.tensor(told).repeat_interleave(torch.from_numpy(episodes.lengths))


def _shares(truth: Tensor, label: str, answers: Sequence[str]) -> Tensor:
    """Of the frames that tell, how many have each answer [answers]."""
    known = truth[truth.isfinite()].long()
    shares = torch.bincount(known, minlength=len(answers)) / max(len(known), 1)
    if len(answers) < 2 or not shares.all():
        raise ValueError(
            f"--label {label}: of {len(truth)} frames {len(known)} tell, expected all of "
            f"{', '.join(answers) or 'some tasks'} among them, at least two: `episodes collect "
            "--task pick_place` records hands that hold and hands that do not, --task mix "
            "several tasks"
        )
    return shares
