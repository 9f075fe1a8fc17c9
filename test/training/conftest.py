"""Small episodes whose pictures show what the states say, and a model small enough to train."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vjepa_ros.episodes.episode import Trajectory
from vjepa_ros.episodes.npz import write_npz
from vjepa_ros.model.encoder import EncoderConfig
from vjepa_ros.model.predictor import PredictorConfig
from vjepa_ros.model.presets import PRESETS, ModelConfig
from vjepa_ros.training.data import EpisodeSet, View, unpack

SIZE = 32  # pixels
SMALL = ModelConfig(
    preset="small",
    encoder=EncoderConfig(width=32, depth=2, heads=2, patch=8, stem="conv"),
    predictor=PredictorConfig(
        latent_width=32, grid=4, width=32, depth=2, heads=2, max_frames=8, residual=True
    ),
    image_size=SIZE,
)


def write_small_episodes(folder: Path, episodes: int = 6, steps: int = 12, seed: int = 0) -> None:
    """A bright square where the tool is, brighter when the hand is open; a dark thing beside, and
    a task that says on which side.
    """
    rng = np.random.default_rng(seed)
    for index in range(episodes):
        states = np.zeros((steps, 7))
        way = np.array((0.5, 0.0, 0.2)) + rng.normal(0, 0.03, (steps, 3)).cumsum(0)
        states[:, :3] = np.clip(way, (0.35, -0.15, 0.05), (0.65, 0.15, 0.35))
        states[:, 6] = rng.choice((0.0, 1.0), steps)
        commanded = rng.normal(0, 0.02, (steps - 1, 7))
        thing = np.tile((0.5, rng.uniform(-0.1, 0.1), 0.02), (steps, 1))
        trajectory = Trajectory(
            states=states,
            stamps=0.25 * np.arange(steps),
            commanded=commanded,
            truth={"cube/position": thing},
            task="the left one" if thing[0, 1] > 0 else "the right one",
        )
        frames = [_picture(state, thing[0]) for state in states]
        write_npz(folder / f"episode_{index:03d}.npz", trajectory, frames)


def _picture(state: np.ndarray, thing: np.ndarray) -> np.ndarray:
    picture = np.full((SIZE, SIZE, 3), 90, np.uint8)
    for place, colour in ((thing, (20, 20, 60)), (state, (255, 250 - 150 * state[6], 40))):
        row, column = np.rint((place[:2] - (0.3, -0.2)) / 0.4 * (SIZE - 6)).astype(int)
        picture[row : row + 6, column : column + 6] = colour
    picture[:4, : int(state[2] * 80)] = 200  # height, as a bar
    return picture


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training") / "episodes"
    write_small_episodes(folder)
    return folder


@pytest.fixture(scope="session")
def episodes(folder: Path) -> EpisodeSet:
    return unpack(sorted(folder.glob("*.npz")), View(size=SIZE), folder.parent / "unpacked")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> ModelConfig:
    """The small model, known by its name as the presets are."""
    monkeypatch.setitem(PRESETS, "small", SMALL)
    torch.manual_seed(0)
    return SMALL
