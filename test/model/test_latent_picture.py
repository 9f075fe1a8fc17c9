"""Latents as colours."""

import pytest
import torch

from vjepa_ros.model.latent_picture import LatentPainter
from vjepa_ros.model.preprocessing import Preprocessor


@pytest.fixture
def painter():
    return LatentPainter(Preprocessor(32))


def test_what_differs_most_has_other_colours(painter):
    torch.manual_seed(0)
    latents = 0.01 * torch.randn(16, 24)
    latents[:8, 0] += 1.0
    colours = painter.paint(latents).view(16, 3).float()
    assert colours.dtype == torch.float32
    between = (colours[:8, 0].mean() - colours[8:, 0].mean()).abs()
    assert between > 80
    assert colours[:8, 0].std() < 10


def test_equal_latents_have_equal_colours_in_every_picture(painter):
    torch.manual_seed(0)
    first, second = torch.randn(2, 16, 24)
    before = painter.paint(first)
    painter.paint(second)
    assert torch.equal(painter.paint(first), before)


def test_picture_shows_what_the_encoder_saw_beside_the_patches(painter):
    torch.manual_seed(0)
    rgb = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8)
    latents = torch.randn(16, 24)
    picture = painter.beside_input(rgb, latents)
    assert (picture.dtype, tuple(picture.shape)) == (torch.uint8, (32, 64, 3))
    assert torch.equal(picture[:, :32], rgb)
    tokens = painter.paint(latents)
    assert torch.equal(picture[8:16, 40:48], tokens[1, 1].expand(8, 8, 3))
