"""`vjepa-ros weights`: what a checkpoint file holds, and lean files made of published ones."""

import argparse
import math
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from vjepa_gate.errors import UserError
from vjepa_ros.commands.settings import read
from vjepa_ros.commands.settings.checks import ConvertWeights, InspectWeights
from vjepa_ros.model.checkpoints import (
    Checkpoint,
    Weights,
    load_weights,
    open_checkpoint,
    save_weights,
)
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.located import known_hash, read_hash
from vjepa_ros.model.published import licence_of
from vjepa_ros.planning.choice import planner_of

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    if arguments.verb == "inspect":
        told = read(InspectWeights, arguments)
        print(describe(open_checkpoint(told.file), told.hash))
    else:
        it = read(ConvertWeights, arguments)
        print(convert(it.input, it.output, DTYPES[it.dtype], it.encoder))
    return 0


# --- inspect -----------------------------------------------------------------------------


def describe(checkpoint: Checkpoint, hashed: bool = False) -> str:
    """A page about a checkpoint file, for people; `hashed` reads it whole."""
    config, path = checkpoint.config, checkpoint.file.path
    rows = [
        ("kind", f"{checkpoint.kind}, {_bytes(path.stat().st_size)}"),
        ("preset", config.preset),
        ("pictures", f"{config.image_size} × {config.image_size}, {config.crop} crop"),
        *_encoder_rows(checkpoint),
        *_predictor_rows(checkpoint),
    ]
    if config.predictor:
        on_cpu, on_gpu = planner_of(checkpoint, "cpu"), planner_of(checkpoint, "cuda")
        both = f"{on_cpu} on a CPU, {on_gpu} on a GPU"
        rows.append(("planner", on_cpu if on_cpu == on_gpu else both))
    if checkpoint.identity:
        rows.append(("identity", checkpoint.identity))
    if sha256 := read_hash(path) if hashed else known_hash(path):
        rows.append(("sha256", sha256))
    if licence := licence_of(path):
        rows.append(("licence", licence))
    rows += [("note", note) for note in checkpoint.notes]
    rows += [(key, str(value)) for key, value in checkpoint.metadata.items()]
    progress = [f"{key} {value}" for key, value in checkpoint.file.values.items() if "." not in key]
    if progress:
        rows.append(("training", ", ".join(progress)))
    rows += [("" if n else "not loaded", line) for n, line in enumerate(_unused(checkpoint))]
    return "\n".join([str(path), *_table(rows)])


def _encoder_rows(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    config = checkpoint.config.encoder
    if not checkpoint.has_encoder:
        return [("encoder", "none: add one with `vjepa-ros weights convert --encoder`")]
    blocks = f"{config.depth} blocks × {config.width}, {config.heads} heads"
    patches = f"patches of {config.patch} pixels × {config.tubelet} frames"
    stem = ", convolutional stem" if config.stem == "conv" else ""
    rows = [("encoder", f"{blocks}, {patches}{stem}"), ("", _amount(checkpoint, "encoder."))]
    return rows + ([("", checkpoint.about_encoder)] if checkpoint.about_encoder else [])


def _predictor_rows(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    config = checkpoint.config.predictor
    if config is None:
        return [("predictor", "none for planning")]
    blocks = f"{config.depth} blocks × {config.width}, {config.heads} heads"
    controls = ("action", config.state and "state", config.extrinsics and "extrinsics")
    tokens = ", ".join(token for token in controls if token)
    period, horizon = checkpoint.config.step_period, checkpoint.config.trained_horizon
    return [
        ("predictor", f"{blocks}, a frame is [{tokens}, {config.patches} patches]"),
        ("", _amount(checkpoint, "predictor.")),
        ("trained on", f"one action lasts {period:g} s, up to {horizon} in a row"),
    ]


def _table(rows: list[tuple[str, str]], width: int = 100) -> Iterator[str]:
    indent = max(len(name) for name, _ in rows) + 4
    for name, text in rows:
        yield textwrap.fill(
            text,
            width,
            initial_indent=f"  {name}".ljust(indent),
            subsequent_indent=" " * indent,
            break_on_hyphens=False,
        )


def _amount(checkpoint: Checkpoint, part: str) -> str:
    tensors = [
        tensor
        for name, stacked in checkpoint.tensors.items()
        if name.startswith(part)
        for tensor in stacked
    ]
    count = sum(tensor.numel() for tensor in tensors)
    dtypes = ", ".join(sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors}))
    return f"{count / 1e6:,.1f} M parameters, {dtypes}, {_bytes(_size(tensors))}"


def _unused(checkpoint: Checkpoint) -> list[str]:
    """A line for every reason to leave tensors in the file."""
    groups: dict[str, list[str]] = {}
    for name, reason in checkpoint.unused.items():
        groups.setdefault(reason, []).append(name)
    lines = []
    for reason, names in groups.items():
        size = _bytes(_size(checkpoint.file.tensors[name] for name in names))
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"{size}, {reason} ({names[0]}{more})")
    return lines


def _size(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _bytes(count: int) -> str:
    power = min(int(math.log(max(count, 1), 1000)), 3)
    return f"{count / 1000**power:.{2 if power else 0}f} {('B', 'kB', 'MB', 'GB')[power]}"


# --- convert -----------------------------------------------------------------------------


def convert(source: Path, target: Path, dtype: torch.dtype, encoder_file: Path | None) -> str:
    """Write the model of one file, or the parts of two; returns what was done, for people."""
    if target.suffix != ".safetensors":
        raise UserError(f"{target}: the output is safetensors, expected a name that ends so")
    checkpoint = open_checkpoint(source)
    source = checkpoint.file.path
    weights = load_weights(source, dtype=dtype)
    metadata = weights.metadata | {"converted from": f"{source.name}, {weights.identity}"}
    for note in checkpoint.notes:
        metadata["note"] = note
    if licence := licence_of(source):
        metadata["licence"] = licence
    if encoder_file:
        encoder, origin = _encoder_for(weights, source, encoder_file, dtype)
        metadata["encoder from"] = origin
    elif weights.encoder:
        encoder = weights.encoder
    else:
        raise UserError(
            f"{source}: holds a predictor without its encoder; name a file that has one with "
            "--encoder (jepa-wms trained on the encoder of Meta's vitg.pt)"
        )
    try:
        identity = save_weights(target, weights.config, encoder, weights.predictor, dtype, metadata)
    except OSError as error:
        raise UserError(str(error)) from error
    before, after = source.stat().st_size, target.stat().st_size
    return f"{target}: {identity}, {_bytes(after)} of {_bytes(before)}"


def _encoder_for(
    weights: Weights, source: Path, encoder_file: Path, dtype: torch.dtype
) -> tuple[Encoder, str]:
    if weights.encoder:
        raise UserError(f"{source}: has an encoder of its own, leave --encoder out")
    other = load_weights(encoder_file, dtype=dtype, averaged=False)  # as jepa-wms joins them
    if other.encoder is None or other.config.encoder != weights.config.encoder:
        raise UserError(
            f"{encoder_file}: --encoder holds {other.config.preset}, expected the encoder that "
            f"{source.name} was trained on: {weights.config.encoder}"
        )
    return other.encoder, f"{encoder_file.name}, {other.identity}"
