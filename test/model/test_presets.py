"""The presets against the sizes that were published, built without memory."""

import pytest
import torch

from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.preprocessing import CROPS
from vjepa_ros.model.presets import PRESETS


def parameters(part):
    return sum(parameter.numel() for parameter in part.parameters())


def build(model):
    with torch.device("meta"):
        encoder = Encoder(model.encoder)
        return encoder, Predictor(model.predictor) if model.predictor else None


@pytest.mark.parametrize(
    ("name", "encoder_millions", "predictor_millions"),
    [
        ("vitl", 304, None),
        ("vith", 632, None),
        ("vitg", 1012, None),
        ("vitg_384", 1012, None),
        ("ac_vitg", 1012, 305),
        # jepa-wms' file of 3.66 GB is this predictor in float32 and AdamW's two moments.
        ("ac_vitg_stateless", 1012, 3.66e9 / 12 / 1e6),
    ],
)
def test_published_models_have_their_published_size(name, encoder_millions, predictor_millions):
    encoder, predictor = build(PRESETS[name])
    assert round(parameters(encoder) / 1e6) == encoder_millions
    if predictor is None:
        assert predictor_millions is None
    else:
        assert round(parameters(predictor) / 1e6) == round(predictor_millions)


def test_the_tiny_model_fits_in_the_repository():
    assert 2 * sum(map(parameters, build(PRESETS["tiny"]))) < 15.9e6  # bytes, in bf16


@pytest.mark.parametrize("model", PRESETS.values(), ids=PRESETS.keys())
def test_parts_fit_each_other(model):
    assert PRESETS[model.preset] is model
    assert model.crop in CROPS
    assert model.image_size % model.encoder.patch == 0
    assert model.encoder.width % (2 * model.encoder.heads) == 0
    if model.predictor:
        assert model.predictor.latent_width == model.encoder.width
        assert model.predictor.grid == model.image_size // model.encoder.patch
        assert 1 <= model.trained_horizon < model.predictor.max_frames
