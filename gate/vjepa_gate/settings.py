"""Settings, each said once: a dataclass field with default, range, unit and description.

    @dataclass(frozen=True, kw_only=True)
    class StreamConfig:
        rate: float = setting(100.0, "of targets", low=50, high=1000, unit="Hz")
        deadman: bool = setting(False, "move only while `deadman` says true")

Four readers give what a user said of them, checked, and nothing else, so that it can change
whatever it should change: `dataclasses.replace(base, **given)`, or `make(StreamConfig, given)`.

    given = read_yaml(StreamConfig, Path("mine.yaml"))  # rate: 200

    add_options(parser, StreamConfig)                   # vjepa-ros … --rate 200 --deadman
    given = read_options(StreamConfig, parsed)

    declare_parameters(StreamConfig, node)              # ros2 run … -p rate:=200
    given = read_parameters(StreamConfig, node)

    declared = launch_arguments(StreamConfig)           # ros2 launch … rate:=200
    given = read_launch(StreamConfig, context)

A setting is a bool, int, float, str, Path or Literal, a tuple of these, or one of all that or
None. `none` says so, and likewise that a text or tuple is empty whose default is. In YAML it may
also be a dataclass, or a mapping of names to one.
All readers take the same values and refuse the others in the same words, by UserError.
"""

import argparse
import sys
import typing
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from vjepa_gate import graph_names
from vjepa_gate.errors import UserError
from vjepa_gate.fields import (
    LARGEST,
    REQUIRED,
    Setting,
    build,
    given_in,
    is_section,
    mapping,
    nearest,
    setting,
    settings_of,
    text_of,
    unknown,
)
from vjepa_gate.strict_yaml import load_yaml_file

__all__ = [
    "REQUIRED",
    "Parser",
    "add_options",
    "declare_parameters",
    "launch_arguments",
    "make",
    "option",
    "parameter_value",
    "read_launch",
    "read_options",
    "read_parameter_file",
    "read_parameters",
    "read_yaml",
    "refuse_undeclared",
    "refuse_unknown_parameters",
    "setting",
    "settings_of",
    "text_of",
    "words",
]

T = TypeVar("T")

_ROS_TYPES = {bool: "BOOL", int: "INTEGER", float: "DOUBLE", str: "STRING", Path: "STRING"}
_EVERY_NODES = dict.fromkeys(
    ("use_sim_time", "bond"), Setting(hint=bool, optional=False, default=False)
)
_ROS_LAUNCH = ("launch-prefix", "launch-prefix-filter")  # which it adds to the arguments itself


def make(kind: type[T], given: Mapping[str, Any], source: object = "") -> T:
    """The dataclass of what was given and the defaults; a failure names the source."""
    with _said_to_user(source):
        return build(kind, given, "")


# --- YAML --------------------------------------------------------------------------------


def read_yaml(kind: type, path: Path) -> dict[str, Any]:
    """The settings that a file gives: a mapping, with sections for nested dataclasses."""
    with _said_to_user(path):
        return given_in(kind, load_yaml_file(path), "")


# --- command line ------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """One that takes no abbreviations, and for an unknown option names the nearest known one."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how, allow_abbrev=False)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and name the nearest known option for one that is unknown."""
        args = list(sys.argv[1:] if args is None else args)
        known = self._option_string_actions
        for word in () if self._subparsers else args:  # else they are those of one of them
            name = word.partition("=")[0]
            if name == "--":
                break
            if name.startswith("--") and " " not in name and name not in known:
                raise UserError(unknown(name, name, known))
        return super().parse_known_args(args, namespace)


def option(name: str) -> str:
    """Of a setting; the underscore of `from_` is for Python alone."""
    return f"--{name.rstrip('_').replace('_', '-')}"


