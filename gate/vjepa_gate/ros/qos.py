"""How messages travel: what loses none, what is only good when new."""

import copy
from typing import Any, Literal

from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from vjepa_gate.robots import Topic

DELTAS = QoSProfile(depth=10)  # actions for the arm gate
SIGNALS = QoSProfile(depth=10)  # small things: plans, surprise, the deadman, diagnostics

# What is told once, to who comes later, too: the robot's description, fixed transforms.
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def of_topic(topic: Topic) -> QoSProfile:
    """As the robot's YAML says it."""
    reliability = ReliabilityPolicy[topic.reliability.upper()]
    return QoSProfile(depth=topic.depth, reliability=reliability)


def overridable(
    node: Node, topic: str, profile: QoSProfile, end: Literal["publisher", "subscription"]
) -> dict[str, Any]:
    """How to make a publisher or subscription, as parameters `qos_overrides.…` want it.

    Only those that were given are declared: the others go on following the robot's YAML, which
    may be another one after cleanup.
    """
    start = f"qos_overrides.{node.resolve_topic_name(topic)}.{end}."
    given = [name for name in given_overrides(node) if name.startswith(start)]
    kinds = [QoSPolicyKind[name.removeprefix(start).upper()] for name in given]
    options = QoSOverridingOptions(kinds) if kinds else None
    # A copy: rclpy writes the overrides into the profile.
    return {"qos_profile": copy.copy(profile), "qos_overriding_options": options}


def given_overrides(node: Node) -> dict[str, Parameter]:
    """The `qos_overrides.…` that a node was given, by name."""
    with node.handle:
        given = node.handle.get_parameters(Parameter)
    return {name: value for name, value in given.items() if name.startswith("qos_overrides.")}
