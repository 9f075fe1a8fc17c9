"""The algorithm that planning is measured against: V-JEPA 2-AC's, step by step as published.

It rotates every token type on its own with angles computed on the spot, masks attention
densely, runs the whole sequence again at each step of a rollout for every candidate, and moves
poses with scipy, one sample at a time. Written for this comparison; it shares no code with
the planner that it is compared to.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial.transform import Rotation
from torch import Tensor

Weights = dict[str, Tensor]


def plan(
    weights: Weights,
    heads: int,
    latent: Tensor,
    state: Tensor,
    goal: Tensor,
    *,
    horizon: int,
    samples: int,
    iterations: int,
    elites: int,
    max_step: float,
    seed: int,
) -> tuple[Tensor, list[Tensor]]:
    """The cross-entropy method over dx, dy, dz and gripper from one frame [L, D].

    Returns the actions [H, 7] and each iteration's energies [samples].
    """
    generator = torch.Generator(latent.device).manual_seed(seed)
    momentum = 0.15
    mean = torch.zeros(horizon, 4, device=latent.device)
    std = torch.tensor([max_step, max_step, max_step, 1.0], device=latent.device).repeat(horizon, 1)
    energies = []
    for _ in range(iterations):
        latents, states = latent.expand(samples, 1, -1, -1), state.expand(samples, 1, 7)
        actions = torch.empty(samples, 0, 7, device=latent.device)
        for step in range(horizon):
            noise = torch.randn(samples, 4, generator=generator, device=latent.device)
            drawn = noise * std[step] + mean[step]
            action = torch.zeros(samples, 7, device=latent.device)
            action[:, :3] = drawn[:, :3].clip(-max_step, max_step)
            action[:, 6:] = drawn[:, 3:].clip(-0.75, 0.75)
            actions = torch.cat((actions, action[:, None]), 1)
            nexts = predict(weights, heads, latents, actions, states)[:, -1:]
            latents = torch.cat((latents, nexts), 1)
            states = torch.cat((states, move(states[:, -1], action)[:, None]), 1)
        energies.append((latents[:, -1].flatten(1) - goal.flatten()).abs().mean(-1))
        chosen = actions[energies[-1].topk(elites, largest=False).indices][..., [0, 1, 2, 6]]
        mean = chosen.mean(0) * (1 - momentum) + mean * momentum
        std = chosen.std(0) * (1 - momentum) + std * momentum

    result = torch.zeros(horizon, 7, device=latent.device)
    result[:, :3] = mean[:, :3]
    result[:, 6] = torch.where(mean[:, 3].abs() < 0.25, 0.0, mean[:, 3])
    return result, energies


def move(states: Tensor, actions: Tensor) -> Tensor:
    poses, deltas = states.cpu().numpy(), actions.cpu().numpy()
    turned = [
        (Rotation.from_euler("xyz", delta) * Rotation.from_euler("xyz", pose)).as_euler("xyz")
        for pose, delta in zip(poses[:, 3:6], deltas[:, 3:6], strict=True)
    ]
    closedness = np.clip(poses[:, 6:] + deltas[:, 6:], 0, 1)
    moved = np.concatenate((poses[:, :3] + deltas[:, :3], np.stack(turned), closedness), -1)
    return torch.from_numpy(moved).to(states)


# --- the predictor -----------------------------------------------------------------------


def predict(
    weights: Weights, heads: int, latents: Tensor, actions: Tensor, states: Tensor
) -> Tensor:
    """The latent after each frame [B, T, L, D], by the whole sequence of tokens."""
    frames, patches = latents.shape[1:3]
    action = linear(weights, "action_encoder", actions)[:, :, None]
    state = linear(weights, "state_encoder", states)[:, :, None]
    x = torch.cat((action, state, linear(weights, "predictor_embed", latents)), 2).flatten(1, 2)

    frame = torch.arange(frames, device=x.device).repeat_interleave(2 + patches)
    mask = frame[:, None] >= frame
    depth = len({name.split(".")[1] for name in weights if name.startswith("predictor_blocks")})
    for index in range(depth):
        block = f"predictor_blocks.{index}"
        h = norm(weights, f"{block}.norm1", x)
        x = x + attention(weights, f"{block}.attn", heads, h, frames, mask)
        h = linear(weights, f"{block}.mlp.fc1", norm(weights, f"{block}.norm2", x))
        x = x + linear(weights, f"{block}.mlp.fc2", F.gelu(h))

    x = x.unflatten(1, (frames, -1))[:, :, 2:]
    x = linear(weights, "predictor_proj", norm(weights, "predictor_norm", x))
    return F.layer_norm(x, x.shape[-1:])


def attention(
    weights: Weights, name: str, heads: int, x: Tensor, frames: int, mask: Tensor
) -> Tensor:
    batch, _, width = x.shape
    x = x.view(batch, frames, -1, width)
    grid = round((x.shape[2] - 2) ** 0.5)
    patch = torch.arange(frames * grid**2, device=x.device)
    time, row, column = patch // grid**2, patch % grid**2 // grid, patch % grid
    section = 2 * (width // heads // 3 // 2)

    def project(tokens: Tensor) -> tuple[Tensor, ...]:
        qkv = linear(weights, f"{name}.qkv", tokens.flatten(1, 2))
        return qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def turn_patches(z: Tensor) -> Tensor:
        parts = z.split((section, section, section, z.shape[-1] - 3 * section), -1)
        turned = [turn(part, at) for part, at in zip(parts, (time, row, column), strict=False)]
        return torch.cat((*turned, parts[3]), -1)

    def turn_control(z: Tensor) -> Tensor:
        time = torch.arange(frames, device=x.device)
        return torch.cat((turn(z[..., :section], time), z[..., section:]), -1)

    controls = [project(x[:, :, index : index + 1]) for index in range(2)]
    queries, keys, values = project(x[:, :, 2:])

    def merge(patches: Tensor, *controls: Tensor) -> Tensor:
        tokens = (*controls, patches)
        split = [token.unflatten(2, (frames, -1)) for token in tokens]
        return torch.cat(split, 3).flatten(2, 3)

    queries = merge(turn_patches(queries), *(turn_control(control[0]) for control in controls))
    keys = merge(turn_patches(keys), *(turn_control(control[1]) for control in controls))
    values = merge(values, *(control[2] for control in controls))
    x = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    return linear(weights, f"{name}.proj", x.transpose(1, 2).flatten(2))


def turn(x: Tensor, positions: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    omega = 1 / 10000 ** (torch.arange(half, dtype=x.dtype, device=x.device) / half)
    angles = (positions[:, None] * omega).repeat(1, 2)
    one, other = x.unflatten(-1, (-1, 2)).unbind(-1)
    return x * angles.cos() + torch.stack((-other, one), -1).flatten(-2) * angles.sin()


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(
        x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps=1e-6
    )
