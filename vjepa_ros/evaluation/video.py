"""A film of one trial: what the camera saw, what it should have seen, and the energy."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.episodes.mp4 import write_mp4
from vjepa_ros.evaluation.trials import Moment

Picture = NDArray[np.uint8]

_SIDE = 256  # pixels of each panel
_CAPTION = 28
_LINGER = 1.5  # seconds that the end is shown for
_MARGIN = 12
_WHITE, _INK, _CURVE, _SWITCH = (255, 255, 255), (40, 40, 40), (31, 119, 180), (190, 190, 190)


class Judgement(Protocol):
    """How a trial ended."""

    @property
    def success(self) -> bool:
        """Whether the task was done."""

    @property
    def reason(self) -> str:
        """Why it was judged so."""


class Film:
    """Collects the moments of a trial; frames are drawn when they are asked for."""

    def __init__(self, goals: Sequence[Picture], rate: float = 4.0) -> None:
        """rate: frames a second; the default is that of control steps."""
        self._goals = goals
        self._rate = rate
        self._moments: list[Moment] = []
        self._captions: list[str] = []
        self._latents: list[Picture] = []

    def __len__(self) -> int:
        return len(self._moments)

    def add(self, moment: Moment, caption: str = "", latents: Picture | None = None) -> None:
        """With a picture of the latents, of every moment or of none, there is a panel more."""
        self._captions.append(caption or f"step {len(self)}")
        self._moments.append(moment)
        if latents is not None:
            self._latents.append(latents)

    def write(self, path: Path, judgement: Judgement) -> None:
        """Write an MP4 that ends with the judgement."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mp4(path, self._frames(judgement), self._rate)

    def _frames(self, judgement: Judgement) -> Iterator[Picture]:
        for index in range(len(self)):
            yield self.frame(index)
        ending = f"{'success' if judgement.success else 'failure'}: {judgement.reason}"
        for _ in range(round(_LINGER * self._rate)):
            yield self.frame(len(self) - 1, ending)

    def frame(self, index: int, caption: str = "") -> Picture:
        """Draw one frame; the caption replaces the one of its moment."""
        moment = self._moments[index]
        aim = f"goal {moment.goal + 1} of {len(self._goals)}"
        panels = [
            _titled(_enlarged(moment.rgb), caption or self._captions[index]),
            _titled(_enlarged(self._goals[moment.goal]), aim),
        ]
        if self._latents:
            tokens = cv2.resize(
                self._latents[index], (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST
            )
            panels.append(_titled(tokens.astype(np.uint8, copy=False), "latents, as colours"))
        curve = _curve(self._moments[: index + 1], self._moments)
        panels.append(_titled(curve, f"energy {moment.energy:.3f}"))
        return np.hstack(panels)


def _enlarged(rgb: Picture) -> Picture:
    enlarged = cv2.resize(rgb, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC)
    return enlarged.astype(np.uint8, copy=False)


def _titled(panel: Picture, title: str) -> Picture:
    strip = np.full((_CAPTION, _SIDE, 3), _WHITE, np.uint8)
    place = (6, _CAPTION - 9)
    cv2.putText(strip, title, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, _INK, 1, cv2.LINE_AA)
    return np.vstack((strip, panel))


def _curve(shown: Sequence[Moment], whole: Sequence[Moment]) -> Picture:
    """Energies so far, on axes that fit the whole trial; a line where the sub-goal changes."""
    panel = np.full((_SIDE, _SIDE, 3), _WHITE, np.uint8)
    inside = _SIDE - 2 * _MARGIN
    highest = max(moment.energy for moment in whole) or 1.0

    def place(index: int, energy: float) -> tuple[int, int]:
        across = _MARGIN + round(inside * index / max(1, len(whole) - 1))
        return across, _SIDE - _MARGIN - round(inside * energy / highest)

    for index in range(1, len(shown)):
        if shown[index].goal != shown[index - 1].goal:
            cv2.line(panel, place(index, 0.0), place(index, highest), _SWITCH, 1)
    points = [place(index, moment.energy) for index, moment in enumerate(shown)]
    cv2.polylines(panel, [np.array(points, np.int32)], False, _CURVE, 2, cv2.LINE_AA)
    cv2.circle(panel, points[-1], 4, _CURVE, -1, cv2.LINE_AA)
    cv2.line(panel, place(0, 0.0), place(len(whole) - 1, 0.0), _INK, 1)
    return panel
