"""How a part of the system is doing, in the words that a person gets to read."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Status:
    """How something is, as /diagnostics tells it."""

    level: Literal["ok", "warning", "error"]
    message: str
    values: dict[str, str] = field(default_factory=dict)
    news: str = ""  # is told at once when it changes, as the level is
