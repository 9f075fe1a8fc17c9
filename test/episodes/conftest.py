from collections.abc import Callable

import numpy as np
import pytest

from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.episodes.episode import Episode


def smooth_picture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A picture with soft shapes, which JPEG and MP4 can pack as they would a real one."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = rng.uniform(0.02, 0.15, (3, 2)), rng.uniform(0, 6, 3)
    channels = [
        127 + 100 * np.sin(a * rows + b * columns + phase)
        for (a, b), phase in zip(*waves, strict=True)
    ]
    return np.stack(channels, -1).astype(np.uint8)


def _make_episode(steps: int = 5, seed: int = 0, height: int = 48, width: int = 64) -> Episode:
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 0.01, (steps, 7)), axis=0)
    states = np.array([0.5, 0.1, 0.3, 3.1, 0.05, -0.4, 0.5]) + drift
    camera_to_base = np.eye(4)
    camera_to_base[:3, :3] = [[0, 0.6, -0.8], [1, 0, 0], [0, -0.8, -0.6]]
    camera_to_base[:3, 3] = [1.35, -0.35, 0.7]
    return Episode(
        frames=np.stack([smooth_picture(rng, height, width) for _ in range(steps)]),
        states=states,
        stamps=1700000000.0 + 0.25 * np.arange(steps),
        commanded=rng.normal(0, 0.02, (steps - 1, 7)),
        calibration=Calibration(
            width=width,
            height=height,
            intrinsics=np.array([[80.0, 0, width / 2], [0, 80.0, height / 2], [0, 0, 1]]),
            camera_to_base=camera_to_base,
        ),
        task="lift the cup",
        provenance={"source": "test", "seed": seed},
        truth={"cup/position": rng.normal(size=(steps, 3))},
    )


@pytest.fixture
def make_episode() -> Callable[..., Episode]:
    return _make_episode


@pytest.fixture
def episode() -> Episode:
    return _make_episode()
