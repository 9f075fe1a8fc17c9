"""What a settings dataclass says of its fields, and what it takes for them.

vjepa_gate/settings.py tells how such dataclasses are written and read.
"""

import array
import dataclasses
import difflib
import functools
import json
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from vjepa_gate.strict_yaml import brief, load_yaml, scalar

T = TypeVar("T")

REQUIRED: Any = dataclasses.MISSING  # as a default: the user must give it

_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}
LARGEST = 2**63 - 1  # whole number that a ROS parameter holds
_SIMILAR = 0.7  # are names of which one may have been meant as the other


def setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: Iterable[str] = (),
) -> Any:
    """A field of a settings dataclass: numbers may have a range and a unit, texts choices.

    Those of a tuple are its items'.
    """
    about = {"low": low, "high": high, "unit": unit, "choices": tuple(choices)}
    return dataclasses.field(default=default, metadata=about | {"description": description})


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a dataclass says of one of its fields."""

    hint: Any  # type; where None is a value, too, the one beside it
    optional: bool
    default: Any
    description: str = ""
    low: float | None = None
    high: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def nothing(self) -> Any:
        """What `none` stands for, or REQUIRED where there must be something."""
        if self.optional:
            return None
        return self.default if self.default in ("", ()) else REQUIRED

    def check(self, found: Any, key: str) -> Any:
        """The value found at a key, as the dataclass takes it; ValueError where it does not."""
        if self.nothing is not REQUIRED and (found in (None, "none", self.nothing)):
            return self.nothing
        return self._checked(self.hint, found, key)

    def parse(self, texts: str | Sequence[str], key: str) -> Any:
        """Likewise, of a value that is written in a command; of a list, it may be in several."""
        if isinstance(texts, str):
            texts = [texts]
        decoded = [self._decoded(text) for text in texts]
        if len(decoded) > 1 and all(isinstance(part, list) for part in decoded):
            return self.check([item for part in decoded for item in part], key)
        return self.check(decoded[-1], key)

    def expected(self, hint: Any = None) -> str:
        """What a good value is, or an item of one."""
        or_none = " or none" if hint is None and self.nothing is not REQUIRED else ""
        hint = hint or self.hint
        if is_section(hint):
            return f"keys and values{or_none}"
        if typing.get_origin(hint) is tuple:
            kinds = typing.get_args(hint)
            count = "one or more" if kinds[-1] is Ellipsis else len(kinds)
            return f"a list of {count}, each {self.expected(kinds[0])}{or_none}"
        if self.choices:
            return f"one of {', '.join(self.choices)}{or_none}"
        return f"{_KINDS[hint]}{self._bounds()}{or_none}"

    def about(self, *, default: bool = True) -> str:
        """Description, what is expected and default, for people."""
        expected = f": {self.expected()}" if self.choices or self._bounds() else ""
        has_default = default and self.default not in (REQUIRED, self.nothing)
        value = f" [{text_of(self.default)}]" if has_default else ""
        return f"{self.description}{expected}{value}"

    def _bounds(self) -> str:
        if self.low is None and self.high is None:
            return ""
        if self.high is None:
            bounds = f" of at least {_bound(self.low)}"
        elif self.low is None:
            bounds = f" of at most {_bound(self.high)}"
        else:
            bounds = f" in [{_bound(self.low)}, {_bound(self.high)}]"
        return f"{bounds} {self.unit}".rstrip()

    def _checked(self, hint: Any, found: Any, key: str) -> Any:
        if dataclasses.is_dataclass(hint):
            kind = typing.cast(type, hint)
            return build(kind, given_in(kind, found, key), key)
        if is_section(hint):
            item, content = typing.get_args(hint)[1], mapping(found, key)
            return {name: self._checked(item, content[name], f"{key}.{name}") for name in content}
        read = self._items if typing.get_origin(hint) is tuple else self._plain
        value = read(hint, found, key)
        if value is None:
            expected = self.expected(None if hint is self.hint else hint)
            raise ValueError(f"{key} is {_shown(found)}, expected {expected}")
        return value

    def _items(self, hint: Any, found: Any, key: str) -> tuple | None:
        if not isinstance(found, list | tuple | array.array):
            return None
        if not found:
            return self.nothing if self.nothing == () else None
        kinds = typing.get_args(hint)
        if kinds[-1] is Ellipsis:
            kinds = kinds[:1] * len(found)
        if len(kinds) != len(found):
            return None
        pairs = enumerate(zip(kinds, found, strict=True))
        return tuple(self._checked(kind, item, f"{key}[{n}]") for n, (kind, item) in pairs)

    def _plain(self, hint: Any, found: Any, key: str) -> Any:
        if hint is bool:
            return found if isinstance(found, bool) else None
        if hint in (int, float):
            return self._number(hint, found)
        text = str(found) if isinstance(found, Path) else found
        if not isinstance(text, str) or not text or "\0" in text:
            return None
        return hint(text) if not self.choices or text in self.choices else None

    def _number(self, hint: type, found: Any) -> float | None:
        if isinstance(found, bool) or not isinstance(found, int if hint is int else int | float):
            return None
        if (isinstance(found, int) and abs(found) > LARGEST) or not math.isfinite(found):
            return None
        too_low = self.low is not None and found < self.low
        too_high = self.high is not None and found > self.high
        return None if too_low or too_high else hint(found)

    def _decoded(self, text: str) -> Any:
        """As YAML has it, but that texts need no quotes and lists no brackets."""
        if self.hint in (str, Path) or text == "none":
            return text
        bare = not text.startswith("[")
        if bare and typing.get_origin(self.hint) is not tuple:
            return scalar(text)
        try:
            return load_yaml(f"[{text}]" if bare else text)
        except ValueError:
            return text


@functools.cache
def settings_of(kind: type) -> Mapping[str, Setting]:
    """The settings of a dataclass by name."""
    hints, found = typing.get_type_hints(kind), {}
    for field in dataclasses.fields(kind):
        hint, about, optional = hints[field.name], dict(field.metadata), False
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            (hint,) = (one for one in typing.get_args(hint) if one is not type(None))
            optional = True
        if typing.get_origin(hint) is Literal:
            hint, about["choices"] = str, typing.get_args(hint)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found[field.name] = Setting(hint=hint, optional=optional, default=default, **about)
    return found


def text_of(value: Any) -> str:
    """As it is written in a command."""
    if value in (None, "", ()):
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        items = (
            json.dumps(item, ensure_ascii=False) if isinstance(item, str) else text_of(item)
            for item in value
        )
        return f"[{', '.join(items)}]"
    return str(value)


# --- dataclasses, all of them raise ValueError -------------------------------------------


def given_in(kind: type, content: Any, key: str) -> dict[str, Any]:
    """Check what a mapping gives of a dataclass; raises ValueError."""
    known, prefix = settings_of(kind), f"{key}." if key else ""
    for name in mapping(content, key):
        if name not in known:
            raise ValueError(unknown(f"{prefix}{name}", name, known))
    return {name: known[name].check(content[name], f"{prefix}{name}") for name in content}


def build(kind: Callable[..., T], given: Mapping[str, Any], key: str) -> T:
    """Make a dataclass of checked values; raises ValueError that names the key."""
    for name, about in settings_of(kind).items():
        if about.default is REQUIRED and name not in given:
            full_name = f"{key}.{name}" if key else name
            raise ValueError(f"{full_name} is missing, expected {about.expected()}")
    try:
        return kind(**given)
    except ValueError as error:
        raise ValueError(f"{key}: {error}" if key else str(error)) from error


def mapping(content: Any, key: str) -> Mapping[str, Any]:
    """Take a value found at a key for a mapping, or raise ValueError."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{key or 'the file'} is {_shown(content)}, expected keys and values")
    return content


# --- words -------------------------------------------------------------------------------


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that may have been meant, or nothing."""
    return (difflib.get_close_matches(name, known, n=1, cutoff=_SIMILAR) or [""])[0]


def unknown(key: str, name: str, known: Iterable[str]) -> str:
    """What to say of a name that nobody knows."""
    known = list(known)
    expected = nearest(name, known) or f"one of {', '.join(known)}"
    return f"{brief(key)} is unknown, expected {expected}"


def is_section(hint: Any) -> bool:
    """Tell whether a type is a dataclass of settings, or holds some."""
    return dataclasses.is_dataclass(hint) or typing.get_origin(hint) in (dict, Mapping)


def _shown(found: Any) -> str:
    return brief(repr(list(found) if isinstance(found, array.array) else found))


def _bound(number: float | None) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
