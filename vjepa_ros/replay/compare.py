"""What moved from one run to another, and whether it is more than chance.

The same steps of the same recordings are compared. Steps that follow each other are alike, so
what is drawn again and again for the confidence intervals is not single steps but blocks of them
(a moving scene forgets itself within a few seconds), the same blocks of both runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from vjepa_ros.replay.figures import Terms, better, figure, terms_of
from vjepa_ros.replay.results import Replay

BLOCK = 8  # steps
_DRAWS = 2000
_NUMBERS_AT_ONCE = 100_000  # keeps memory flat
_INTERVAL = (2.5, 97.5)  # percentiles


@dataclass(frozen=True, kw_only=True)
class Change:
    """Of one figure, over the steps that both runs have; low and high span 95 %."""

    name: str
    before: float
    after: float
    low: float
    high: float
    blocks: int  # one alone says nothing about chance: the interval is infinite

    @property
    def difference(self) -> float:
        """How much more the second run has."""
        return self.after - self.before

    @property
    def verdict(self) -> str:
        """Nothing, where chance may have done it."""
        if self.low <= 0 <= self.high:
            return ""
        match better(self.name):
            case "same":
                return "moved"
            case good:
                return "better" if (self.difference < 0) == (good == "low") else "WORSE"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What differs between two runs."""

    changes: list[Change]
    episodes: int  # in both runs
    unpaired: list[str]  # names of episodes that only one run could score
    settings: dict[str, tuple[object, object]]  # that differ, before and after


def compare(before: Replay, after: Replay, *, seed: int = 0) -> Comparison:
    """Compare the episodes that both runs scored; the seed draws the bootstrap samples."""
    ours = {episode.name: terms_of(episode) for episode in before.episodes}
    others = {episode.name: terms_of(episode) for episode in after.episodes}
    both = [name for name in ours if name in others]
    figures = list(dict.fromkeys(name for episode in both for name in ours[episode]))
    changes = []
    for name in figures:
        pairs = [
            (ours[episode][name], others[episode][name])
            for episode in both
            if name in ours[episode] and name in others[episode]
        ]
        blocks = np.array([block for pair in pairs for block in _blocks(*pair)]).reshape(-1, 4)
        if len(blocks):
            changes.append(_change(name, blocks, np.random.default_rng(seed)))
    old, new = asdict(before.settings), asdict(after.settings)
    return Comparison(
        changes=changes,
        episodes=len(both),
        unpaired=sorted(ours.keys() ^ others.keys()),
        settings={key: (old[key], new[key]) for key in old if old[key] != new[key]},
    )


def _blocks(before: Terms, after: Terms) -> Iterator[Sequence[float]]:
    """For each block of common steps the sums of the terms: over and under, before and after."""
    _, mine, others = np.intersect1d(before.steps, after.steps, return_indices=True)
    columns = np.stack(
        (before.over[mine], before.under[mine], after.over[others], after.under[others]), -1
    )
    for start in range(0, len(columns), BLOCK):
        yield columns[start : start + BLOCK].sum(0)


def _change(name: str, blocks: NDArray[np.float64], random: np.random.Generator) -> Change:
    """From blocks [N, 4] of sums."""
    over, under, over_after, under_after = blocks.sum(0)
    low, high = -np.inf, np.inf
    if len(blocks) > 1:
        low, high = np.percentile(_differences(name, blocks, random), _INTERVAL)
    return Change(
        name=name,
        before=float(figure(name, over, under)),
        after=float(figure(name, over_after, under_after)),
        low=float(low),
        high=float(high),
        blocks=len(blocks),
    )


def _differences(
    name: str, blocks: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Of as many runs as are drawn, each of N blocks with replacement."""
    at_once = max(1, _NUMBERS_AT_ONCE // len(blocks))
    sums = [
        blocks[random.integers(len(blocks), size=(at_once, len(blocks)))].sum(1)
        for _ in range(-(-_DRAWS // at_once))
    ]
    drawn = np.concatenate(sums)[:_DRAWS]  # [D, 4]
    drawn = drawn[(drawn[:, 1] > 0) & (drawn[:, 3] > 0)]
    return figure(name, drawn[:, 2], drawn[:, 3]) - figure(name, drawn[:, 0], drawn[:, 1])
