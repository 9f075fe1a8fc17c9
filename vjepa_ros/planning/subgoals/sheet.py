"""The way to a goal picture as one picture: the goal, then what stands for each key frame."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vjepa_ros.planning.subgoals.explain import Explanation

Picture = NDArray[np.uint8]

_SIDE, _CAPTION, _GAP = 160, 22, 6  # pixels
_WHITE, _INK = 255, (40, 40, 40)


def sheet(explanation: Explanation, goal: Picture, now: Picture | None = None) -> Picture:
    """Panels [H, W, 3] in a row, each with what it is; below them how sure that is."""
    shown = [] if now is None else [("now", now)]
    shown += [(view.name, view.picture) for view in explanation.views]
    panels = [_panel(picture, name) for name, picture in [*shown, ("goal", goal)]]
    row = _in_a_row(panels)
    footer = np.full((_CAPTION, row.shape[1], 3), _WHITE, np.uint8)
    _write(footer, summary(explanation))
    return np.concatenate((row, footer))


def summary(explanation: Explanation) -> str:
    """The way in one line."""
    if explanation.refusal:
        return f"refused: {explanation.refusal}"
    if not explanation.views:
        return "no key frames: the picture is planned to as it is"
    return (
        f"{len(explanation.views)} key frames, confidence {explanation.proposal.confidence:.2f}, "
        f"{explanation.nearer:.0%} of the difference from the goal is left at the end"
    )


def _panel(picture: Picture, name: str) -> Picture:
    caption = np.full((_CAPTION, _SIDE, 3), _WHITE, np.uint8)
    _write(caption, name)
    return np.concatenate((cv2.resize(picture, (_SIDE, _SIDE)).astype(np.uint8), caption))


def _in_a_row(panels: Sequence[Picture]) -> Picture:
    gap = np.full((len(panels[0]), _GAP, 3), _WHITE, np.uint8)
    return np.concatenate([part for panel in panels for part in (panel, gap)][:-1], 1)


def _write(where: Picture, text: str) -> None:
    cv2.putText(where, text, (2, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)
