"""The encoder against transformers' VJEPA2Model on the same random weights, and itself."""

import dataclasses

import pytest
import torch
from torch.nn.functional import layer_norm

from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.presets import PRESETS

SMALL = EncoderConfig(width=64, depth=3, heads=2)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_encoder(config=SMALL):
    """Weights large enough that every part of the model shows in its output."""
    encoder = Encoder(config)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return encoder.requires_grad_(False)


def reference(encoder, clip):
    """transformers' encoder with the same weights, given the clip [B, 3, T, H, W]."""
    transformers = pytest.importorskip("transformers", reason="test dependency is not installed")
    config = encoder.config
    theirs = transformers.VJEPA2Model(
        transformers.VJEPA2Config(
            hidden_size=config.width,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            mlp_ratio=config.mlp_ratio,
            patch_size=config.patch,
            tubelet_size=config.tubelet,
            crop_size=clip.shape[-1],
            frames_per_clip=clip.shape[2],
            pred_hidden_size=12,
            pred_num_attention_heads=1,
            pred_num_hidden_layers=1,
        )
    ).eval()
    state = {}
    for name, value in encoder.state_dict().items():
        name = name.replace("patch_embed.", "embeddings.patch_embeddings.")
        name = name.replace("blocks.", "layer.").replace("attn.", "attention.")
        name = name.replace("norm.", "layernorm.") if name.startswith("norm.") else name
        parts = ("query", "key", "value") if ".qkv." in name else ("",)
        for part, values in zip(parts, value.chunk(len(parts)), strict=True):
            state[name.replace(".qkv.", f".{part}.")] = values
    theirs.encoder.load_state_dict(state)
    with torch.no_grad():
        return theirs.encoder(clip.transpose(1, 2)).last_hidden_state


def relative_error(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


# Heads of 32, 64, 80 and 24 channels leave 2, 4, 2 and 0 of them unturned.
SIZES = {
    "small": SMALL,
    "heads of ViT-L": EncoderConfig(width=128, depth=2, heads=2),
    "heads of ViT-H": EncoderConfig(width=160, depth=2, heads=2),
    "mlp of ViT-g": EncoderConfig(width=176, depth=2, heads=2, mlp_ratio=48 / 11),
    "all channels turned": EncoderConfig(width=72, depth=2, heads=3, patch=8),
}


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize(("size", "frames"), [(32, 2), (64, 4), (96, 2), (48, 16)])
def test_equals_transformers(config, size, frames):
    encoder = make_encoder(config)
    clip = torch.randn(2, 3, frames, size, size)
    assert relative_error(encoder(clip), reference(encoder, clip)) < 1e-4


@pytest.mark.parametrize("size", [256, 384])
def test_equals_transformers_at_the_published_resolutions(size):
    encoder = make_encoder(dataclasses.replace(SMALL, depth=2))
    clip = torch.randn(1, 3, 2, size, size)
    assert relative_error(encoder(clip), reference(encoder, clip)) < 1e-4


@pytest.mark.parametrize("config", [*SIZES.values(), PRESETS["tiny"].encoder])
@pytest.mark.parametrize("size", [32, 96])
def test_one_frame_is_a_clip_that_repeats_it(config, size):
    encoder = make_encoder(config)
    pixels = torch.randn(2, 3, size, size)
    twice = pixels.unsqueeze(2).repeat(1, 1, config.tubelet, 1, 1)
    expected = layer_norm(encoder(twice), (config.width,))
    assert relative_error(encoder.encode(pixels), expected) < 1e-4


@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_a_patch_of_the_grid_is_where_it_is_in_the_picture(stem):
    encoder = Encoder(dataclasses.replace(SMALL, stem=stem))
    pixels = torch.zeros(1, 3, 64, 80)
    dot = pixels.clone()
    # Row 2 of 4, column 1 of 5, near the corner of the patch: there a conv stem centres it.
    dot[:, :, 32:34, 16:18] = 1
    grid = encoder.patch_embed.still(dot) - encoder.patch_embed.still(pixels)
    assert grid.shape == (1, 64, 4, 5)
    assert grid.abs().sum((0, 1)).flatten().argmax() == 2 * 5 + 1


def test_latents_are_layer_normalised_float32_whatever_the_weights():
    encoder = make_encoder().to(torch.bfloat16)
    latents = encoder.encode(torch.randn(2, 3, 64, 64))
    assert latents.shape == (2, 16, 64)
    assert latents.dtype == torch.float32
    torch.testing.assert_close(latents.mean(-1), torch.zeros(2, 16), atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.std(-1, correction=0), torch.ones(2, 16), atol=1e-3, rtol=0)


def test_bf16_stays_near_float32():
    encoder = make_encoder(dataclasses.replace(SMALL, depth=6))
    pixels = torch.randn(1, 3, 128, 128)
    exact = encoder.encode(pixels)
    rounded = encoder.to(torch.bfloat16).encode(pixels)
    assert (rounded - exact).abs().mean() < 0.05  # of latents whose deviation is 1


def test_the_conv_stem_starts_with_a_signal_of_its_input_s_size():
    encoder = Encoder(PRESETS["tiny"].encoder)
    assert 0.3 < encoder.patch_embed.still(torch.randn(4, 3, 128, 128)).std() < 3


def test_every_parameter_is_trained_by_the_clip_and_by_the_frame():
    encoder = Encoder(dataclasses.replace(SMALL, stem="conv"))
    for output in (
        encoder(torch.randn(1, 3, 4, 32, 32)),
        encoder.encode(torch.randn(1, 3, 32, 32)),
    ):
        encoder.zero_grad()
        (output * torch.randn_like(output)).sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 2, 64, 64), r"pixels has shape \[1, 3, 2, 64, 64\], expected \[B, 3, H, W\]"),
        ((1, 1, 64, 64), r"pixels has shape \[1, 1, 64, 64\]"),
        ((1, 64, 64, 3), r"pixels has shape \[1, 64, 64, 3\]"),
        ((1, 3, 60, 64), "multiples of the patch, 16 pixels"),
        ((0, 3, 64, 64), "multiples of the patch"),
    ],
)
def test_pixels_of_another_shape_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        make_encoder().encode(torch.zeros(shape))


def test_pixels_that_were_not_normalised_are_refused():
    with pytest.raises(ValueError, match=r"pixels holds torch\.uint8, expected normalised"):
        make_encoder().encode(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


def test_a_clip_that_ends_amid_a_tubelet_is_refused():
    with pytest.raises(ValueError, match="clip has 3 frames, expected a multiple of 2"):
        make_encoder()(torch.zeros(1, 3, 3, 64, 64))


def test_a_conv_stem_needs_a_patch_that_halves():
    with pytest.raises(ValueError, match="patch is 14: a conv stem needs a power of two"):
        Encoder(dataclasses.replace(SMALL, stem="conv", patch=14))
