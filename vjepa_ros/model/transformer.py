"""The transformer block that the video encoder and the predictor share.

Positions are rotary in three dimensions: time, row and column each turn a third of a head's
channels (head_dim // 3, rounded down to even), and the channels left over stay as they are.
Module names are those of the published checkpoints, so that their keys map by renaming.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPS = 1e-6

Rotary = tuple[Tensor, Tensor]  # cosines and signed sines, [..., L, heads * head_dim] each

# Bytes of attention's scores at once: on a CPU they stay in its cache until they weigh the values.
_SCORES = 9 << 18


# --- rotary positions --------------------------------------------------------------------


def grid_positions(
    frames: int, rows: int, columns: int, device: torch.device | str | None = None
) -> Tensor:
    """Position (time, row, column) of every patch of a clip, [frames * rows * columns, 3]."""
    axes = (torch.arange(size, device=device) for size in (frames, rows, columns))
    return torch.cartesian_prod(*axes).float()


def rotary_tables(
    positions: Tensor, head_dim: int, heads: int = 1, interleaved: bool = False
) -> Rotary:
    """The rotation of tokens at positions [L, 3], for `rotate`: of so many heads side by side.

    A position of 0 leaves its channels unturned. Angles are float32 whatever the model's
    dtype; the original computes them in the dtype of the tokens.
    """
    section = 2 * (head_dim // 3 // 2)
    frequencies = 1e4 ** -(torch.arange(section // 2, device=positions.device) / (section / 2))
    angles = positions.float().unsqueeze(-1) * frequencies  # [L, 3, section / 2]
    # Tiled, the two channels of a pair turn at different frequencies. That is a slip of the
    # original, which the weights of V-JEPA 2 were trained with; 2.1 mended it.
    angles = angles.repeat_interleave(2, -1) if interleaved else angles.repeat(1, 1, 2)
    angles = angles.flatten(1)
    angles = F.pad(angles, (0, head_dim - 3 * section)).repeat(1, heads)
    sign = 2.0 * (torch.arange(angles.shape[1], device=positions.device) % 2) - 1
    return angles.cos(), angles.sin() * sign


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Turn the channel pairs of x [..., L, heads * head_dim] by its tokens' positions."""
    cosines, sines = (table.to(x.dtype) for table in rotary)
    pairs = x.unflatten(-1, (-1, 2))
    swapped = torch.stack((pairs[..., 1], pairs[..., 0]), -1).flatten(-2)
    return torch.addcmul(x * cosines, swapped, sines)


# --- attention ---------------------------------------------------------------------------


class KeyValueCache:
    """Keys and values of the frames that one attention layer has seen, [B, heads, L, head_dim].

    A cache of batch 1 is shared by every sequence of the batch that extends it. A frozen
    one is read and never extended.
    """

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None
        self.frozen = False

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """The past followed by the given keys and values, which join the past."""
        if self.keys is not None and self.values is not None:
            past = (past.expand(len(keys), -1, -1, -1) for past in (self.keys, self.values))
            keys, values = (torch.cat(pair, -2) for pair in zip(past, (keys, values), strict=True))
        elif not self.frozen:
            # They are views of all that was projected, which would live on with them.
            keys, values = keys.clone(), values.clone()
        if not self.frozen:
            self.keys, self.values = keys, values
        return keys, values


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions, block-causal over frames.

    Its rotary tables are of queries and keys side by side, 2 * heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, x: Tensor, rotary: Rotary, frames: int = 1, cache: KeyValueCache | None = None
    ) -> Tensor:
        """x [B, L, width] holds `frames` equal blocks of tokens; each sees itself, those
        before it and the cache, which is extended. One block is full attention."""
        qkv = self.qkv(x)
        # Turned as they lie, heads side by side: head by head, short rows take three times as long.
        turned = rotate(qkv[..., : 2 * x.shape[-1]], rotary)
        queries, keys = turned.unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        values = qkv[..., 2 * x.shape[-1] :].unflatten(-1, (self.heads, -1)).transpose(1, 2)
        if cache is not None:
            keys, values = cache.extend(keys, values)
        return self.proj(_attend(queries, keys, values, frames).transpose(1, 2).flatten(2))


def _attend(queries: Tensor, keys: Tensor, values: Tensor, frames: int) -> Tensor:
    # Frame by frame, each with the keys it may see: no mask, so the fast kernels apply.
    block = queries.shape[-2] // frames
    seen = keys.shape[-2] - queries.shape[-2]
    outputs = [
        _attend_all(
            queries[..., frame * block : (frame + 1) * block, :],
            keys[..., : seen + (frame + 1) * block, :],
            values[..., : seen + (frame + 1) * block, :],
        )
        for frame in range(frames)
    ]
    return outputs[0] if frames == 1 else torch.cat(outputs, -2)


def _attend_all(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    if queries.device.type == "cpu" and queries.dtype == torch.bfloat16:
        # PyTorch's kernel gains nothing from bf16 on a CPU; its matrix products do.
        heads, pairs = queries.shape[1], queries.shape[2] * keys.shape[2]
        at_once = max(1, _SCORES // (heads * pairs * queries.itemsize))
        parts = zip(*(part.split(at_once) for part in (queries, keys, values)), strict=True)
        outputs = [_attend_by_products(*part) for part in parts]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    return F.scaled_dot_product_attention(queries, keys, values)


def _attend_by_products(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    batch = queries.shape[:2]
    queries, keys, values = (part.flatten(0, 1) for part in (queries, keys, values))
    scale = queries.shape[-1] ** -0.5
    scores = torch.baddbmm(queries.new_empty(1), queries, keys.mT, beta=0, alpha=scale)
    return torch.bmm(scores.softmax(-1), values).unflatten(0, batch)


# --- blocks ------------------------------------------------------------------------------


class Norm(nn.LayerNorm):
    """Also takes float32 tokens where the weights are bf16, and returns the weights' dtype."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=NORM_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise in the tokens' own precision, and give the weights'."""
        if x.dtype == self.weight.dtype:
            return super().forward(x)
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        normed = F.layer_norm(x, self.normalized_shape, weight, bias, self.eps)
        return normed.to(self.weight.dtype)


class Mlp(nn.Module):
    """The two layers after the attention of a block."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to each token by itself."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """A pre-norm transformer block; the arguments of `forward` are those of `Attention`.

    The tokens may be float32 where the weights are bf16. Between blocks, that is where most
    of bf16's error would come from.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = Norm(width)
        self.attn = Attention(width, heads)
        self.norm2 = Norm(width)
        self.mlp = Mlp(width, int(width * mlp_ratio))

    def forward(
        self, x: Tensor, rotary: Rotary, frames: int = 1, cache: KeyValueCache | None = None
    ) -> Tensor:
        """Apply to tokens [B, N, D]."""
        x = x + self.attn(self.norm1(x), rotary, frames, cache)
        return x + self.mlp(self.norm2(x))


@torch.no_grad()
def init_weights(model: nn.Module) -> None:
    """The original's initialisation: narrow normal, residual branches scaled by their depth."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Conv3d):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    for depth, block in enumerate(blocks, start=1):
        block.attn.proj.weight /= math.sqrt(2 * depth)
        block.mlp.fc2.weight /= math.sqrt(2 * depth)
