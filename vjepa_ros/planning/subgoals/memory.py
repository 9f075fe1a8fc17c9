"""A memory of recorded episodes: the segment that begins most like now and ends most like the goal.

Nothing is trained. Latents are compared by short codes, random projections that keep distances,
so that a search over 100,000 frames takes milliseconds and no latent has to be in memory.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.planning.subgoals.bank import Bank
from vjepa_ros.planning.subgoals.keyframes import SLOTS
from vjepa_ros.planning.subgoals.source import Proposal, led_to_the_hand

_CODE = 128  # numbers that stand for a latent
_AT_ONCE = 1024  # frames whose codes are made together
_UNLIKE = 2.0  # times a step's change: what is seen and imagined differ by more than that


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A part of a recorded episode, by frames of the bank; both ends belong to it."""

    episode: int
    begin: int
    end: int
    distance: float  # of codes, both ends together


@dataclass(frozen=True, kw_only=True, eq=False)
class Memory:
    """Proposals out of a bank: the key frames of the segments that fit best."""

    bank: Bank
    segments: int = 3  # that are proposed

    @cached_property
    def _projection(self) -> NDArray[np.float32]:
        size = int(np.prod(self.bank.latents.shape[1:]))
        drawn = np.random.default_rng(0).standard_normal((size, _CODE))
        return (drawn / np.sqrt(_CODE)).astype(np.float32)

    @cached_property
    def _codes(self) -> NDArray[np.float32]:
        """Of all frames [N, code]."""
        latents = self.bank.latents
        return np.concatenate(
            [
                self._code(np.asarray(latents[start : start + _AT_ONCE]))
                for start in range(0, len(latents), _AT_ONCE)
            ]
        )

    @cached_property
    def _step_change(self) -> float:
        """The mean distance of codes between frames that follow each other."""
        return float(np.linalg.norm(np.diff(self._codes, axis=0), axis=1).mean())

    def _code(self, latents: NDArray[np.float16] | NDArray[np.float32]) -> NDArray[np.float32]:
        flat = latents.reshape(len(latents), -1).astype(np.float32)
        return flat @ self._projection

    def _code_of(self, latents: Tensor) -> NDArray[np.float32]:
        return self._code(latents[None].float().cpu().numpy())[0]

    def search(self, now: Tensor, goal: Tensor) -> list[Segment]:
        """The best segment of each of the episodes that fit best, the best first."""
        from_now, to_goal = (
            np.linalg.norm(self._codes - self._code_of(latents), axis=1) for latents in (now, goal)
        )
        episodes = len(self.bank.lengths)
        steps = np.arange(self.bank.lengths.max())
        there = steps < self.bank.lengths[:, None]  # [E, T]
        frames = np.where(there, self.bank.first_steps[:, None] + steps, 0)
        starts = np.where(there, from_now[frames], np.inf)
        begun = np.minimum.accumulate(starts, axis=1)  # the best start up to each end
        total = np.where(there, begun + to_goal[frames], np.inf)
        ends = total.argmin(1)
        best = total[np.arange(episodes), ends]
        return [
            Segment(
                episode=int(one),
                begin=int(frames[one, starts[one, : ends[one] + 1].argmin()]),
                end=int(frames[one, ends[one]]),
                distance=float(best[one]),
            )
            for one in np.argsort(best)[: self.segments]
        ]

    def propose(self, now: Tensor, goal: Tensor, state: Tensor) -> list[Proposal]:
        """The rest of the way of each segment that is most like it, best first."""
        return [led_to_the_hand(self._proposal(one), state) for one in self.search(now, goal)]

    def _proposal(self, segment: Segment) -> Proposal:
        """The key frames ahead in a segment, up to the last move of the fingers before its end."""
        steps = self.bank.key_steps[segment.episode]
        moves = int((steps[2::SLOTS] <= segment.end).sum())  # those whose fingers have come to rest
        way = steps[: SLOTS * moves]
        phase = int((way <= segment.begin).sum())
        states = torch.from_numpy(self.bank.states[way[phase:]]).float()
        return Proposal(
            phase=phase,
            positions=states[:, POSITION],
            closedness=states[:, GRIPPER],
            confidence=float(np.exp(-segment.distance / (2 * self._step_change))),
            hand=torch.from_numpy(self.bank.states[segment.end, POSITION]).float(),
        )

    def picture(self, latents: Tensor) -> NDArray[np.uint8]:
        """The recorded frame that is most like it."""
        nearest = np.linalg.norm(self._codes - self._code_of(latents), axis=1).argmin()
        return np.asarray(self.bank.pictures[nearest])

    def disagreement(self, seen: Tensor, imagined: Tensor) -> float:
        """How far apart their codes are; 1 is as far as they may be."""
        apart = np.linalg.norm(self._code_of(seen) - self._code_of(imagined))
        return float(apart) / (_UNLIKE * self._step_change)
