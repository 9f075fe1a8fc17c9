"""YAML as people mean it: the part of it that settings need, and of that nothing twice.

What YAML 1.1 makes of `no`, `1e-3`, `010` or `12:30` surprises, so plain words are read as the
core schema of YAML 1.2 reads them. Duplicate keys, aliases and tags are refused, as is a file
that is too large or too deep to be anybody's settings. All functions raise ValueError, in a line.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_LARGEST = 200_000  # bytes of a file
_DEEPEST = 16  # sections in sections
_LONGEST = 60  # characters of a number, and of what a message quotes

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml_file(path: Path) -> Any:
    """What a file holds, of dicts, lists and scalars."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("not a file")  # a fifo would keep us waiting
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError(f"larger than {_LARGEST} bytes")
        return load_yaml(content.decode("utf-8-sig"))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not a text in UTF-8: {error.reason} at {error.start}") from error


def load_yaml(text: str) -> Any:
    """Read a text of dicts, lists and scalars."""
    try:
        events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        next(events)  # the stream starts
        if isinstance(next(events), yaml.StreamEndEvent):
            return None
        content = _node(next(events), events, 0)
        next(events)  # the document ends
        if not isinstance(next(events), yaml.StreamEndEvent):
            raise ValueError("holds more than one document, expected one")
        return content
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from error


def scalar(text: str) -> Any:
    """The value of a plain word."""
    lowered = text.lower()
    if lowered in _WORDS and text in (lowered, lowered.title(), lowered.upper()):
        return _WORDS[lowered]
    if len(text) > _LONGEST:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def brief(text: str) -> str:
    """As much of a text as a message has room for."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _node(event: Any, events: Iterator[Any], depth: int) -> Any:
    """The value that begins with this event; takes the rest of it from the others."""
    line = f"line {event.start_mark.line + 1}"
    if isinstance(event, yaml.AliasEvent):
        raise ValueError(
            f"{line}: *{brief(str(event.anchor))} is an alias, expected the value itself"
        )
    if event.tag is not None:
        raise ValueError(f"{line}: {brief(event.tag)} is a tag, expected a value without one")
    if depth > _DEEPEST:
        raise ValueError(f"{line}: nested deeper than {_DEEPEST} levels")
    if isinstance(event, yaml.ScalarEvent):
        return scalar(event.value) if event.implicit[0] else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        return [_node(item, events, depth + 1) for item in _until(yaml.SequenceEndEvent, events)]
    content: dict[str, Any] = {}
    for key in _until(yaml.MappingEndEvent, events):
        line = f"line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarEvent):
            raise ValueError(f"{line}: a key is no text")
        if key.value in content:
            raise ValueError(f"{line}: {brief(key.value)} is given twice")
        content[key.value] = _node(next(events), events, depth + 1)
    return content


def _until(end: type, events: Iterator[Any]) -> Iterator[Any]:
    for event in events:
        if isinstance(event, end):
            return
        yield event
