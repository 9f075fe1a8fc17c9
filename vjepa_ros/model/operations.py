"""What imagining costs on paper, floating point operations, and how fast a device is at them."""

import time
from collections.abc import Callable

import torch

from vjepa_ros.model.predictor import PredictorConfig


def cached_operations(config: PredictorConfig, horizon: int) -> dict[str, float]:
    """Count the operations of one candidate, by part, from one shared context frame."""
    most = config.window or horizon
    computed = [1 if frames <= most else most for frames in range(1, horizon + 1)]
    seen = [min(frames, most) for frames in range(1, horizon + 1)]
    return _total(config, computed, seen, embedded=sum(computed) - 1)


def plain_operations(config: PredictorConfig, horizon: int) -> dict[str, float]:
    """Count the same where each step runs the whole sequence again, under a dense mask."""
    frames = list(range(1, horizon + 1))
    return _total(config, computed=frames, seen=frames, embedded=sum(frames))


def _total(
    config: PredictorConfig, computed: list[int], seen: list[int], embedded: int
) -> dict[str, float]:
    """Each step computes some frames, every one of which sees some frames."""
    tokens, width = config.patches + config.controls, config.width
    product = 2 * width * config.latent_width * config.patches
    pairs = sum(ours * theirs for ours, theirs in zip(computed, seen, strict=True))
    weights = width**2 * (4 + 2 * config.mlp_ratio)
    return {
        "linear": 2.0 * config.depth * weights * tokens * sum(computed),
        "attention": 4.0 * config.depth * width * tokens**2 * pairs,
        "input and output": float(product * (embedded + sum(computed))),
    }


def matmul_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Operations a second of a large matrix product."""
    side = 8192 if device.type == "cuda" else 1024
    a, b = torch.randn(2, side, side, device=device).to(dtype)
    return 2 * side**3 / _fastest(lambda: a @ b, device)


def _fastest(work: Callable[[], object], device: torch.device, times: int = 8) -> float:
    seconds = []
    for _ in range(times):
        _synchronize(device)
        start = time.perf_counter()
        work()
        _synchronize(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
