"""The way that is gone: its key frames, as averages of all that was proposed of them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.conventions import POSITION
from vjepa_ros.planning.subgoals.keyframes import SLOTS
from vjepa_ros.planning.subgoals.source import Proposal

BEGIN, END = 1, 2  # of a move of the fingers: places among its four key frames
RISE, BACK = -SLOTS, -1  # before the first: as high, then where the scene was first seen from
_CLOSE = 0.1  # metres from which on the hand need not come nearer to see a place well
_LOWER = 0.012  # metres that demonstrations let go above where a thing stands, at most


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One sub-goal: what the camera should see, and what the hand should be like there."""

    latents: Tensor  # [L, D] imagined, or the goal picture's
    position: Tensor  # [3] of the tool, metres
    closedness: float
    fingers: int | None  # 1 to shut them, -1 to open them, 0: they stay; None: they are free
    last: bool  # the goal picture itself
    key_frame: int  # of the way


class Way:
    """A proposal that is followed: its key frames as averages of all that was proposed since, the
    nearer the hand was the more.
    """

    def __init__(self, proposal: Proposal, tool: Tensor) -> None:
        self.end = proposal.phase + len(proposal)
        self.slot = proposal.phase
        self.sums: dict[int, Tensor] = {}  # position and closedness [4], by key frame
        self.weights: dict[int, float] = {}  # of what was summed
        self.steps = 0  # on this key frame
        self.lingered = 0  # of these, at last, near it
        self.stale = True  # the driver aims at something else
        self.far = False  # from what it heads for, when that was imagined
        self.aim: Aim | None = None
        self.beside = torch.zeros(2)  # metres from where it is proposed to where a grasp is tried
        self.taken: float | None = None  # height of the hand when what it holds stood
        self._odd: Proposal | None = None  # the last one, if it was at odds with the way
        self._add(proposal, tool)

    @property
    def at_goal(self) -> bool:
        """Is it the goal picture's turn?"""
        return self.slot >= self.end - 1

    @property
    def key_frame(self) -> tuple[Tensor, Tensor]:
        """Position [3] and closedness of the next one, as it is gone to.

        What is held is put down as low as it was taken up, as what falls tips over; but not much
        lower than proposed, as it may be put on something.
        """
        position, closedness = self.mean(self.slot).clone().split((3, 1))
        if self.slot < 0 or self.slot % SLOTS > END:
            return position, closedness[0]
        if self.taken is None:
            position[:2] += self.beside
        elif self.slot % SLOTS >= BEGIN:
            lowest = torch.clamp(position[2] - _LOWER, min=self.taken)
            position[2] = torch.minimum(position[2], lowest)
        return position, closedness[0]

    @property
    def where_fingers_work(self) -> Tensor | None:
        """Position and closedness [4] proposed for the hand before they next do, if any is."""
        begin = self.slot // SLOTS * SLOTS + BEGIN
        return self.mean(begin) if begin in self.sums else None

    def mean(self, slot: int) -> Tensor:
        """Position and closedness [4]."""
        return self.sums[slot] / self.weights[slot]

    def go_back(self, state: Tensor, origin: Tensor) -> None:
        """From a state [7] to where the origin's is, with open fingers: shut on nothing they are
        read as if they held it. What was proposed is forgotten there.
        """
        back = torch.cat((origin[POSITION], origin.new_zeros(1))).float()
        self.sums[BACK], self.sums[RISE] = back, torch.cat((state[:2].to(back), back[2:]))
        self.weights[BACK] = self.weights[RISE] = 1.0
        self.slot = RISE
        self.steps, self.lingered, self.stale = 0, 0, True

    def advance(self) -> None:
        """Head for the one after it."""
        self.slot = BACK if self.slot == RISE else self.slot + 1
        self.steps, self.lingered, self.stale = 0, 0, True

    def take(self, proposal: Proposal, tool: Tensor, moved: float, arrived: float) -> bool:
        """Average it in, as proposed with the tool [3] there; true where it is at odds with the
        way, as the one before it was.
        """
        if not self._at_odds(proposal, moved):
            self._odd = None
            self._add(proposal, tool)
            self.stale |= self.slot < self.end and self._aimed_off(arrived / 2)
            return False
        confirmed = self._odd is not None
        self._odd = proposal
        return confirmed

    def _aimed_off(self, metres: float) -> bool:
        """Has the average gone away from what the driver aims at?"""
        if self.aim is None:
            return True
        return float((self.aim.position - self.key_frame[0]).norm()) > metres

    def _at_odds(self, proposal: Proposal, moved: float) -> bool:
        """Does it begin with an earlier move of the fingers, or have the next one elsewhere?"""
        if self.slot >= self.end:
            return False
        move = self.slot // SLOTS
        if proposal.phase < SLOTS * move - 1 and self.slot % SLOTS < END:
            return True  # the last key frame of the move before may flicker with the first of this
        if proposal.phase > self.slot or self.slot % SLOTS > BEGIN:
            return False
        begin = move * SLOTS + BEGIN
        there = begin - proposal.phase
        if begin not in self.sums or not 0 <= there < len(proposal):
            return False
        return float((proposal.positions[there, :2] - self.mean(begin)[:2]).norm()) > moved

    def _add(self, proposal: Proposal, tool: Tensor) -> None:
        """Once the fingers are at work, what is under the hand is seen less well than before."""
        frames = torch.cat((proposal.positions, proposal.closedness[:, None]), 1)
        for slot, frame in enumerate(frames, proposal.phase):
            frozen = slot // SLOTS == self.slot // SLOTS and self.slot % SLOTS >= BEGIN
            if slot >= self.slot and not (frozen and slot in self.sums):
                weight = (_CLOSE + float((frame[:3] - tool.to(frame)).norm())) ** -2
                self.sums[slot] = self.sums.get(slot, torch.zeros(4)) + weight * frame
                self.weights[slot] = self.weights.get(slot, 0.0) + weight