def add_options(
    parser: argparse._ActionsContainer,
    kind: type,
    *,
    positional: Sequence[str] = (),
    only: Container[str] | None = None,
    defaults: bool = True,
) -> None:
    """An option for each setting, or an argument by its position; read_options() checks them.

    An option whose value is a list may be repeated. A setting that several dataclasses have is
    one option. With `only` others are left out; without `defaults` none is told, as where it
    depends on something else.
    """
    for name, about in _flat(kind).items():
        if option(name) in parser._option_string_actions or (only is not None and name not in only):
            continue
        how: dict[str, Any] = {"help": about.about(default=defaults).replace("%", "%%")}
        several = typing.get_origin(about.hint) is tuple
        required = about.default is REQUIRED
        if name in positional:
            many, one = ("+", None) if required else ("*", "?")
            parser.add_argument(
                name, nargs=many if several else one, default=argparse.SUPPRESS, type=Path, **how
            )
            continue
        if about.hint is bool and not about.optional:
            how["action"] = argparse.BooleanOptionalAction
        else:
            how["metavar"] = name.rstrip("_").rpartition("_")[2].upper()
            how["action"] = "append" if several else "store"
        parser.add_argument(
            option(name), dest=name, required=required, default=argparse.SUPPRESS, **how
        )


def read_options(kind: type, parsed: argparse.Namespace) -> dict[str, Any]:
    """Of a command line, checked."""
    known, given = _flat(kind), {}
    with _said_to_user():
        for name, found in vars(parsed).items():
            if name in known:
                first = found[0] if isinstance(found, list) else found
                read = known[name].parse if isinstance(first, str) else known[name].check
                given[name] = read(found, option(name))
    return given


def words(given: Mapping[str, Any]) -> list[str]:
    """The command line that gives these settings."""
    said = []
    for name, value in given.items():
        if isinstance(value, bool):
            said.append(option(name if value else f"no_{name}"))
        else:
            said.append(f"{option(name)}={text_of(value)}")
    return said


# --- ROS parameters: `node` is an rclpy node ---------------------------------------------


def declare_parameters(kind: type, node: Any, *, defaults: bool = True) -> None:
    """A parameter for each setting, with description and range; what was given is checked.

    Without `defaults` only those have a value that were given one: where the default is not
    the dataclass's own but depends on something else, as the weights.
    """
    from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
    from rclpy.parameter import Parameter

    known = _flat(kind)
    for name, about in known.items():
        # Looked at first by itself: rclpy refuses 1 for a number that may be 1.5.
        node.declare_parameter(name, None, ParameterDescriptor(dynamic_typing=True))
        found = node.get_parameter(name).value
        node.undeclare_parameter(name)
        value: Any = about.default if defaults else None
        if found is not None:
            with _said_to_user(node.get_name()):
                value = parameter_value(about.check(found, f"parameter {name}"))
        elif value in (None, REQUIRED, about.nothing):
            typed = about.nothing is REQUIRED
            value = Parameter.Type[_ros_type(about.hint)] if typed else None
        else:
            value = parameter_value(value)
        node.declare_parameter(name, value, _descriptor(about), ignore_override=True)

    def check(parameters: list[Parameter]) -> SetParametersResult:
        try:
            for one in parameters:
                if one.name in known and one.value is not None:
                    known[one.name].check(one.value, f"parameter {one.name}")
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(check)


def read_parameters(kind: type, node: Any) -> dict[str, Any]:
    """Of those that have a value."""
    found = {name: node.get_parameter_or(name).value for name in _flat(kind)}
    given = {name: value for name, value in found.items() if value is not None}
    with _said_to_user(node.get_name()):
        return {name: _flat(kind)[name].check(given[name], f"parameter {name}") for name in given}


def refuse_unknown_parameters(nodes: Sequence[Any]) -> None:
    """Those that a process was given and that none of its nodes has declared."""
    from rclpy.parameter import Parameter

    known = [name for node in nodes for name in node.get_parameters_by_prefix("")]
    for node in nodes:
        with node.handle, _said_to_user(node.get_name()):
            for name in node.handle.get_parameters(Parameter):
                if name not in known and not graph_names.QOS_OVERRIDE.fullmatch(name):
                    raise ValueError(unknown(f"parameter {name}", name, known))


def parameter_value(value: Any) -> Any:
    """As a node is given it."""
    if value in (None, "", ()) or isinstance(value, Path):
        return text_of(value)
    return list(value) if isinstance(value, tuple) else value


