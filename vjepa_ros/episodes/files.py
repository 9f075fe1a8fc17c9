"""Files of episodes: errors that name them, and writes that are whole or not there."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from vjepa_gate.errors import UserError


class EpisodeError(UserError):
    """A file that cannot be read as an episode: which one, where in it, and what is wrong."""

    def __init__(self, path: Path | str, key: str, problem: str) -> None:
        super().__init__(f"{path}: {key}: {problem}")
        self.path, self.key, self.problem = Path(path), key, problem

    def __reduce__(self) -> tuple[type, tuple[Path, str, str]]:
        return type(self), (self.path, self.key, self.problem)  # worker processes send these home


@contextmanager
def reading(path: Path | str, key: str, expected: str) -> Iterator[None]:
    """Whatever a parser makes of a damaged or foreign file, the user reads an EpisodeError."""
    try:
        yield
    except EpisodeError:
        raise
    except Exception as error:
        found = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        problem = found if "expected" in found else f"{found}; expected {expected}"
        raise EpisodeError(path, key, f"found {problem}") from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A place to write a file or folder that appears at `path` only when it is complete.

    Left-overs of a killed run begin with a dot and end in `.partial`; no reader sees them,
    and the next write of the same path replaces them.
    """
    scratch = path.parent / f".{path.name}.partial"
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(scratch)
    scratch.mkdir()
    try:
        yield scratch / path.name
        if path.is_dir():
            shutil.rmtree(path)
        (scratch / path.name).replace(path)
    finally:
        _remove(scratch)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def checksum(path: Path) -> int:
    """The CRC-32 of a file."""
    total = 0
    with path.open("rb") as file:
        while block := file.read(2**20):
            total = crc32(block, total)
    return total
