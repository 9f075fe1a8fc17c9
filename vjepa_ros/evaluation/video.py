"""A film of one trial: what the camera saw, what it should have seen, and the energy."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.episodes.mp4 import write_mp4
from vjepa_ros.evaluation.trials import Moment, Trial

Picture = NDArray[np.uint8]

_SIDE = 256  # pixels of each of the three panels
_CAPTION = 28
_RATE = 4.0  # frames a second, as many as control steps
_LINGER = 6  # frames that the end is shown for
_MARGIN = 12
_WHITE, _INK, _CURVE, _SWITCH = (255, 255, 255), (40, 40, 40), (31, 119, 180), (190, 190, 190)


class Film:
    """Collects the moments of a trial; frames are drawn when it is written."""

    def __init__(self, goals: Sequence[Picture]) -> None:
        self._goals = goals
        self._moments: list[Moment] = []

    def add(self, moment: Moment) -> None:
        self._moments.append(moment)

    def write(self, path: Path, trial: Trial) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mp4(path, self._frames(trial), _RATE)

    def _frames(self, trial: Trial) -> Iterator[Picture]:
        last = len(self._moments) - 1
        for index in range(last + 1):
            yield self._frame(index, f"step {index}")
        verdict = "success" if trial.success else "failure"
        for _ in range(_LINGER):
            yield self._frame(last, f"{verdict}: {trial.reason}")

    def _frame(self, index: int, caption: str) -> Picture:
        moment = self._moments[index]
        panels = (
            _titled(_enlarged(moment.rgb), caption),
            _titled(
                _enlarged(self._goals[moment.goal]), f"goal {moment.goal + 1} of {len(self._goals)}"
            ),
            _titled(_curve(self._moments[: index + 1], self._moments), "energy"),
        )
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
    cv2.putText(
        panel,
        f"{shown[-1].energy:.3f}",
        (_SIDE - 70, 20),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.45,
        _INK,
        1,
        cv2.LINE_AA,
    )
    return panel
