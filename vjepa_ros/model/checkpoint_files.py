"""Checkpoint files as tensors by name, memory-mapped and never running code.

Two formats: torch's zip (`.pt`, `.pth.tar`) and safetensors. Anything else, and anything
damaged, is a `WeightsError` that says what the file looks like.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vjepa_gate.errors import UserError
from vjepa_ros.model.located import located

_LOOKS_LIKE = (
    (b"version https://git-lfs", "a git-lfs pointer: run `git lfs pull`"),
    (b"<!doctype", "an HTML page: the download failed, open it to see why"),
    (b"<html", "an HTML page: the download failed, open it to see why"),
    (b"<?xml", "an XML page: the download failed, open it to see why"),
    (b"{", "JSON: the download failed, or this is the model's config.json"),
    (b"\x89png", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"\x80", "a bare pickle, as torch wrote before 1.6: load it there and save it anew"),
    (b"\x89hdf", "an HDF5 file"),
    (b"gguf", "a GGUF file, which holds language models"),
)


class WeightsError(UserError, ValueError):
    """A file that cannot be loaded as weights: which, why, and what to do."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem

    def __reduce__(self) -> tuple[type, tuple[Path, str]]:
        return type(self), (self.path, self.problem)  # worker processes send these home


@dataclass(frozen=True)
class CheckpointFile:
    """What a file holds, under dotted names; the tensors stay on disk until they are used."""

    path: Path
    tensors: dict[str, Tensor]
    values: dict[str, Any] = field(default_factory=dict)  # the rest: epoch, learning rate, …
    metadata: dict[str, str] = field(default_factory=dict)  # the header of a safetensors file


def read_checkpoint(path: Path) -> CheckpointFile:
    """The tensors of a checkpoint file, memory-mapped; `path` as `located` takes it."""
    path = located(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise WeightsError(path, f"cannot be read as weights: {error.strerror}") from error
    if head.startswith(b"PK\x03\x04"):
        return _read_torch(path)
    if head[8:9] == b"{":
        return _read_safetensors(path, size, header=int.from_bytes(head[:8], "little"))
    raise WeightsError(path, f"is no checkpoint: {_describe(head, size)}")


def _damaged(path: Path, error: Exception) -> WeightsError:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return WeightsError(
        path,
        f"is truncated or damaged ({first_line}); it has {path.stat().st_size} bytes: compare "
        "that with its source and download it again",
    )


def _describe(head: bytes, size: int) -> str:
    if size == 0:
        return "the file is empty, the download failed"
    start = head.lstrip().lower()
    for magic, description in _LOOKS_LIKE:
        if start.startswith(magic):
            return f"it looks like {description}"
    return (
        f"its {size} bytes begin with {head[:8]!r}; "
        "expected torch's .pt or .pth.tar, or .safetensors"
    )


# --- safetensors -------------------------------------------------------------------------


def _read_safetensors(path: Path, size: int, header: int) -> CheckpointFile:
    if 8 + header > size:
        raise WeightsError(
            path, f"is truncated: {size} bytes, its header alone has {header}; download it again"
        )
    try:
        with safe_open(path, framework="pt") as file:
            leaves = [(_unwrapped(key), file.get_tensor(key)) for key in file.keys()]  # noqa: SIM118
            return CheckpointFile(path, _named(path, leaves), metadata=file.metadata() or {})
    except SafetensorError as error:
        raise _damaged(path, error) from error


# --- torch -------------------------------------------------------------------------------


def _read_torch(path: Path) -> CheckpointFile:
    try:
        _check_pickle(path)
        content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        leaves = _named(path, _leaves(content))
    except WeightsError:
        raise
    except Exception as error:  # damaged bytes raise anything, from IndexError to MemoryError
        raise _damaged(path, error) from error
    tensors = {name: leaf for name, leaf in leaves.items() if isinstance(leaf, Tensor)}
    values = {name: leaf for name, leaf in leaves.items() if name not in tensors}
    return CheckpointFile(path, tensors, values)


def _check_pickle(path: Path) -> None:
    """Refuse a pickle that is damaged, or that names code beyond what tensors need."""
    if not zipfile.is_zipfile(path):
        raise WeightsError(
            path,
            f"is truncated: {path.stat().st_size} bytes, without the table of contents at its "
            "end; download it again",
        )
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(names) != 1:
            raise WeightsError(path, "is a zip archive, but none that torch.save wrote")
        archive.read(names[0])  # checks its CRC, which torch does not
    unsafe = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    if unsafe:
        raise WeightsError(
            path,
            f"is refused: loading it would run code, {', '.join(sorted(unsafe))}. Weights are "
            "data and need none; save the state dicts alone where you trust the source",
        )


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in nested dicts and lists, by dotted name."""
    if isinstance(content, dict | list | tuple):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in items:
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif content is not None:
        yield _unwrapped(name), content


def verify(path: Path) -> None:
    """Read a torch file whole and raise if a byte of it has changed since it was written.

    Torch itself never looks at the checksums, and loads what a damaged file happens to hold.
    """
    if not zipfile.is_zipfile(path):
        return  # safetensors bring no checksums
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:
        raise _damaged(path, error) from error
    if damaged:
        raise WeightsError(path, f"is damaged in {damaged}; download it again")


# --- names -------------------------------------------------------------------------------


def _unwrapped(name: str) -> str:
    """A name without what the wrappers of training and of classifiers added."""
    wrappers = ("module", "backbone", "vjepa2")
    return ".".join(part for part in name.split(".") if part not in wrappers)


def _named(path: Path, leaves: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, leaf in leaves:
        if name in named:
            raise WeightsError(path, f"holds {name} twice, with a wrapper's prefix and without")
        named[name] = leaf
    return named
