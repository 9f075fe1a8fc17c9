"""What the two stages minimise, and that it falls."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vjepa_gate.errors import UserError
from vjepa_ros.model.checkpoints import load_weights, save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import PRESETS, ModelConfig
from vjepa_ros.training import stages
from vjepa_ros.training.augment import AugmentConfig
from vjepa_ros.training.data import EpisodeSet, Share, View, unpack
from vjepa_ros.training.latents import attach_latents
from vjepa_ros.training.losses import prediction_error, rolled_out
from vjepa_ros.training.masks import LARGE_BLOCKS, draw_mask
from vjepa_ros.training.posttrain import PosttrainConfig, Posttraining
from vjepa_ros.training.pretrain import PretrainConfig, Pretraining
from vjepa_ros.training.trainer import CHECKPOINT

EVERYTHING = PretrainConfig(
    frames=4, masked=1.0, dynamics=1.0, inverse=1.0, readout=1.0, spread=1.0
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fall(stage: nn.Module, episodes: EpisodeSet, frames: int, steps: int = 60) -> dict[str, float]:
    """By which factor each term falls on one batch that is seen again and again."""
    batch = episodes.load(episodes.draw(8, frames, np.random.default_rng(0)), frames)
    trained = [parameter for parameter in stage.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=3e-3)
    history = []
    for _ in range(steps):
        terms = stage(batch, generator(), Share())
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        history.append({name: term.item() for name, term in terms.items()})
    return {name: history[-1][name] / history[0][name] for name in history[0]}


def test_every_term_of_pretraining_falls(small: ModelConfig, episodes: EpisodeSet):
    falls = fall(Pretraining(small, EVERYTHING), episodes, 4)
    assert set(falls) == {"masked", "dynamics", "inverse", "readout", "spread"}
    assert falls["spread"] < 0.9
    # The target is frozen here: what is predicted does not move.
    assert falls["masked"] < 0.9
    assert falls["readout"] < 0.3
    assert falls["inverse"] < 0.8


def test_masked_prediction_of_half_a_tubelet_is_refused(small: ModelConfig):
    with pytest.raises(ValueError, match=r"losses\.frames is 3, expected a multiple of 2"):
        Pretraining(small, PretrainConfig(frames=3, masked=1.0))


def test_a_term_of_weight_0_is_not_there(small: ModelConfig, episodes: EpisodeSet):
    stage = Pretraining(small, PretrainConfig(frames=4, masked=1.0))
    assert not any(hasattr(stage, name) for name in ("predictor", "inverse", "readout"))
    batch = episodes.load([0], 4)
    assert list(stage(batch, generator(), Share())) == ["masked"]


@pytest.mark.parametrize("stem", ["conv", "patch"])
def test_the_hidden_cannot_be_seen(small: ModelConfig, stem: str):
    model = replace(small, encoder=replace(small.encoder, stem=stem))
    stage = Pretraining(model, EVERYTHING)
    seen, hidden = draw_mask(1, 2, 4, LARGE_BLOCKS, generator())
    clip = torch.randn(1, 3, 4, 32, 32)
    cells = torch.zeros(32).index_fill(0, hidden[0], 1.0).view(1, 1, 2, 4, 4)
    covered = nn.functional.interpolate(cells, size=(4, 32, 32)).expand_as(clip)
    changed = clip + covered * torch.randn_like(clip)
    predictions = [stage._predict_hidden(pixels, seen, hidden) for pixels in (clip, changed)]
    assert torch.allclose(*predictions, atol=1e-5)
    other = clip + (1 - covered) * torch.randn_like(clip)
    assert not torch.allclose(predictions[0], stage._predict_hidden(other, seen, hidden), atol=1e-3)


def test_masked_predictions_know_where_they_are(small: ModelConfig):
    stage = Pretraining(small, EVERYTHING)
    seen, hidden = draw_mask(1, 2, 4, LARGE_BLOCKS, generator())
    predicted = stage._predict_hidden(torch.randn(1, 3, 4, 32, 32), seen, hidden)
    assert predicted.std(1).mean() > 1e-6  # without positions all would be the same


def test_targets_follow_and_are_not_trained(small: ModelConfig, episodes: EpisodeSet):
    stage = Pretraining(small, EVERYTHING)
    torch.stack(
        list(stage(episodes.load([0, 9], 4), generator(), Share()).values())
    ).sum().backward()
    assert all(parameter.grad is None for parameter in stage.target.parameters())
    assert all(
        parameter.grad is not None for parameter in stage.parameters() if parameter.requires_grad
    )
    assert [pair[0] is stage.encoder for pair in stage.averages()] == [True]


@pytest.fixture
def posttraining(small: ModelConfig) -> Posttraining:
    return Posttraining(
        Encoder(small.encoder), Predictor(small.predictor), PosttrainConfig(horizon=3)
    )


def test_both_terms_of_posttraining_fall(posttraining, episodes: EpisodeSet):
    falls = fall(posttraining, episodes, 4, steps=150)
    assert set(falls) == {"teacher", "rollout"}
    assert max(falls.values()) < 0.8


def test_the_rollout_term_is_the_error_of_a_rollout(posttraining, episodes: EpisodeSet):
    nn.init.normal_(posttraining.predictor.predictor_proj.weight, std=0.3)
    batch = episodes.load([0, 14], 4)
    latents = posttraining.encoder.encode(batch.pixels().flatten(0, 1)).unflatten(0, (2, 4))
    rolled = rolled_out(posttraining.predictor, latents[:, 0], batch.actions, batch.states[:, 0])
    terms = posttraining(batch, generator(), Share())
    assert terms["rollout"].item() == pytest.approx(prediction_error(rolled, latents[:, 1:]).item())


def test_rollouts_may_be_shorter_than_the_window(posttraining, episodes: EpisodeSet):
    batch = episodes.load([0, 14], 4)
    nn.init.normal_(posttraining.predictor.predictor_proj.weight, std=0.3)
    whole = posttraining(batch, generator(), Share())
    posttraining.config = PosttrainConfig(horizon=3, rollout_steps=1)
    short = posttraining(batch, generator(), Share())
    assert short["teacher"] == whole["teacher"]
    assert short["rollout"] != whole["rollout"]


def test_the_encoder_stays_as_it_is(posttraining, episodes: EpisodeSet):
    before = [parameter.clone() for parameter in posttraining.encoder.parameters()]
    fall(posttraining, episodes, 4, steps=3)
    after = list(posttraining.encoder.parameters())
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_latents_on_disk_are_trained_on_as_pictures_are(
    posttraining, episodes: EpisodeSet, folder: Path, tmp_path: Path
):
    nn.init.normal_(posttraining.predictor.predictor_proj.weight, std=0.3)
    encoder = posttraining.encoder
    paths, view = sorted(folder.glob("*.npz")), View(size=episodes.frame_shape[0])
    seen = unpack(paths, view, tmp_path)
    pictures = posttraining(seen.load([0, 14], 4), generator(), Share())
    attach_latents(seen, encoder, "some-weights")
    batch = seen.load([0, 14], 4)
    assert batch.frames.numel() == 0  # nobody reads them any more
    for name, term in posttraining(batch, generator(), Share()).items():
        assert term.item() == pytest.approx(pictures[name].item(), rel=1e-3)

    again = unpack(paths, view, tmp_path)
    attach_latents(again, None, "some-weights")  # they are there: nothing is encoded
    assert np.array_equal(again.latents, seen.latents)
    place = again.folder / "latents-some-weights"
    place.rename(place.with_name("latents-other-weights"))
    with pytest.raises(UserError, match="of some-weights, expected 72 of other-weights"):
        attach_latents(again, encoder, "other-weights")


def test_pictures_that_vary_have_no_latents_on_disk():
    AugmentConfig(commanded=0.5).check_pictures_stay("latents")
    with pytest.raises(ValueError, match=r"augment\.turn is 3: set it to 0, or latents to false"):
        AugmentConfig(turn=3.0).check_pictures_stay("latents")


def test_a_stage_goes_on_from_weights_and_from_a_stage_of_which_the_later_counts(
    small: ModelConfig, tmp_path: Path
):
    """So objects are taught to an encoder alone, and it comes back to its predictor."""
    weights = tmp_path / "weights.safetensors"
    encoder, predictor = Encoder(small.encoder), Predictor(small.predictor)
    save_weights(weights, small, encoder, predictor)
    earlier = Pretraining(small, PretrainConfig(masked=0.0, readout=1.0))
    torch.save({"stage": earlier.state_dict()}, tmp_path / CHECKPOINT)
    stage = Pretraining(small, EVERYTHING)
    for start in (weights, tmp_path):
        stages.start_from(stage, start)
    learnt = stage.state_dict()
    assert torch.equal(learnt["predictor.predictor_embed.bias"], predictor.predictor_embed.bias)
    assert torch.equal(learnt["encoder.norm.weight"], earlier.encoder.norm.weight)
    assert torch.equal(learnt["readout.each.weight"], earlier.readout.each.weight)
    stages.start_from(stage, weights)
    proj = "encoder.patch_embed.proj.weight"
    assert torch.equal(stage.state_dict()[proj], encoder.patch_embed.proj.weight)


def test_a_stage_goes_on_from_shipped_weights_by_their_name():
    stage = Pretraining(PRESETS["tiny"], EVERYTHING)
    stages.start_from(stage, Path("tiny"))
    shipped = load_weights("tiny").predictor.predictor_embed.bias
    assert torch.equal(stage.state_dict()["predictor.predictor_embed.bias"], shipped)
