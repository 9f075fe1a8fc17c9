"""Weights in and out: published checkpoints, and the project's own safetensors.

Everything in a file is either loaded or listed as unused with the reason; a key that is
missing, left over or of another shape is an error that names it.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from vjepa_gate.fields import build, given_in
from vjepa_ros.model.checkpoint_files import (
    CheckpointFile,
    WeightsError,
    read_checkpoint,
    verify,
)
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.model.published import (
    RELEASES,
    Layout,
    about_encoder,
    infer_config,
    layout_of,
    plain_names,
    why_unused,
)

HEADER = "vjepa_ros"  # the project's entry in the header of its safetensors
FORMAT = 1


@dataclass(frozen=True)
class Weights:
    """A model ready to run: in evaluation mode, its parameters frozen."""

    config: ModelConfig
    encoder: Encoder | None  # None: the file holds a predictor alone
    predictor: Predictor | None
    identity: str  # preset, and a hash of configuration and weights as the file holds them
    metadata: dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A file sorted out: which model it holds and where. Its tensors are not yet read."""

    file: CheckpointFile
    kind: str
    config: ModelConfig
    tensors: dict[str, tuple[Tensor, ...]]  # by the project's names; several are to be stacked
    unused: dict[str, str]  # name in the file, and why it is not loaded
    about_encoder: str | None = None  # which it is, where the file holds several
    notes: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    identity: str | None = None  # as the file states it

    @property
    def has_encoder(self) -> bool:
        """Whether an encoder is among the tensors."""
        return any(name.startswith("encoder.") for name in self.tensors)


# --- loading -----------------------------------------------------------------------------


def load_weights(
    path: Path | str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    averaged: bool = True,
) -> Weights:
    """Build the model that a checkpoint file holds; memory peaks at its size, once."""
    checkpoint = open_checkpoint(path, averaged)
    verify(checkpoint.file.path)

    def read(name: str) -> tuple[str, Tensor]:
        stacked = checkpoint.tensors[name]
        stored = torch.cat(stacked) if len(stacked) > 1 else stacked[0]
        tensor = stored.to(device, dtype, copy=True)
        if not torch.stack(tensor.aminmax()).isfinite().all():  # NaN is both least and most
            raise WeightsError(checkpoint.file.path, f"{name} holds NaN or infinite numbers")
        return _digest(name, stored), tensor

    with ThreadPoolExecutor() as pool:
        digests, tensors = zip(*pool.map(read, checkpoint.tensors), strict=True)
    identity = _identity(checkpoint.config, digests)
    if checkpoint.identity not in (None, identity):
        raise WeightsError(
            checkpoint.file.path,
            f"is damaged: its contents are {identity}, its header says {checkpoint.identity}; "
            "download or convert it again",
        )
    model = _on_meta(checkpoint.config, checkpoint.has_encoder)
    model.load_state_dict(dict(zip(checkpoint.tensors, tensors, strict=True)), assign=True)
    model.eval().requires_grad_(False)
    config, metadata = checkpoint.config, checkpoint.metadata
    return Weights(config, model.encoder, model.predictor, identity, metadata)


def open_checkpoint(path: Path | str, averaged: bool = True) -> Checkpoint:
    """Sort out what a checkpoint file holds, without reading its tensors.

    Of an encoder by itself Meta's files hold two: its moving average counts, unless it is not
    asked for.
    """
    file = read_checkpoint(Path(path))
    if HEADER in file.metadata:
        return _open_own(file)
    layout = layout_of(file.tensors, averaged)
    if layout is None:
        found = ", ".join(sorted({name.partition(".")[0] for name in file.tensors})[:8])
        raise WeightsError(
            file.path, f"holds no V-JEPA 2 encoder or predictor; it holds {found or 'no tensors'}"
        )
    config, notes = infer_config(file, layout)
    release = RELEASES.get(file.path.name.partition(".")[0])
    notes = [*notes, release.note] if release and release.note else notes
    return _sort_out(file, layout, config, notes=tuple(notes))


def _open_own(file: CheckpointFile) -> Checkpoint:
    layout = Layout("vjepa_ros weights", plain_names)
    try:
        header = json.loads(file.metadata[HEADER])
        if header["format"] != FORMAT:
            raise WeightsError(
                file.path,
                f"is of format {header['format']}, this version reads {FORMAT}: update vjepa_ros",
            )
        return _sort_out(
            file,
            layout,
            _config_from(header["config"]),
            metadata=header["metadata"],
            identity=header["identity"],
        )
    except WeightsError:
        raise
    except Exception as error:  # whatever building a model from a damaged description raises
        raise WeightsError(
            file.path,
            f"is damaged or of a newer version, its header describes no model: {_told(error)}",
        ) from error


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else repr(error)


