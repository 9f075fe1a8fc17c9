"""Nodes by the names that a person can look for."""

import types

import pytest

from vjepa_gate.graph_names import node_of


def endpoint(name, namespace):
    return types.SimpleNamespace(
        node_name=name, node_namespace=namespace, endpoint_gid=[1, 15, *range(14)]
    )


@pytest.mark.parametrize(
    ("namespace", "full"), [("/", "/arm_gate"), ("/lab/left", "/lab/left/arm_gate")]
)
def test_a_node_in_its_namespace(namespace, full):
    assert node_of(endpoint("arm_gate", namespace)) == full


def test_a_node_that_the_middleware_does_not_know_is_told_by_words():
    told = node_of(endpoint("_NODE_NAME_UNKNOWN_", "_NODE_NAMESPACE_UNKNOWN_"))
    assert told == (
        "a node whose name the middleware does not know (participant 010f00010203040506070809)"
    )