def read_parameter_file(
    path: Path, nodes: Mapping[str, Sequence[type]], namespace: str = ""
) -> dict[str, dict[str, Any]]:
    """What a ROS parameter file gives to each of these nodes, of the settings that it has.

    `/**` is for every node that knows the name; sections of other nodes are left alone, and those
    of other namespaces.
    """
    known = {
        node: _EVERY_NODES | {name: about for kind in kinds for name, about in _flat(kind).items()}
        for node, kinds in nodes.items()
    }
    given: dict[str, dict[str, Any]] = {node: {} for node in nodes}
    with _said_to_user(path):
        for section, content in mapping(load_yaml_file(path), "").items():
            space, _, name = section.rpartition("/")
            if namespace and space.strip("/") not in ("", "*", "**", namespace.strip("/")):
                continue
            chosen = list(nodes) if "*" in name else [name]
            if name not in nodes and "*" not in name:
                if nearest(name, nodes):
                    raise ValueError(unknown(section, name, nodes))
                continue
            parameters = mapping(content, section).get("ros__parameters")
            for parameter, value in mapping(parameters, f"{section}.ros__parameters").items():
                key = f"{section}.{parameter}"
                if parameter == "qos_overrides":
                    for node in chosen:
                        given[node] |= graph_names.qos_overrides(value, key)
                    continue
                takers = [node for node in chosen if parameter in known[node]]
                if not takers:
                    names = [name for node in chosen for name in known[node]]
                    raise ValueError(unknown(key, parameter, names))
                for node in takers:
                    given[node][parameter] = known[node][parameter].check(value, key)
    return given


def _descriptor(about: Setting) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    descriptor = ParameterDescriptor(
        description=about.description,
        additional_constraints=about.expected(),
        dynamic_typing=about.nothing is not REQUIRED,  # for the text none
    )
    if about.low is None and about.high is None:
        return descriptor
    if about.hint is int:
        low = -LARGEST if about.low is None else about.low
        high = LARGEST if about.high is None else about.high
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
    elif about.hint is float:
        low = -sys.float_info.max if about.low is None else about.low
        high = sys.float_info.max if about.high is None else about.high
        bounds = FloatingPointRange(from_value=float(low), to_value=float(high))
        descriptor.floating_point_range = [bounds]
    return descriptor


def _ros_type(hint: Any) -> str:
    if typing.get_origin(hint) is tuple:
        return f"{_ros_type(typing.get_args(hint)[0])}_ARRAY"
    return _ROS_TYPES[hint]


# --- launch arguments: `context` is a launch context -------------------------------------


def launch_arguments(*kinds: type, derived: Container[type] = ()) -> list[Any]:
    """One for each setting; an empty text stands for one that is not given.

    A setting that several dataclasses have is one argument. Of those in `derived` no default is
    told, as it depends on something else.
    """
    from launch.actions import DeclareLaunchArgument

    known = {name: kind for kind in reversed(kinds) for name in _flat(kind)}
    return [
        DeclareLaunchArgument(
            name,
            default_value=None if settings_of(kind)[name].default is REQUIRED else "",
            description=settings_of(kind)[name].about(default=kind not in derived),
        )
        for name, kind in known.items()
    ]


def read_launch(kind: type, context: Any) -> dict[str, Any]:
    """Of launch arguments, checked."""
    texts = context.launch_configurations
    with _said_to_user():
        return {
            name: about.parse(texts[name], f"argument {name}")
            for name, about in _flat(kind).items()
            if texts.get(name)
        }


def refuse_undeclared(context: Any, *kinds: type) -> None:
    """Launch itself drops arguments that its file has not declared, without a word.

    To a file that another one includes the arguments of that other one are unknown, too:
    only where the file is the one that was launched can they be told from a slip of the pen.
    """
    launched = Path(context.get_locals_as_dict().get("current_launch_file_path", "")).name
    if launched not in (Path(word).name for word in sys.argv):
        return
    known = [name for kind in kinds for name in _flat(kind)]
    with _said_to_user():
        for word in context.argv:
            name = word.partition(":=")[0]
            if name not in known and name not in _ROS_LAUNCH:
                raise ValueError(unknown(f"argument {name}", name, known))


# --- what the readers share --------------------------------------------------------------


def _flat(kind: type) -> Mapping[str, Setting]:
    """The settings of a dataclass without sections."""
    for name, about in settings_of(kind).items():
        if is_section(about.hint):
            raise TypeError(f"{kind.__name__}.{name} is a section, which YAML alone can give")
    return settings_of(kind)


@contextmanager
def _said_to_user(source: object = "") -> Iterator[None]:
    """To the user, and of what."""
    try:
        yield
    except ValueError as error:
        raise UserError(f"{source}: {error}" if str(source) else str(error)) from error
