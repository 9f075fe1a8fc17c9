"""A decoder learns to draw what frames show from their latents alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vjepa_gate.errors import UserError
from vjepa_ros import cli
from vjepa_ros.episodes.library import find_episodes, open_episode
from vjepa_ros.model.checkpoints import load_weights, save_weights
from vjepa_ros.model.decoder import (
    Decoder,
    DecoderConfig,
    decoder_beside,
    decoder_of,
    load_decoder,
    save_decoder,
)
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.training.data import EpisodeSet
from vjepa_ros.training.decoding import DecoderTraining, drawing_errors, train_decoder

BAGS = Path(__file__).parents[1] / "data" / "bags"


@pytest.fixture
def weights(tmp_path: Path, small: ModelConfig) -> Path:
    path = tmp_path / "small.safetensors"
    save_weights(path, small, Encoder(small.encoder), Predictor(small.predictor))
    return path


def test_it_draws_where_the_tool_is(weights: Path, episodes: EpisodeSet):
    loaded = load_weights(weights)
    decoder = train_decoder(loaded, episodes, DecoderTraining(steps=20, width=32))
    errors = drawing_errors(decoder, loaded, episodes)
    assert errors["drawn"] < 0.85 * errors["mean picture"]
    unfitted = train_decoder(loaded, episodes, DecoderTraining(steps=1, batch=2, fitted=2))
    assert drawing_errors(unfitted, loaded, episodes)["drawn"] > errors["drawn"]
    batch = episodes.load(np.arange(4), 1)
    drawn = decoder.draw(loaded.encoder.encode(batch.pixels()[:, 0]))
    assert (drawn.shape, drawn.dtype) == ((4, 32, 32, 3), torch.uint8)
    off = (drawn.float() - batch.frames[:, 0].float()).abs().mean()
    assert off < errors["mean picture"]


def test_the_command_puts_it_beside_the_weights(
    weights: Path, folder: Path, capsys: pytest.CaptureFixture[str]
):
    identity = load_weights(weights).identity
    assert decoder_of(weights, identity) is None
    command = ["train", "decoder", "--data", folder, "--weights", weights, "--steps", "2"]
    assert cli.run(list(map(str, [*command, "--held-out", "0.34"]))) == 0
    told = capsys.readouterr().out
    assert "imagined" in told
    assert told.splitlines()[-1] == str(weights.with_suffix(".decoder.safetensors"))
    decoder = decoder_of(weights, identity)
    assert decoder.config == DecoderConfig(latent_width=32, grid=4, size=32)


def test_a_decoder_comes_back_but_for_other_latents(tmp_path: Path):
    decoder = Decoder(DecoderConfig(latent_width=6, grid=2, size=16, width=8))
    save_decoder(tmp_path / "d.safetensors", decoder, "tiny-1", {})
    latents = torch.randn(2, 4, 6)
    drawn = load_decoder(tmp_path / "d.safetensors", "tiny-1").draw(latents)
    assert (drawn.int() - decoder.draw(latents).int()).abs().max() <= 1  # half precision on disk
    with pytest.raises(UserError, match=r"tiny-1, not of tiny-2.*`vjepa-ros train decoder`"):
        load_decoder(tmp_path / "d.safetensors", "tiny-2")
    with pytest.raises(ValueError, match="size is 24, expected 2 times a power of two"):
        Decoder(DecoderConfig(latent_width=6, grid=2, size=24))


def test_the_shipped_one_draws_what_the_shipped_recordings_show():
    loaded = load_world_model(SHIPPED_WEIGHTS)
    decoder = decoder_of(SHIPPED_WEIGHTS, loaded.identity)
    assert decoder_beside(SHIPPED_WEIGHTS).stat().st_size < 4e6
    frames = list(open_episode(next(find_episodes(BAGS))).frames(0, 8))
    rgb = torch.from_numpy(np.stack(frames))
    drawn = decoder.draw(loaded.world_model.encode(rgb)).float()
    seen = loaded.world_model.preprocessor.view(rgb).permute(0, 2, 3, 1)
    plain = seen.mean((1, 2), keepdim=True)
    assert (drawn - seen).abs().mean() < 0.6 * (plain - seen).abs().mean()
