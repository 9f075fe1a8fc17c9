"""The encoder of V-JEPA 2.1: the numbers that Meta's code gives, and what it does otherwise."""

import dataclasses

import pytest
import torch
from torch.nn.functional import layer_norm

from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.model.transformer import rotary_tables, rotate

SMALL = EncoderConfig(width=32, depth=12, heads=2, version="2.1")


def waves(shape, phase, size):
    """Numbers that are the same wherever they are computed."""
    count = torch.Size(shape).numel()
    angles = 1.7 * torch.arange(count, dtype=torch.float64) + phase
    return (size * angles.sin()).float().view(shape)


@pytest.fixture(scope="module")
def encoder():
    made = Encoder(SMALL).requires_grad_(False)
    for phase, (_, parameter) in enumerate(sorted(made.named_parameters())):
        parameter.copy_(waves(parameter.shape, phase, 0.3))
    return made.eval()


CLIP = waves((1, 3, 4, 64, 96), 0.5, 1.0)
# What the VisionTransformer of facebookresearch/vjepa2 (204698b, app/vjepa_2_1) makes of it with
# these very weights: channels 0, 7 and 31 of the first token and of the last.
THEIRS = (-0.462409, 0.101612, -0.119196, -0.504499, 0.077157, -0.098802)
THEIR_PICTURE = (-1.493705, 0.279784, -0.258444, -1.750145, 0.449746, -0.420391)
THEIR_HIERARCHY = (-0.289698, 0.208313, -0.305180, -0.421596, 0.103400, -0.215715)


def corners(tokens):
    return tokens[0, [0, -1]][:, [0, 7, 31]].flatten().tolist()


def test_gives_the_numbers_of_meta_s_code(encoder):
    assert corners(encoder(CLIP)) == pytest.approx(THEIRS, abs=1e-5)
    assert corners(encoder.encode(CLIP[:, :, 0])) == pytest.approx(THEIR_PICTURE, abs=1e-5)
    hierarchy = encoder.hierarchy(CLIP)
    assert hierarchy.shape == (1, 2 * 4 * 6, 4 * 32)
    assert corners(hierarchy) == pytest.approx(THEIR_HIERARCHY, abs=1e-5)
    torch.testing.assert_close(hierarchy[..., -32:], encoder(CLIP))


def test_the_two_channels_of_a_pair_turn_together():
    positions = torch.tensor([[3.0, 1.5, 7.0], [0.0, 15.0, 2.0]])
    turned = rotate(torch.randn(2, 2, 64), rotary_tables(positions, 64, interleaved=True))
    assert turned.shape == (2, 2, 64)
    x = torch.randn(2, 64)
    pairs = torch.view_as_complex(x[:, :60].view(2, 3, 10, 2).contiguous())
    angles = positions[:, :, None] * 1e4 ** -(torch.arange(10) / 10)
    by_hand = torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(1)
    found = rotate(x, rotary_tables(positions, 64, interleaved=True))
    torch.testing.assert_close(found[:, :60], by_hand)
    assert torch.equal(found[:, 60:], x[:, 60:])


def test_rows_and_columns_count_to_15_at_any_resolution(encoder):
    """So a patch of the same look has the same neighbours, wherever the model is asked."""
    _, rotary = encoder.embed(torch.zeros(1, 3, 2, 32, 64))
    _, other = encoder.embed(torch.zeros(1, 3, 2, 96, 128))
    for few, many in zip(rotary, other, strict=True):
        torch.testing.assert_close(few[-1], many[-1])
        torch.testing.assert_close(few[3], many[7])  # the upper right corners
    still = encoder.encode(torch.zeros(1, 3, 16, 16))  # a single patch, at row 0 and column 0
    assert still.isfinite().all()


def test_a_picture_is_no_clip_that_repeats_it(encoder):
    twice = CLIP[:, :, :1].repeat(1, 1, 2, 1, 1)
    clip = layer_norm(encoder(twice), (32,))
    assert (encoder.encode(CLIP[:, :, 0]) - clip).abs().mean() > 0.01


def test_every_parameter_is_trained_by_the_clip_or_by_the_frame():
    made = Encoder(SMALL)
    for output in (made.hierarchy(CLIP), made.encode(CLIP[:, :, 0])):
        (output * torch.randn_like(output)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in made.parameters())


def test_version_2_has_no_hierarchy():
    made = Encoder(dataclasses.replace(SMALL, version="2"))
    with pytest.raises(ValueError, match=r"2\.1 alone"):
        made.hierarchy(CLIP)


@pytest.mark.parametrize(
    ("preset", "levels", "parameters"),
    [
        ("vitb_2_1", (2, 5, 8, 11), 86_833_152),
        ("vitl_2_1", (5, 11, 17, 23), 304_680_960),
        ("vitg_2_1", (9, 19, 29, 39), 1_013_267_968),
        ("vitG_2_1", (11, 23, 37, 47), 1_845_216_768),
    ],
)
def test_the_presets_have_the_published_sizes(preset, levels, parameters):
    config = PRESETS[preset].encoder
    assert config.levels == levels
    with torch.device("meta"):
        made = Encoder(config)
    assert sum(parameter.numel() for parameter in made.parameters()) == parameters
