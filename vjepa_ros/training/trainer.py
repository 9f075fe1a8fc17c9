"""The loop that both stages share: optimise, average, record, checkpoint, go on after a kill.

Nothing depends on how often a run was interrupted: batches, masks and augmentation are drawn
from (seed, step), and the checkpoint holds the rest.
"""

import csv
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vjepa_gate.settings import REQUIRED, setting
from vjepa_ros.training.data import EpisodeSet, Share


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How a stage is optimised."""

    steps: int = setting(REQUIRED, "of the optimizer", low=1)
    batch: int = setting(12, "windows, over all processes", low=1)
    seed: int = setting(0, "of windows and masks", low=0)
    far: int = setting(
        1, "times as often that frames are drawn whose hand is far from the object", low=1, high=100
    )
    learning_rate: float = setting(1e-3, "at its highest", low=0.0, high=1.0)
    warmup: int = setting(100, "steps", low=0)
    final_share: float = setting(
        0.02, "of the learning rate, that is left at the end", low=0.0, high=1.0
    )
    weight_decay: float = setting(0.04, "of the matrices", low=0.0, high=1.0)
    clip: float = setting(1.0, "of the gradient's norm", low=0.0)
    average: float = setting(
        0.998, "momentum of moving averages, reached gradually", low=0.0, high=1.0
    )
    precision: Literal["bf16", "float32"] = setting("bf16", "of the arithmetic")
    checkpoint_every: int = setting(200, "steps", low=1)
    log_every: int = setting(1, "steps", low=1)
    workers: int = setting(2, "threads that read ahead", low=0, high=1024)


class Stage(Protocol):
    """What is trained: a module whose forward gives the terms of its loss."""

    fixed: tuple[str, ...]  # prefixes of what never changes, which checkpoints leave out

    @property
    def frames(self) -> int:
        """Frames of a window."""

    def averages(self) -> Iterable[tuple[nn.Module, nn.Module]]:
        """Modules, and those that follow them as moving averages."""


def train(
    stage: Any,
    episodes: EpisodeSet,
    config: TrainerConfig,
    folder: Path,
    device: torch.device,
    on_step: Callable[[int], None] = lambda done: None,
) -> None:
    """Train until `config.steps`, from the checkpoint in the folder if there is one.

    `on_step` is called with the number of steps done.
    """
    share = this_share()
    stage.to(device)
    parameters = {name: p for name, p in stage.named_parameters() if p.requires_grad}
    optimizer = torch.optim.AdamW(
        _groups(parameters, config.weight_decay),
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        fused=True,  # a tenth of a small model's step on a CPU
    )
    first = _resume(folder, stage, optimizer, config)
    module = DistributedDataParallel(stage) if share.world > 1 else stage
    batches = episodes.stream(
        batch=config.batch, frames=stage.frames, seed=config.seed,
        steps=range(first, config.steps), share=share, workers=config.workers, far=config.far,
    )  # fmt: skip
    with Metrics(folder / "metrics.csv", first, active=share.rank == 0) as metrics:
        for step, batch in enumerate(batches, start=first):
            rate = learning_rate(step, config)
            for group in optimizer.param_groups:
                group["lr"] = rate
            generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
            with _autocast(device, config.precision):
                terms = module(batch.to(device), generator, share)
            loss = torch.stack(list(terms.values())).sum()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(parameters.values(), config.clip)
            if not norm.isfinite():
                raise FloatingPointError(
                    f"step {step}: the gradient is {norm.item()}: lower the learning rate"
                )
            optimizer.step()
            optimizer.zero_grad()
            _follow(stage, min(config.average, (1 + step) / (10 + step)))
            if step % config.log_every == 0 or step == config.steps - 1:
                values = _mean_over_processes({"loss": loss, **terms})
                metrics.write(step, {"learning_rate": rate, **values, "gradient": norm.item()})
            done = step + 1
            if done % config.checkpoint_every == 0 or done == config.steps:
                if share.rank == 0:
                    save_checkpoint(folder, stage, optimizer, done, config)
                if share.world > 1:
                    dist.barrier()
            on_step(done)


# --- the pieces of a step ----------------------------------------------------------------


def learning_rate(step: int, config: TrainerConfig) -> float:
    """Linear warm-up, then a cosine down to the final share."""
    if step < config.warmup:
        return config.learning_rate * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    cosine = (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate * (config.final_share + (1 - config.final_share) * cosine)


def _groups(parameters: Mapping[str, nn.Parameter], decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms and single vectors do not."""
    matrices = [p for p in parameters.values() if p.ndim > 1]
    vectors = [p for p in parameters.values() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


@torch.no_grad()
def _follow(stage: Stage, momentum: float) -> None:
    """Move the averages a little towards what they are averages of."""
    for live, average in stage.averages():
        for trained, averaged in zip(live.parameters(), average.parameters(), strict=True):
            averaged.lerp_(trained, 1 - momentum)


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


# --- processes ---------------------------------------------------------------------------


@contextmanager
def process_group(device: torch.device) -> Iterator[Share]:
    """This process's share of the work; more than one where `torchrun` started us."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Share()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield this_share()
    finally:
        dist.destroy_process_group()


def this_share() -> Share:
    """Find this process's share of each batch."""
    if not dist.is_initialized():
        return Share()
    return Share(dist.get_rank(), dist.get_world_size())


def _mean_over_processes(values: Mapping[str, Tensor]) -> dict[str, float]:
    means = torch.stack([value.detach().float() for value in values.values()])
    if dist.is_initialized():
        dist.all_reduce(means)
        means /= dist.get_world_size()
    return dict(zip(values, means.tolist(), strict=True))


# --- what is kept ------------------------------------------------------------------------

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(
    folder: Path, stage: nn.Module, optimizer: torch.optim.Optimizer, step: int,
    config: TrainerConfig,
) -> None:  # fmt: skip
    """All that training needs to go on; the file appears when it is whole."""
    content = {
        "step": step,
        "settings": asdict(config),
        "stage": _changing(stage),
        "optimizer": optimizer.state_dict(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{CHECKPOINT}.partial"
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / CHECKPOINT)


def _changing(stage: Any) -> dict[str, Tensor]:
    return {
        name: value
        for name, value in stage.state_dict().items()
        if not name.startswith(stage.fixed)
    }


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Load where a run was interrupted; None where it was not."""
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _resume(
    folder: Path, stage: nn.Module, optimizer: torch.optim.Optimizer, config: TrainerConfig
) -> int:
    """The step to go on with."""
    checkpoint = load_checkpoint(folder)
    if checkpoint is None:
        return 0
    # What may differ between two runs of one training without changing its result.
    free = {"workers", "checkpoint_every", "log_every"}
    found, wanted = checkpoint["settings"], asdict(config)
    different = [key for key in wanted if key not in free and found.get(key) != wanted[key]]
    if different:
        raise ValueError(
            f"{folder / CHECKPOINT} was trained with other settings: "
            + ", ".join(f"{key} {found.get(key)!r}, now {wanted[key]!r}" for key in different)
            + "; choose another --out, or the settings that it was begun with"
        )
    stage.load_state_dict({**stage.state_dict(), **checkpoint["stage"]})
    optimizer.load_state_dict(checkpoint["optimizer"])
    return int(checkpoint["step"])


class Metrics:
    """A CSV with a row per recorded step; rows that a resumed run will make again are dropped."""

    def __init__(self, path: Path, first: int, active: bool = True) -> None:
        self.path, self.active = path, active
        self.before, self.began = 0.0, time.monotonic()
        if not active:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [row for row in read_metrics(path) if row["step"] < first]
        self.before = rows[-1]["seconds"] if rows else 0.0
        self.file = path.open("w", newline="")
        self.writer: csv.DictWriter[str] | None = None
        for row in rows:
            self._write(row)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append a row to the file."""
        if self.active:
            seconds = self.before + time.monotonic() - self.began
            self._write({"step": step, "seconds": round(seconds, 2), **values})
            self.file.flush()

    def _write(self, row: Mapping[str, float]) -> None:
        if self.writer is None:
            self.writer = csv.DictWriter(self.file, list(row))
            self.writer.writeheader()
        self.writer.writerow(row)

    def __enter__(self) -> "Metrics":
        return self

    def __exit__(self, *_: object) -> None:
        if self.active:
            self.file.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a metrics CSV; one that a kill cut short is left out."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        {name: float(value) for name, value in row.items()}
        for row in rows
        if all(row.get(name) for name in row) and None not in row
    ]
