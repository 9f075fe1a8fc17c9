"""The predictor against the published algorithm, written out plainly: one sequence of all
tokens, a dense mask, softmax, and a rotation computed token by token."""

import dataclasses
import math

import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear

from vjepa_ros.model.predictor import Past, Predictor, PredictorConfig

CONFIG = PredictorConfig(latent_width=24, grid=3, width=64, depth=3, heads=2, max_frames=12)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_predictor(**changes):
    """Weights large enough that every part of the model shows in its output."""
    predictor = Predictor(dataclasses.replace(CONFIG, **changes))
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return predictor.requires_grad_(False)


def make_frames(batch, frames, config=CONFIG):
    latents = layer_norm(torch.randn(batch, frames, config.patches, config.latent_width), (24,))
    return latents, 0.3 * torch.randn(batch, frames, 7), torch.randn(batch, frames, 7)


# --- the plain algorithm -----------------------------------------------------------------


def plain_predictor(weights, config, latents, actions, states, extrinsics=None):
    """The state dict and [B, T, ...] inputs to the next latents [B, T, patches, latent_width]."""

    def dense(name, x):
        return linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, x):
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return layer_norm(x, scale.shape, scale, shift, eps=1e-6)

    batch, frames = latents.shape[:2]
    tokens, places = [], []  # of the whole sequence
    for t in range(frames):
        tokens += [dense("action_encoder", actions[:, t])]
        places += [(t, 0, 0)]
        if config.state:
            tokens += [dense("state_encoder", states[:, t])]
            places += [(t, 0, 0)]
        if extrinsics is not None:
            tokens += [dense("extrinsics_encoder", extrinsics[:, t])]
            places += [(t, 0, 0)]
        for patch in range(config.patches):
            tokens += [dense("predictor_embed", latents[:, t, patch])]
            places += [(t, patch // config.grid, patch % config.grid)]
    x = torch.stack(tokens, 1)

    hidden = torch.tensor([[other[0] > one[0] for other in places] for one in places])
    for index in range(config.depth):
        block = f"predictor_blocks.{index}"
        qkv = dense(f"{block}.attn.qkv", norm(f"{block}.norm1", x))
        queries, keys, values = qkv.view(batch, len(places), 3, config.heads, -1).unbind(2)
        heads = []
        for head in range(config.heads):
            q = plain_rotation(queries[:, :, head], places)
            k = plain_rotation(keys[:, :, head], places)
            scores = q @ k.mT / math.sqrt(q.shape[-1])
            scores = scores.masked_fill(hidden, -torch.inf)
            heads += [scores.softmax(-1) @ values[:, :, head]]
        x = x + dense(f"{block}.attn.proj", torch.cat(heads, -1))
        h = norm(f"{block}.norm2", x)
        x = x + dense(f"{block}.mlp.fc2", gelu(dense(f"{block}.mlp.fc1", h)))

    x = x.view(batch, frames, -1, config.width)[:, :, -config.patches :]
    x = dense("predictor_proj", norm("predictor_norm", x))
    if config.residual:
        x = x + latents
    return layer_norm(x, x.shape[-1:])


def plain_rotation(x, places):
    """x [B, L, head_dim]: a third of the channels by time, one by row, one by column."""
    section = 2 * (x.shape[-1] // 3 // 2)
    frequency = 10000 ** -(torch.arange(section // 2) / (section / 2))
    out = x.clone()
    for token, place in enumerate(places):
        for axis in range(3):
            one = x[:, token, axis * section : (axis + 1) * section]
            angle = torch.cat((place[axis] * frequency, place[axis] * frequency))  # tiled
            quarter_turn = torch.stack((-one[:, 1::2], one[:, 0::2]), -1).flatten(1)
            turned = one * angle.cos() + quarter_turn * angle.sin()
            out[:, token, axis * section : (axis + 1) * section] = turned
    return out


# --- tests -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes", [{}, {"residual": True}, {"heads": 4}, {"grid": 2}, {"state": False}]
)
@pytest.mark.parametrize("frames", [1, 2, 4])
def test_equals_the_plain_algorithm(frames, changes):
    predictor = make_predictor(**changes)
    inputs = make_frames(2, frames, predictor.config)
    expected = plain_predictor(predictor.state_dict(), predictor.config, *inputs)
    torch.testing.assert_close(predictor(*inputs), expected, rtol=1e-4, atol=1e-5)


def test_extrinsics_are_the_third_token():
    predictor = make_predictor(extrinsics=True)
    inputs, extrinsics = make_frames(2, 3), torch.randn(2, 3, 6)
    expected = plain_predictor(predictor.state_dict(), predictor.config, *inputs, extrinsics)
    torch.testing.assert_close(predictor(*inputs, extrinsics), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("wants", [True, False])
def test_extrinsics_are_given_exactly_when_wanted(wants):
    extrinsics = None if wants else torch.randn(1, 1, 6)
    with pytest.raises(ValueError, match=r"extrinsics: .* (needs|takes no) extrinsics"):
        make_predictor(extrinsics=wants)(*make_frames(1, 1), extrinsics)


def test_a_frame_does_not_see_later_ones():
    predictor = make_predictor()
    inputs = make_frames(1, 4)
    before = predictor(*inputs)
    for values in inputs:
        values[:, 2] += 1
    after = predictor(*inputs)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.isclose(before[:, 2:], after[:, 2:]).all(-1).all(-1).any()


@pytest.mark.parametrize("split", [1, 2, 3])
def test_frames_may_come_in_parts_through_a_past(split):
    predictor = make_predictor()
    inputs = make_frames(2, 4)
    past = Past(CONFIG.depth)
    parts = [
        predictor(*(values[:, :split] for values in inputs), past=past),
        predictor(*(values[:, split:] for values in inputs), past=past),
    ]
    torch.testing.assert_close(torch.cat(parts, 1), predictor(*inputs))
    assert past.frames == 4


def test_a_branch_leaves_its_past_as_it_was():
    predictor = make_predictor()
    past = Past(CONFIG.depth)
    predictor(*make_frames(1, 1), past=past)
    frame = make_frames(3, 1)
    first = predictor(*frame, past=past.branch())
    assert past.frames == 1
    torch.testing.assert_close(predictor(*frame, past=past.branch()), first)


def test_one_latent_serves_a_batch_of_actions():
    predictor = make_predictor()
    latents, actions, states = make_frames(5, 1)
    shared = predictor(latents[:1], actions, states)
    torch.testing.assert_close(shared, predictor(latents[:1].repeat(5, 1, 1, 1), actions, states))


def test_output_is_layer_normalised():
    output = make_predictor()(*make_frames(2, 2))
    again = layer_norm(output, (CONFIG.latent_width,))
    torch.testing.assert_close(output, again, rtol=1e-4, atol=1e-4)


def test_an_untrained_residual_predictor_repeats_its_input():
    latents, actions, states = make_frames(2, 2)
    predictor = Predictor(dataclasses.replace(CONFIG, residual=True))
    torch.testing.assert_close(predictor(latents, actions, states), latents, rtol=1e-4, atol=1e-5)


def test_gradient_in_the_actions_is_that_of_finite_differences():
    predictor = make_predictor()
    latents, actions, states = make_frames(1, 2)
    goal = torch.randn(9, 24)

    def energy(values):
        return (predictor(latents, values, states)[:, -1] - goal).square().mean()

    actions.requires_grad_()
    (gradient,) = torch.autograd.grad(energy(actions), actions)
    nudge = 1e-2 * gradient / gradient.norm()
    slope = (energy(actions + nudge) - energy(actions - nudge)) / 2e-2
    assert gradient.norm().item() == pytest.approx(slope.item(), rel=2e-2)
    assert gradient.abs().min() > 0  # every number of every action matters


def test_bf16_stays_close_to_float32():
    predictor, inputs = make_predictor(), make_frames(2, 2)
    exact = predictor(*inputs)
    rounded = predictor.to(torch.bfloat16)(*inputs)
    assert rounded.dtype == torch.float32
    assert (rounded - exact).abs().mean() < 0.03 * exact.abs().mean()


def test_meta_checkpoint_names():
    names = set(Predictor(dataclasses.replace(CONFIG, extrinsics=True)).state_dict())
    outer = ["predictor_embed", "action_encoder", "state_encoder", "extrinsics_encoder"]
    inner = ["norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"]
    layers = [*outer, "predictor_norm", "predictor_proj"]
    layers += [f"predictor_blocks.{block}.{layer}" for block in range(3) for layer in inner]
    assert names == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def test_the_published_size():
    with torch.device("meta"):
        predictor = Predictor(PredictorConfig(latent_width=1408, extrinsics=True))
    assert sum(p.numel() for p in predictor.parameters()) == 305_220_992