def _sort_out(
    file: CheckpointFile, layout: Layout, config: ModelConfig, **details: Any
) -> Checkpoint:
    """Match the model's parameters with the file's tensors, each once, each of its shape."""
    # The project's own files always hold an encoder; a published predictor may come alone.
    own = HEADER in file.metadata
    has_encoder = own or any(name.startswith(f"{layout.encoder}.") for name in file.tensors)
    wanted: dict[str, tuple[str, ...]] = {}
    missing, wrong = [], []
    for name, parameter in _on_meta(config, has_encoder).state_dict().items():
        wanted[name] = layout.names(name)
        shape = [parameter.shape[0] // len(wanted[name]), *parameter.shape[1:]]
        for key in wanted[name]:
            found = file.tensors.get(key)
            if found is None:
                missing.append(key)
            elif list(found.shape) != shape or not found.is_floating_point():
                wrong.append(f"{key} is {list(found.shape)} {found.dtype}, expected {shape}")

    used = {key for keys in wanted.values() for key in keys}
    unused = {
        key: why_unused(key, file.tensors, layout.encoder)
        for key in file.tensors
        if key not in used
    }
    left_over = [key for key, reason in unused.items() if reason is None]
    if missing or left_over or wrong:
        raise WeightsError(
            file.path,
            f"does not fit {config.preset}"
            + _listed("missing", missing)
            + _listed("left over", left_over)
            + _listed("of the wrong shape or type", wrong),
        )
    return Checkpoint(
        file,
        layout.kind,
        config,
        {name: tuple(file.tensors[key] for key in keys) for name, keys in wanted.items()},
        {key: reason for key, reason in unused.items() if reason},
        about_encoder=about_encoder(layout, file.tensors),
        **details,
    )


class _Model(nn.Module):
    """Both parts under one roof, so that a state dict names them as files do."""

    def __init__(self, encoder: Encoder | None, predictor: Predictor | None) -> None:
        super().__init__()
        self.encoder, self.predictor = encoder, predictor


def _on_meta(config: ModelConfig, has_encoder: bool) -> _Model:
    """A model without memory for its parameters."""
    with torch.device("meta"):
        return _Model(
            Encoder(config.encoder) if has_encoder else None,
            Predictor(config.predictor) if config.predictor else None,
        )


def _listed(what: str, items: list[str], most: int = 20) -> str:
    lines = [f"{len(items)} {what}:", *(f"  {item}" for item in items[:most])] if items else []
    if len(items) > most:
        lines.append(f"  and {len(items) - most} more")
    return "".join(f"\n  {line}" for line in lines)


# --- saving ------------------------------------------------------------------------------


def save_weights(
    path: Path | str,
    config: ModelConfig,
    encoder: Encoder,
    predictor: Predictor | None,
    dtype: torch.dtype = torch.float32,
    metadata: Mapping[str, Any] | None = None,
) -> str:
    """Write a model with its configuration as safetensors; returns the weights' identity.

    `metadata` is what JSON can hold: where the weights come from, how they were trained.
    The file appears when it is whole.
    """
    path = Path(path)
    if (encoder.config, predictor and predictor.config) != (config.encoder, config.predictor):
        raise ValueError("config is not that of the encoder and the predictor to be saved")
    tensors = {
        name: tensor.to("cpu", dtype).contiguous()
        for name, tensor in _Model(encoder, predictor).state_dict().items()
    }
    identity = _identity(config, (_digest(name, tensor) for name, tensor in tensors.items()))
    header = {
        "format": FORMAT,
        "identity": identity,
        "config": _described(config),
        "metadata": dict(metadata or {}),
    }
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # safetensors lets nobody but the owner read its files
        save_file(tensors, partial, metadata={HEADER: json.dumps(header)})
        partial.chmod(mode)
        partial.replace(path)
    except (SafetensorError, OSError) as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return identity


def _config_from(fields: dict[str, Any]) -> ModelConfig:
    """Raise ValueError for what cannot be a model."""
    config = build(ModelConfig, given_in(ModelConfig, fields, "config"), "config")
    size, patch, predictor = config.image_size, config.encoder.patch, config.predictor
    if size % patch:
        raise ValueError(f"config.image_size is {size}, expected whole patches of {patch} pixels")
    if predictor and predictor.grid != size // patch:
        raise ValueError(f"config.predictor.grid is {predictor.grid}, expected {size // patch}")
    for name, part in (("encoder", config.encoder), ("predictor", predictor)):
        if part and part.width % part.heads:
            raise ValueError(
                f"config.{name}.heads is {part.heads}, which {part.width} channels "
                "cannot be shared among"
            )
    return config


def _described(config: ModelConfig) -> dict[str, Any]:
    """Its fields; those that came later only where they say something, so that identities stay."""
    fields = dataclasses.asdict(config)
    for part, name, nothing in _LATER_FIELDS:
        if fields[part] and fields[part][name] == nothing:
            del fields[part][name]
    return fields


_LATER_FIELDS = (("encoder", "version", "2"), ("predictor", "window", None))


def _identity(config: ModelConfig, digests: Iterable[str]) -> str:
    described = [json.dumps(_described(config), sort_keys=True), *sorted(digests)]
    return f"{config.preset}-{hashlib.sha256(''.join(described).encode()).hexdigest()[:12]}"


def _digest(name: str, tensor: Tensor) -> str:
    described = hashlib.sha256(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
    described.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return described.hexdigest()
