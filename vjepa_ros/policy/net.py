"""A small policy of our own: from what is seen, a goal picture and the state to a few actions.

It reads the latents of frozen weights, and is trained by cloning recorded episodes: what the arm
did next on its way to a later frame.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from vjepa_gate.errors import UserError
from vjepa_ros import conventions
from vjepa_ros.model.heads import HeadFiles
from vjepa_ros.planning.subgoals.bank import Bank

_UNITS = (0.03, 0.03, 0.03, 0.1, 0.1, 0.1, 0.2)  # of an action: metres, radians, closedness


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """Its sizes."""

    width: int  # of a latent
    tokens: int
    narrow: int = 8  # a token's width, where all are read together
    hidden: int = 256
    rows: int = 4  # actions that it gives


@dataclass(frozen=True, kw_only=True)
class CloningConfig:
    """How it is trained."""

    steps: int = 3000
    batch: int = 128
    seed: int = 0
    learning_rate: float = 1e-3
    noise: float = 0.02  # on latents, of their spread
    farthest: int = 24  # frames ahead that a goal may be


class PolicyNet(nn.Module):
    """Latents [B, L, D] of now and of the goal, states [B, 7] to actions [B, rows, 7]."""

    units: Tensor

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.config = config
        self.look = nn.Linear(config.width, config.narrow)
        seen = 2 * config.tokens * config.narrow
        self.body = nn.Sequential(
            nn.Linear(seen + 7, config.hidden),
            nn.GELU(),
            nn.LayerNorm(config.hidden),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, 7 * config.rows),
        )
        self.register_buffer("units", torch.tensor(_UNITS))

    def forward(self, now: Tensor, goal: Tensor, states: Tensor) -> Tensor:
        """Actions in the units of this project."""
        seen = torch.cat((self.look(now), self.look(goal) - self.look(now)), 1).flatten(1)
        rows = self.body(torch.cat((seen, states), -1)).unflatten(-1, (self.config.rows, 7))
        return rows * self.units


def clone(bank: Bank, config: CloningConfig) -> tuple[PolicyNet, float]:
    """Train one on a bank; with it the error on held-out episodes, of a step's translation in m."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    _, tokens, width = bank.latents.shape
    net = PolicyNet(PolicyConfig(width=width, tokens=tokens))
    rows = net.config.rows
    episodes = np.flatnonzero(bank.lengths > rows)
    if len(episodes) < 2:
        raise UserError(f"found {len(episodes)} episodes of more than {rows} steps, expected more")
    held_out, known = np.split(episodes, [max(1, len(episodes) // 20)])
    optimizer = torch.optim.AdamW(net.parameters(), config.learning_rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    for _ in range(config.steps):
        *seen, actions = _draw(bank, known, rows, config, rng)
        seen[:2] = [one + config.noise * torch.randn_like(one) for one in seen[:2]]
        loss = F.smooth_l1_loss(net(*seen) / net.units, actions / net.units, beta=0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval().requires_grad_(False)
    *seen, actions = _draw(bank, held_out, rows, CloningConfig(batch=512), np.random.default_rng(1))
    error = (net(*seen) - actions)[:, 0, conventions.POSITION].norm(dim=-1).median()
    return net, float(error)


def _draw(
    bank: Bank,
    episodes: NDArray[np.int64],
    rows: int,
    config: CloningConfig,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frames, later ones of the same episodes, states, and what was done from them on."""
    chosen = rng.choice(episodes, config.batch)
    last = bank.lengths[chosen] - 1
    now = (rng.random(config.batch) * (last - rows + 1)).astype(np.int64)
    ahead = 1 + (rng.random(config.batch) * np.minimum(last - now, config.farthest)).astype(
        np.int64
    )
    first = bank.first_steps[chosen]
    # At the goal the arm has arrived: rows beyond it are rest.
    steps = np.minimum(now[:, None] + np.arange(rows + 1), (now + ahead)[:, None])
    states = torch.from_numpy(bank.states[first[:, None] + steps])
    return (
        _latents(bank, first + now),
        _latents(bank, first + np.minimum(now + ahead, last)),
        states[:, 0].float(),
        conventions.actions_of(states).float(),
    )


def _latents(bank: Bank, frames: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.array(bank.latents[frames])).float()


# --- files -------------------------------------------------------------------------------

_FILES = HeadFiles(
    kind="policy",
    what="policy",
    made_by="vjepa-ros policy train",
    make=lambda **config: PolicyNet(PolicyConfig(**config)),
)
save_policy, load_policy = _FILES.save, _FILES.load
