"""The shared block, against formulas written out element by element."""

import math

import pytest
import torch

from vjepa_ros.model.transformer import (
    Attention,
    Block,
    KeyValueCache,
    grid_positions,
    init_weights,
    rotary_tables,
    rotate,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def rotated_by_hand(vector, position):
    """One head of one token, channel by channel, in double precision."""
    head_dim = len(vector)
    section = 2 * ((head_dim // 3) // 2)
    half = section // 2
    out = list(vector)
    for axis in range(3):
        for channel in range(section):
            angle = position[axis] / 10000 ** ((channel % half) / half)
            here, pair = axis * section + channel, axis * section + (channel ^ 1)
            other = -vector[pair] if channel % 2 == 0 else vector[pair]
            out[here] = vector[here] * math.cos(angle) + other * math.sin(angle)
    return out


@pytest.mark.parametrize("head_dim", [16, 32, 64, 80, 88])
def test_rotation_equals_the_formula(head_dim):
    positions = grid_positions(frames=2, rows=3, columns=4)
    x = torch.randn(len(positions), head_dim)
    by_hand = torch.tensor(
        [rotated_by_hand(v, p) for v, p in zip(x.tolist(), positions.tolist(), strict=True)]
    )
    torch.testing.assert_close(rotate(x, rotary_tables(positions, head_dim)), by_hand)


def test_grid_runs_over_columns_first_then_rows_then_frames():
    positions = grid_positions(2, 2, 3)
    assert positions[:4].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0]]
    assert positions[6].tolist() == [1, 0, 0]


def test_angles_are_float32_in_a_bf16_model():
    rotary = rotary_tables(torch.tensor([[1001.0, 0, 0]]), 64)
    assert rotary[0].dtype == torch.float32
    turned = rotate(torch.eye(64, dtype=torch.bfloat16)[:1], rotary)
    assert turned.dtype == torch.bfloat16
    assert turned[0, 0].float() == pytest.approx(math.cos(1001.0), abs=4e-3)


@pytest.fixture
def attention():
    return Attention(width=48, heads=3)


def test_frames_see_themselves_and_the_past_only(attention):
    """Against softmax over a mask written out in full."""
    frames, block = 3, 4
    positions = grid_positions(3, 2, 2)
    x, rotary = torch.randn(2, frames * block, 48), rotary_tables(positions, 16, heads=6)
    qkv = attention.qkv(x).view(2, 12, 3, 3, 16).permute(2, 0, 3, 1, 4)
    one_head = rotary_tables(positions, 16)
    queries, keys, values = rotate(qkv[0], one_head), rotate(qkv[1], one_head), qkv[2]
    frame = torch.arange(12) // block
    scores = (queries @ keys.mT / 4).masked_fill(frame[:, None] < frame, -torch.inf)
    expected = attention.proj((scores.softmax(-1) @ values).transpose(1, 2).reshape(2, 12, 48))
    torch.testing.assert_close(attention(x, rotary, frames=frames), expected)


def test_cache_continues_a_sequence_and_is_shared_over_the_batch(attention):
    rotary = rotary_tables(grid_positions(3, 2, 2), 16, heads=6)
    past, rest = torch.randn(1, 4, 48), torch.randn(5, 8, 48)
    whole = attention(torch.cat((past.expand(5, -1, -1), rest), 1), rotary, frames=3)

    cache = KeyValueCache()
    first = attention(past, tuple(t[:4] for t in rotary), cache=cache)
    second = attention(rest, tuple(t[4:] for t in rotary), frames=2, cache=cache)
    torch.testing.assert_close(first.expand(5, -1, -1), whole[:, :4])
    torch.testing.assert_close(second, whole[:, 4:])
    assert cache.keys.shape == (5, 3, 12, 16)


def test_block_is_pre_norm_with_two_residuals():
    block = Block(width=48, heads=3, mlp_ratio=4)
    x, rotary = torch.randn(1, 4, 48), rotary_tables(grid_positions(1, 2, 2), 16, heads=6)
    middle = x + block.attn(block.norm1(x), rotary)
    torch.testing.assert_close(block(x, rotary), middle + block.mlp(block.norm2(middle)))
    assert block.norm1.eps == block.norm2.eps == 1e-6
    assert Block(width=1408, heads=22, mlp_ratio=48 / 11).mlp.fc1.out_features == 6144


def test_init_scales_residual_branches_by_depth():
    blocks = torch.nn.ModuleList(Block(width=96, heads=3) for _ in range(4))
    init_weights(blocks)
    assert blocks[3].attn.qkv.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert blocks[3].mlp.fc2.weight.std().item() == pytest.approx(0.02 / math.sqrt(8), rel=0.05)
    assert not blocks[0].mlp.fc1.bias.any()


def test_float32_tokens_keep_their_precision_between_bf16_blocks():
    block = Block(width=48, heads=3).to(torch.bfloat16)
    rotary = rotary_tables(grid_positions(1, 2, 2), 16, heads=6)
    exact = 256 + torch.randn(1, 4, 48) / 256  # bf16 would round this to 256
    output = block(exact, rotary)
    assert output.dtype == torch.float32
    with torch.no_grad():
        block.attn.proj.weight.zero_(), block.attn.proj.bias.zero_()
        block.mlp.fc2.weight.zero_(), block.mlp.fc2.bias.zero_()
    assert torch.equal(block(exact, rotary), exact)
