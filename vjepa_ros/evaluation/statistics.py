"""What a handful of trials says about a rate, and short summaries of many numbers."""

import math
from collections.abc import Sequence

import numpy as np

_Z = 1.959964  # of a two-sided interval of 95 %


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a success rate (Wilson 1927); honest for few trials and rates of 1."""
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials: expected 0 … trials, of some")
    rate, z2 = successes / trials, _Z**2
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2))
    half = _Z / (1 + z2 / trials) * spread
    # Rounding must not shut out a rate of 0 or 1.
    return min(rate, max(0.0, centre - half)), max(rate, min(1.0, centre + half))


def median_and_p95(values: Sequence[float]) -> dict[str, float]:
    """Give median and 95th percentile, by those names."""
    median, p95 = np.percentile(values, (50, 95)).tolist()
    return {"median": median, "p95": p95}
