"""Packages that only some users need, by the extra of setup.py that brings them."""

from collections.abc import Iterator
from contextlib import contextmanager

from vjepa_gate.errors import UserError

EXTRAS: dict[str, dict[str, str]] = {  # what is imported, and the requirement that brings it
    "lerobot": {"pyarrow": "pyarrow>=20", "av": "av>=14"},
    "rerun": {"rerun": "rerun-sdk>=0.30"},
    "policy": {"msgpack": "msgpack>=1.1", "websockets": "websockets>=14"},
}


@contextmanager
def extra(name: str, purpose: str) -> Iterator[None]:
    """Import what needs an extra in here: where it is missing, one line says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        brought = EXTRAS[name]
        if (error.name or "").partition(".")[0] not in brought:
            raise
        wanted = " ".join(f"'{requirement}'" for requirement in brought.values())
        raise UserError(
            f"{purpose} needs the extra `{name}` ({error.name} is missing): pip install {wanted}"
        ) from error
