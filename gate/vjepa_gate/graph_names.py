"""Names of the ROS graph that settings say: namespaces, and whose quality of service is another."""

import re
from typing import Any

from vjepa_gate.fields import mapping
from vjepa_gate.strict_yaml import brief

_NAMESPACE = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*/?)?", re.ASCII)
QOS_OVERRIDE = re.compile(
    r"qos_overrides\..+\.(publisher|subscription)\.(history|depth|reliability|durability)"
)


def check_namespace(namespace: str) -> None:
    """Raise ValueError for one that ROS would not take."""
    if not _NAMESPACE.fullmatch(namespace):
        raise ValueError(
            f"namespace is '{brief(namespace)}', expected names of letters, digits and _ with / "
            "between them, such as lab/left"
        )


def qos_overrides(content: Any, key: str) -> dict[str, Any]:
    """As a node is given them: names of parameters with dots in them."""
    given = {}
    for topic, ends in mapping(content, key).items():
        for end, policies in mapping(ends, f"{key}.{topic}").items():
            for policy, value in mapping(policies, f"{key}.{topic}.{end}").items():
                name = f"qos_overrides.{topic}.{end}.{policy}"
                if not QOS_OVERRIDE.fullmatch(name):
                    raise ValueError(
                        f"{key}.{topic}.{end}.{policy} is unknown, expected history, depth, "
                        "reliability or durability of publisher or subscription"
                    )
                given[name] = value
    return given
