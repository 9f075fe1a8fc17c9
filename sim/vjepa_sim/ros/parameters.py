"""ROS parameters described by dataclasses: name, default, range and meaning in one place.

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        speed: float = setting(1.0, "times real time", low=0.1, high=100.0)

    settings = declare(node, Settings)

A value outside its range is refused, at the start and at run time, by a message that names
the range; so is a value of another type.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

T = TypeVar("T")


def setting(
    default: Any,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A field of such a dataclass; numbers have a range, strings may have choices."""
    about = {"description": description, "low": low, "high": high, "choices": tuple(choices)}
    return dataclasses.field(default=default, metadata=about)


def declare(node: Node, kind: type[T], prefix: str = "", *, read_only: bool = True) -> T:
    """Declare a dataclass's fields as parameters of the node; returns what the user gave."""
    fields = {prefix + field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    defaults = kind()
    for name, field in fields.items():
        default = getattr(defaults, field.name)
        node.declare_parameter(name, default, _descriptor(field, default, read_only))
        refusal = _not_a_choice(fields, [node.get_parameter(name)])
        if refusal:
            raise InvalidParameterValueException(name, node.get_parameter(name).value, refusal)

    def check(parameters: list[Parameter]) -> SetParametersResult:
        refusal = _not_a_choice(fields, parameters)
        return SetParametersResult(successful=not refusal, reason=refusal)

    node.add_on_set_parameters_callback(check)
    return read(node, kind, prefix)


def read(node: Node, kind: type[T], prefix: str = "") -> T:
    """The declared parameters as they are now."""
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    return kind(**{name: node.get_parameter(prefix + name).value for name in names})


def _descriptor(
    field: dataclasses.Field, default: bool | int | float | str | tuple[str, ...], read_only: bool
) -> ParameterDescriptor:
    about = field.metadata
    descriptor = ParameterDescriptor(description=about["description"], read_only=read_only)
    if about["choices"]:
        descriptor.additional_constraints = f"one of {', '.join(about['choices'])}"
    if isinstance(default, float):
        limits = FloatingPointRange(from_value=float(about["low"]), to_value=float(about["high"]))
        descriptor.floating_point_range = [limits]
    elif isinstance(default, int) and not isinstance(default, bool):
        limits = IntegerRange(from_value=about["low"], to_value=about["high"])
        descriptor.integer_range = [limits]
    return descriptor


def _not_a_choice(fields: dict[str, dataclasses.Field], parameters: list[Parameter]) -> str:
    """Why a value is refused, or nothing. rclpy itself checks types and ranges."""
    for parameter in parameters:
        choices = fields[parameter.name].metadata["choices"] if parameter.name in fields else ()
        several = isinstance(parameter.value, list | tuple)
        values = parameter.value if several else [parameter.value]
        for value in values:
            if choices and value not in choices:
                return f"{parameter.name}: no {value!r}, expected one of {', '.join(choices)}"
    return ""
