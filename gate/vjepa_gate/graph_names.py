"""Names of the ROS graph: of nodes, as it tells them, and those that settings say."""

import re
from typing import Any

from vjepa_gate.fields import mapping
from vjepa_gate.strict_yaml import brief

_NAMESPACE = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*/?)?", re.ASCII)
QOS_OVERRIDE = re.compile(
    r"qos_overrides\..+\.(publisher|subscription)\.(history|depth|reliability|durability)"
)

_UNKNOWN = "_NODE_NAME_UNKNOWN_"  # rcl's word


def node_of(endpoint: Any) -> str:
    """Full name of the node that has an endpoint, by rclpy's TopicEndpointInfo.

    A middleware may hear of an endpoint before it hears of its node, or of its node never.
    """
    if endpoint.node_name == _UNKNOWN:
        gid = bytes(endpoint.endpoint_gid)[:12].hex()
        return f"a node whose name the middleware does not know (participant {gid})"
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


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
