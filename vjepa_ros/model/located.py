"""Weights where labs have them: a folder, or a Hugging Face repository in the local cache.

Nothing is downloaded. The cache is laid out as huggingface_hub does: a folder for each repository,
with a snapshot for each revision whose files are links to blobs, named by their SHA-256.
"""

import hashlib
import os
import re
from pathlib import Path

from vjepa_gate.errors import UserError
from vjepa_ros.model.shipped import shipped

_SUFFIXES = (".safetensors", ".pt", ".pth", ".tar")
_BESIDE = (".decoder", ".subgoals")  # small nets that lie beside weights, and are none


def located(path: Path) -> Path:
    """The file that a path, a name of shipped weights or of a repository stands for; raises
    UserError.

    "owner/name" is the only file of weights in that repository, "owner/name/file" one of several.
    What is neither a folder nor in the cache is given back as it is.
    """
    if path.is_dir():
        return _only_weights(path)
    if len(path.parts) == 1 and not path.exists() and (own := shipped(path.name)).is_file():
        return own
    if path.exists() or path.is_absolute() or not 2 <= len(path.parts) <= 3:
        return path
    snapshot = _snapshot(*path.parts[:2])
    if snapshot is None:
        return path
    return snapshot / path.parts[2] if len(path.parts) == 3 else _only_weights(snapshot)


def known_hash(path: Path) -> str | None:
    """The SHA-256 that the cache names a file by; None outside of it."""
    name = path.resolve().name
    return name if re.fullmatch("[0-9a-f]{64}", name) else None


def read_hash(path: Path) -> str:
    """The same of any file, which is read whole."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stated_licence(path: Path) -> str | None:
    """What the model card beside a file says, if there is one."""
    card = path.with_name("README.md")
    if not card.exists():
        return None
    head = re.match(r"---\n(.*?)\n---", card.read_text(errors="replace"), re.DOTALL)
    stated = re.search(r"^license:\s*([\w.-]+)", head[1], re.MULTILINE) if head else None
    return stated[1] if stated else None


def _cache() -> Path:
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    home = os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")
    return Path(home) / "hub"


def _snapshot(owner: str, name: str) -> Path | None:
    """Of the main branch, or else the only one."""
    repository = _cache() / f"models--{owner}--{name}"
    main = repository / "refs" / "main"
    if main.exists():
        return repository / "snapshots" / main.read_text().strip()
    snapshots = sorted((repository / "snapshots").glob("*"))
    return snapshots[0] if len(snapshots) == 1 else None


def _only_weights(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    files = [path for path in files if Path(path.stem).suffix not in _BESIDE]
    if len(files) == 1:
        return files[0]
    if any(path.name.endswith(".index.json") for path in folder.iterdir()):
        raise UserError(f"{folder}: is in {len(files)} parts, expected one file: save it as one")
    found = ", ".join(path.name for path in files) or "none"
    raise UserError(
        f"{folder}: is a folder: expected one file of weights in it, found {found}; name one"
    )
