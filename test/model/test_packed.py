"""Weights laid out once: the same numbers, and the gradients of the ordinary layers."""

import pytest
import torch
from torch import nn

from vjepa_ros.model.packed import PackedLinear, packed
from vjepa_ros.model.transformer import Block, Mlp, grid_positions, rotary_tables
from vjepa_ros.planning.world_model import fast_dtype

pytestmark = pytest.mark.skipif(
    fast_dtype(torch.device("cpu")) != torch.bfloat16,
    reason="weights are packed on CPUs that multiply bfloat16 alone: this one does not",
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("rows", [1, 66, 528])
@torch.no_grad()
def test_a_product_has_the_bits_of_the_ordinary_one(rows):
    linear = nn.Linear(128, 384).bfloat16()
    x = torch.randn(3, rows, 128).bfloat16()
    assert torch.equal(PackedLinear(linear)(x), linear(x))


@torch.no_grad()
def test_gelu_is_of_the_sums_before_they_are_rounded():
    """In float32 from the same bf16 numbers; rounded in between, it is further off."""
    mlp = Mlp(64, 256).bfloat16()
    x = 2 * torch.randn(40, 64).bfloat16()
    exact = nn.functional.gelu(mlp.fc1.float()(x.float()))
    mlp.bfloat16()
    rounded = nn.functional.gelu(mlp.fc1(x)).float()
    ours = packed(nn.Sequential(mlp))[0].fc1.then_gelu(x).float()
    assert (ours - exact).abs().mean() < 0.8 * (rounded - exact).abs().mean()


def test_gradients_are_those_of_the_ordinary_block():
    block = Block(width=64, heads=2).bfloat16()
    rotary = rotary_tables(grid_positions(1, 3, 3), 32, heads=4)
    x = torch.randn(2, 9, 64)
    gradients = []
    for one in (block, packed(block)):
        start = x.clone().requires_grad_()
        one(start, rotary).square().mean().backward()
        gradients.append(start.grad)
    assert gradients[0].any()
    assert torch.equal(*gradients)


def test_parameters_are_shared_and_the_model_is_left_as_it_was():
    block = Block(width=64, heads=2).bfloat16()
    before = {name: one.data_ptr() for name, one in block.named_parameters()}
    other = packed(block)
    assert {name: one.data_ptr() for name, one in other.named_parameters()} == before
    assert type(block.mlp) is Mlp
    assert type(block.attn.qkv) is nn.Linear
