"""Training a proposer of sub-goals on recorded episodes, encoded by the weights that plan."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.model.reader import HAND, UNIT, Reader, hands_of, readings_of
from vjepa_ros.planning.subgoals.bank import PICTURE_SIZE, Bank
from vjepa_ros.planning.subgoals.keyframes import SLOTS
from vjepa_ros.planning.subgoals.proposer import Proposer, ProposerConfig

_SHARP = 0.1  # units above which an error counts by its size
_PAINTED = 1000  # frames that pictures of latents are learnt from
_WEIGHTS = (3.0, 3.0, 3.0, 1.0, 10.0, 10.0, 10.0, 1.0)  # of the errors of readings
_KNOWN = 0.6  # share of the frames whose hand is told while reading is learnt


@dataclass(frozen=True, kw_only=True)
class SubGoalConfig:
    """How a proposer is optimised."""

    steps: int = 2500
    reading_steps: int = 3000  # before these, where there are scenes to learn to read from
    batch: int = 256
    seed: int = 0
    learning_rate: float = 3e-3
    mixing_rate: float = 2e-2  # the learning rate of what key frames are mixed from
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


@dataclass(frozen=True, eq=False)
class Scenes:
    """Frames of a bank in which it is known where an object is."""

    bank: Bank
    objects: NDArray[np.float64]  # [N, 4] position and whether it is held; NaN: not known


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

    def __init__(self, bank: Bank, config: SubGoalConfig, scenes: Scenes | None = None) -> None:
        torch.manual_seed(config.seed)
        _, tokens, width = bank.latents.shape
        self.bank, self.config, self.scenes = bank, config, scenes
        pixels = PICTURE_SIZE // math.isqrt(tokens)
        self.net = Proposer(ProposerConfig(width=width, tokens=tokens, pixels=pixels))
        self._fit_paint()
        self.keys = bank.key_table(self.net.config.slots)
        self.states = torch.from_numpy(bank.states).float()
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

    def run(self) -> None:
        """Learn to read, where there are scenes for it; then the ways."""
        self.net.train()
        if self.scenes is not None:
            learn_to_read(self.net.look, self.scenes, self.config)
            self.net.look.eval().requires_grad_(False)
        self._learn_ways()
        self.net.eval()

    def _learn_ways(self) -> None:
        config, net = self.config, self.net
        mixing = [net.mixture, net.offset, net.doubt]
        known = {id(one) for one in mixing}
        others = [one for one in net.parameters() if one.requires_grad and id(one) not in known]
        optimizer = torch.optim.AdamW(
            [
                {"params": mixing, "lr": config.mixing_rate, "weight_decay": 0.0},
                {"params": others, "lr": config.learning_rate},
            ],
            weight_decay=config.weight_decay,
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

    def loss(self, pairs: Pairs) -> Tensor:
        """Of key frames that count, of which is next, and of how often the fingers move; and of
        where the hand is seen, while reading is learnt with them.
        """
        now, goal = self._latents(pairs.now), self._latents(pairs.goal)
        seen, wanted = self.net.read(now, goal, self.states[pairs.now])
        kind = (torch.from_numpy(pairs.moves), torch.from_numpy(pairs.phase))
        noise = self.config.noise
        ways = self.net.ways(_disturbed(seen, noise), _disturbed(wanted, noise), kind)
        positions, closedness = self._truth(pairs)
        counted = torch.from_numpy(pairs.counted)
        away = _error(ways.positions, positions).mean(-1)
        shut = _error(ways.closedness, closedness)
        frames = ((away + 0.3 * shut) * counted).sum() / counted.sum().clamp(min=1)
        phase = F.cross_entropy(ways.phase, torch.from_numpy(pairs.phase))
        moves = F.cross_entropy(ways.moves, torch.from_numpy(pairs.moves))
        loss = frames + 0.3 * (phase + moves)
        if self.scenes is None:
            hands = hands_of(self.states[pairs.now])
            loss = loss + _error(self.net.look(now)[:, HAND], hands).mean()
        return loss

    def _latents(self, frames: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(np.array(self.bank.latents[frames])).float()

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
        now, goal = self._latents(pairs.now), self._latents(pairs.goal)
        ways = self.net.ways(*self.net.read(now, goal, self.states[pairs.now]))
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


def learn_to_read(reader: Reader, scenes: Scenes, config: SubGoalConfig) -> None:
    """Fit a reader to the scenes in which an object is known, the hand told in some of them."""
    states, objects = torch.from_numpy(scenes.bank.states), torch.from_numpy(scenes.objects)
    truth = readings_of(states, objects, states[:, POSITION]).float()
    frames = np.flatnonzero(truth.isfinite().all(1).numpy())
    if not len(frames):
        raise ValueError("the scenes do not tell where any object is")
    rate, weights = config.learning_rate, torch.tensor(_WEIGHTS)
    optimizer = torch.optim.AdamW(reader.parameters(), rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, config.reading_steps, pct_start=0.05
    )
    rng = np.random.default_rng(config.seed)
    for _ in range(config.reading_steps):
        drawn = rng.choice(frames, config.batch)
        latents = torch.from_numpy(np.array(scenes.bank.latents[drawn])).float()
        hands = _disturbed(truth[drawn][:, HAND], config.noise)
        known = torch.rand(config.batch) < _KNOWN
        loss = (_error(reader(latents, hands, known), truth[drawn]) * weights).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _error(read: Tensor, truth: Tensor) -> Tensor:
    return F.smooth_l1_loss(read, truth, reduction="none", beta=_SHARP)


def _disturbed(readings: Tensor, noise: float) -> Tensor:
    return readings + noise * torch.randn_like(readings)
