"""What planning moves through memory on paper, and what this machine can do."""

from pathlib import Path

import torch

from vjepa_ros.model.predictor import PredictorConfig


def cached_bytes(config: PredictorConfig, horizon: int, itemsize: int) -> float:
    """Bytes that a candidate's activations move through memory when no kernel is fused.

    Counted in widths of a token, read and written, for one block: norms and residuals 10,
    qkv 4, rotation 14, attention 6 and 2 for each frame of keys and values, proj 2, mlp
    2 + 4 × its ratio. Kernels that fuse elementwise work move about half.
    """
    tokens = (config.patches + config.controls) * config.width * itemsize
    passes = sum(38 + 4 * config.mlp_ratio + 2 * frames for frames in range(1, horizon + 1))
    return config.depth * tokens * passes


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def forget_peak_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """The most bytes since `forget_peak_memory`: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024
