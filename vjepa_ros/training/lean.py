"""Training a large predictor in little memory: low-rank updates, recomputed activations."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.transformer import KeyValueCache, Rotary

# --- low-rank updates (LoRA) -------------------------------------------------------------


class LowRankLinear(nn.Module):
    """A frozen linear layer, and a trained update of low rank that starts at zero."""

    def __init__(self, frozen: nn.Linear, rank: int) -> None:
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        weight = frozen.weight
        self.down = nn.Parameter(weight.new_empty(rank, frozen.in_features))
        self.up = nn.Parameter(weight.new_zeros(frozen.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Add the update to what the frozen matrix gives."""
        return self.frozen(x) + F.linear(F.linear(x, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Add the update to the matrix for good, and give that."""
        self.frozen.weight += self.up @ self.down
        return self.frozen


def add_low_rank(predictor: Predictor, rank: int) -> None:
    """Freeze the blocks and train an update of each of their matrices instead.

    What reads actions and states stays trainable as it is: it is small, and what differs most
    from one robot to another.
    """
    for owner, name, linear in _block_linears(predictor, nn.Linear):
        setattr(owner, name, LowRankLinear(linear, rank))
    for name, parameter in predictor.named_parameters():
        trained = ".up" in name or ".down" in name or not name.startswith("predictor_blocks")
        parameter.requires_grad_(trained)


def merge_low_rank(predictor: Predictor) -> Predictor:
    """The same predictor with plain layers again, the updates added into them."""
    for owner, name, linear in _block_linears(predictor, LowRankLinear):
        setattr(owner, name, linear.merged())
    return predictor


def _block_linears(predictor: Predictor, kind: type[nn.Module]) -> list[tuple[nn.Module, str, Any]]:
    found = []
    for block in predictor.predictor_blocks:
        for owner in block.modules():
            found += [(owner, name, m) for name, m in owner.named_children() if type(m) is kind]
    return found


# --- recomputed activations --------------------------------------------------------------


def recompute_blocks(predictor: Predictor) -> None:
    """Keep only the blocks' inputs, and compute each again in the backward pass."""
    for block in predictor.predictor_blocks:
        block.forward = partial(_recomputed, block.forward)


def _recomputed(
    forward: Callable[..., Tensor],
    x: Tensor,
    rotary: Rotary,
    frames: int = 1,
    cache: KeyValueCache | None = None,
) -> Tensor:
    if cache is None:
        return checkpoint(forward, x, rotary, frames, use_reentrant=False)

    def extend(x: Tensor, keys: Tensor | None, values: Tensor | None) -> tuple[Any, ...]:
        # A cache of its own: the second time around it must not find what the first one left.
        own = KeyValueCache()
        own.keys, own.values = keys, values
        return forward(x, rotary, frames, own), own.keys, own.values

    x, cache.keys, cache.values = checkpoint(
        extend, x, cache.keys, cache.values, use_reentrant=False
    )
    return x
