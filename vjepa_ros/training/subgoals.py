"""Training a proposer of sub-goals on recorded episodes, encoded by the weights that plan."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.subgoals.bank import PICTURE_SIZE, Bank
from vjepa_ros.planning.subgoals.keyframes import SLOTS
from vjepa_ros.planning.subgoals.proposer import UNIT, Proposer, ProposerConfig, Ways
from vjepa_ros.training.trainer import load_checkpoint

_SHARP = 0.1  # units above which an error counts by its size
_PAINTED = 1000  # frames that pictures of latents are learnt from
_READOUT = "readout.together."  # of the stage whose readings are taken over


@dataclass(frozen=True, kw_only=True)
class SubGoalConfig:
    """How a proposer is optimised."""

    steps: int = 4000
    batch: int = 256
    seed: int = 0
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    noise: float = 0.05  # on readings and the hand's position, units of 10 cm
    held_out: float = 0.05  # share of the episodes
    last: float = 0.6  # share of the pairs whose goal is the end of an episode


@dataclass(frozen=True)
class Pairs:
    """B pairs of frames of one episode each, and the way between them."""

    now: NDArray[np.int64]  # [B] frames of the bank
    goal: NDArray[np.int64]
    frames: NDArray[np.int64]  # [B, slots] key frames
    counted: NDArray[np.bool_]  # [B, slots] those of the way that are ahead, and the one before
    phase: NDArray[np.int64]  # [B]
    moves: NDArray[np.int64]  # [B]


def usable_episodes(bank: Bank, moves: int) -> NDArray[np.int64]:
    """Those whose fingers move at most so often. Where they do not move at all, as the arm reaches
    for something or wanders, is to be seen what asks for no way.
    """
    counts = np.array([len(steps) // SLOTS for steps in bank.key_steps])
    return np.flatnonzero(counts <= moves)


def draw_pairs(
    bank: Bank,
    episodes: NDArray[np.int64],
    keys: NDArray[np.int64],
    count: int,
    rng: np.random.Generator,
    last: float,
) -> Pairs:
    """Any frame as now, and as goal the end of its episode or any frame after it.

    keys [E, slots] are those of Bank.key_table.
    """
    chosen = rng.choice(episodes, count)
    first, length = bank.first_steps[chosen], bank.lengths[chosen]
    now = first + (rng.random(count) * (length - 1)).astype(np.int64)
    end = first + length - 1
    later = now + 1 + (rng.random(count) * (end - now)).astype(np.int64)
    goal = np.where(rng.random(count) < last, end, np.minimum(later, end))
    frames = keys[chosen]
    known, slots = frames >= 0, np.arange(keys.shape[1])
    # A move of the fingers belongs to the way when it has ended at the goal.
    moves = (known & (frames <= goal[:, None]))[:, 2::SLOTS].sum(1)
    on_the_way = known & (slots < SLOTS * moves[:, None])
    phase = ((frames <= now[:, None]) & on_the_way).sum(1)
    counted = on_the_way & (slots >= phase[:, None] - 1)
    return Pairs(now, goal, frames, counted, phase, moves)


class Learning:
    """A proposer in training on a bank."""

    def __init__(self, bank: Bank, config: SubGoalConfig, stage: Path | None = None) -> None:
        torch.manual_seed(config.seed)
        _, tokens, width = bank.latents.shape
        self.bank, self.config = bank, config
        pixels = PICTURE_SIZE // math.isqrt(tokens)
        self.net = Proposer(ProposerConfig(width=width, tokens=tokens, pixels=pixels))
        self._fit_paint()
        self.keys = bank.key_table(self.net.config.slots)
        self.states = torch.from_numpy(bank.states).float()
        self.readings: Tensor | None = None  # of every frame, where they are not trained
        if stage is not None:
            self._take_readings(stage)
        episodes = usable_episodes(bank, self.net.config.moves)
        ways = int((self.keys[episodes] >= 0).any(1).sum())
        if ways < 2:
            raise ValueError(
                f"found {ways} episodes whose fingers move once or twice, expected "
                "hundreds, and at least 2: record more demonstrations"
            )
        every = min(max(2, round(1 / config.held_out)), len(episodes))
        chosen = np.arange(len(episodes)) % every == every - 1
        self.known, self.held_out = episodes[~chosen], episodes[chosen]

    @torch.no_grad()
    def _fit_paint(self) -> None:
        """What tokens show of their part of the picture: linear least squares over some frames."""
        bank, pixels = self.bank, self.net.config.pixels
        grid = PICTURE_SIZE // pixels
        chosen = np.linspace(0, len(bank.latents) - 1, _PAINTED).astype(np.int64)
        tokens = torch.from_numpy(np.array(bank.latents[chosen])).float().flatten(0, 1)
        pictures = torch.from_numpy(np.array(bank.pictures[chosen])).float() / 255
        parts = pictures.view(-1, grid, pixels, grid, pixels, 3).transpose(2, 3)
        parts = parts.reshape(len(tokens), -1)
        inputs = torch.cat((tokens, torch.ones(len(tokens), 1)), 1)
        gram = inputs.T @ inputs
        gram.diagonal().add_(1e-3 * len(tokens))
        solved = torch.linalg.solve(gram, inputs.T @ parts)
        self.net.paint.weight.copy_(solved[:-1].T)
        self.net.paint.bias.copy_(solved[-1])
        self.net.paint.requires_grad_(False)

    @torch.no_grad()
    def _take_readings(self, stage: Path) -> None:
        """Read latents as a training stage has learnt to; that is not trained further."""
        checkpoint = load_checkpoint(stage)
        found = {} if checkpoint is None else checkpoint["stage"]
        learnt = {
            name.removeprefix(_READOUT): value
            for name, value in found.items()
            if name.startswith(_READOUT)
        }
        if not learnt:
            raise ValueError(f"{stage} holds no readout: `train joint --out` writes one there")
        self.net.look.load_state_dict(learnt)
        self.net.look.requires_grad_(False)
        latents = self.bank.latents
        parts = [
            self.net.look(torch.from_numpy(np.array(latents[start : start + 512])).float()[None])[0]
            for start in range(0, len(latents), 512)
        ]
        self.readings = torch.cat(parts)

    def run(self) -> None:
        """Train the net to the end."""
        config = self.config
        trained = [one for one in self.net.parameters() if one.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
        rng = np.random.default_rng(config.seed)
        for _ in range(config.steps):
            pairs = draw_pairs(self.bank, self.known, self.keys, config.batch, rng, config.last)
            loss = self.loss(pairs)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.net.eval()

    def loss(self, pairs: Pairs) -> Tensor:
        """Of key frames that count, of which is next, and of how often the fingers move."""
        ways = self.ways(pairs, self.config.noise)
        positions, closedness = self._truth(pairs)
        counted = torch.from_numpy(pairs.counted)
        away = F.smooth_l1_loss(ways.positions, positions, reduction="none", beta=_SHARP).mean(-1)
        shut = F.smooth_l1_loss(ways.closedness, closedness, reduction="none", beta=_SHARP)
        frames = ((away + 0.3 * shut) * counted).sum() / counted.sum().clamp(min=1)
        phase = F.cross_entropy(ways.phase, torch.from_numpy(pairs.phase))
        moves = F.cross_entropy(ways.moves, torch.from_numpy(pairs.moves))
        return frames + 0.3 * (phase + moves)

    def ways(self, pairs: Pairs, noise: float = 0.0) -> Ways:
        """What the net proposes, from readings with noise on them."""
        now, goal = self._readings(pairs.now), self._readings(pairs.goal)
        states = self.states[pairs.now].clone()
        if noise:
            now = now + noise * torch.randn_like(now)
            goal = goal + noise * torch.randn_like(goal)
        return self.net.ways(now, goal, states)

    def _readings(self, frames: NDArray[np.int64]) -> Tensor:
        if self.readings is not None:
            return self.readings[frames]
        latents = torch.from_numpy(np.array(self.bank.latents[frames])).float()
        return self.net.look(latents[:, None])[:, 0]

    def _truth(self, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Positions from the tool now in units [B, slots, 3], closedness [B, slots]."""
        keys = self.states[pairs.frames]
        tool = self.states[pairs.now][:, None, POSITION]
        return (keys[..., POSITION] - tool) / UNIT, keys[..., GRIPPER]

    @torch.no_grad()
    def errors(self, count: int = 2000) -> dict[str, float]:
        """On held-out episodes: how far key frames are off on the median, how often the rest is
        right.
        """
        rng = np.random.default_rng(1)
        pairs = draw_pairs(self.bank, self.held_out, self.keys, count, rng, last=1.0)
        ways = self.ways(pairs)
        positions, _ = self._truth(pairs)
        off = 100 * UNIT * (ways.positions - positions)[..., :2].norm(dim=-1)
        slots = torch.arange(self.net.config.slots)
        ahead = torch.from_numpy(pairs.counted) & (slots >= torch.from_numpy(pairs.phase)[:, None])
        phase, moves = torch.from_numpy(pairs.phase), torch.from_numpy(pairs.moves)
        return {
            **{
                f"key frame {slot}, cm": float(off[ahead[:, slot], slot].median())
                for slot in slots.tolist()
                if ahead[:, slot].any()
            },
            "phase": float((ways.phase.argmax(1) == phase).float().mean()),
            "moves": float((ways.moves.argmax(1) == moves).float().mean()),
        }
