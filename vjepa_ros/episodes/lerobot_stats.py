"""Figures of a LeRobot set's features, as LeRobot's normalisation reads them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}


def stats_of(values: NDArray[Any]) -> dict[str, Any]:
    """Of an episode's numbers, [T] or [T, D]."""
    rows = values.reshape(len(values), -1).astype(np.float64)
    found = {
        "min": rows.min(0),
        "max": rows.max(0),
        "mean": rows.mean(0),
        "std": rows.std(0),
        **{name: np.quantile(rows, share, axis=0) for name, share in QUANTILES.items()},
    }
    return {name: value.tolist() for name, value in found.items()} | {"count": [len(rows)]}


class Pixels:
    """Of an episode's frames, of which only the counts of grey levels are kept."""

    def __init__(self) -> None:
        self.counts = np.zeros((3, 256), np.int64)
        self.frames = 0

    def add(self, frame: NDArray[np.uint8]) -> None:
        """Take in an RGB frame, every fourth row and column of it."""
        thinned = frame[::4, ::4].reshape(-1, 3)
        for channel, counts in enumerate(self.counts):
            counts += np.bincount(thinned[:, channel], minlength=256)
        self.frames += 1

    def stats(self) -> dict[str, Any]:
        """Of each channel, in [0, 1], as [3, 1, 1]."""
        levels = np.arange(256) / 255
        share = self.counts / self.counts.sum(1, keepdims=True)
        mean = share @ levels
        seen, up_to = self.counts > 0, share.cumsum(1)
        found = {
            "min": levels[seen.argmax(1)],
            "max": levels[255 - seen[:, ::-1].argmax(1)],
            "mean": mean,
            "std": np.sqrt(np.maximum(share @ levels**2 - mean**2, 0)),
            **{name: levels[(up_to >= at).argmax(1)] for name, at in QUANTILES.items()},
        }
        shaped = {name: value.reshape(3, 1, 1).tolist() for name, value in found.items()}
        return shaped | {"count": [self.frames]}


class Totals:
    """Of a whole set, from those of its episodes; quantiles are their mean, as LeRobot has it."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[str, NDArray[np.float64]]] = {}

    def add(self, stats: dict[str, dict[str, Any]]) -> None:
        """Take in those of an episode."""
        for name, of_feature in stats.items():
            one = {key: np.asarray(value, np.float64) for key, value in of_feature.items()}
            count = one.pop("count")
            square = one.pop("std") ** 2 + one["mean"] ** 2
            low, high = one.pop("min"), one.pop("max")
            weighted = {key: value * count for key, value in one.items()}
            weighted |= {"square": square * count, "count": count, "min": low, "max": high}
            known = self.sums.setdefault(name, weighted)
            if known is not weighted:
                for key, value in weighted.items():
                    join = {"min": np.minimum, "max": np.maximum}.get(key, np.add)
                    known[key] = join(known[key], value)

    def stats(self) -> dict[str, dict[str, Any]]:
        """As meta/stats.json has them."""
        found: dict[str, dict[str, Any]] = {}
        for name, sums in self.sums.items():
            count = sums["count"]
            means = {key: sums[key] / count for key in ("mean", "square", *QUANTILES)}
            std = np.sqrt(np.maximum(means.pop("square") - means["mean"] ** 2, 0))
            values = {"min": sums["min"], "max": sums["max"], "std": std, **means}
            found[name] = {key: value.tolist() for key, value in values.items()}
            found[name]["count"] = [int(count[0])]
        return found
