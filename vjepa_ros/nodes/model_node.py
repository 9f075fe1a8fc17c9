"""A managed node around a model: it keeps memory, and serves in threads of its own."""

from typing import Any

from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from vjepa_gate.ros.managed_node import ManagedNode
from vjepa_gate.ros.spinning import spinning
from vjepa_gate.ros.thinned import apart
from vjepa_ros.nodes import health


class ModelNode(ManagedNode):
    """cleanup also forgets the attributes that were made since configure, for their memory."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Set up, and remember what that made, for cleanup to forget."""
        self.resources.callback(self._forget_all_but, frozenset(vars(self)))
        return super().on_configure(state)

    def _forget_all_but(self, attributes: frozenset[str]) -> None:
        for name in vars(self).keys() - attributes:
            delattr(self, name)

    def subscribe(self, kind: type, topic: str, callback: Any, profile: Any, **how: Any) -> None:
        """Subscribe until cleanup; what comes later is ignored."""
        live = [True]  # rclpy may call once more, of a message that it took before cleanup

        def call(message: Any) -> None:
            if live:
                callback(message)

        super().subscribe(kind, topic, call, profile, **how)
        self.resources.callback(live.clear)

    def memory(self) -> dict[str, str]:
        """Say how much memory the process holds."""
        return health.memory()

    def serve_apart(self, kind: type, name: str, callback: Any) -> None:
        """In a thread of its own: the callback may take its time, and wait for messages."""
        node = self.node_apart(name.removeprefix("~/").replace("/", "_"))
        node.create_service(kind, self.resolve_service_name(name), callback)
        self.resources.enter_context(spinning(node))

    def node_apart(self, name: str) -> Node:
        """A hidden one, as callbacks of one node all run in the same thread."""
        node = apart(self, name)
        self.resources.callback(node.destroy_node)
        return node

    def client(self, kind: type, name: str, **how: Any) -> Any:
        """Make a client that lives until cleanup."""
        client = self.create_client(kind, name, **how)
        self.resources.callback(self.destroy_client, client)
        return client
