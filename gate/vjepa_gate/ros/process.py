"""Nodes of the suite as a process: it ends with 0 on SIGINT, SIGTERM and SIGHUP, and with one line
and 2 on what the user can mend."""

import sys
from collections.abc import Callable, Sequence

import rclpy
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.signals import SignalHandlerOptions

from vjepa_gate.errors import UserError
from vjepa_gate.output import never_blocking
from vjepa_gate.ros.spinning import spinning
from vjepa_gate.settings import refuse_unknown_parameters
from vjepa_gate.signals import signals_noted

_POLL = 0.05  # seconds


def run_node(make: Callable[[], LifecycleNode]) -> int:
    """One that waits for the transitions of a lifecycle manager."""
    return run_nodes(lambda: [make()], autostart=False)


def run_nodes(make: Callable[[], Sequence[LifecycleNode]], *, autostart: bool) -> int:
    """Until a signal; with `autostart` they are configured and activated at once."""
    with never_blocking(), signals_noted() as ended:
        # With rclpy's own handlers the context is dead before a node can end its work.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        try:
            nodes = make()
            refuse_unknown_parameters(nodes)
        except (UserError, InvalidParameterTypeException, InvalidParameterValueException) as error:
            print(error, file=sys.stderr)
            rclpy.try_shutdown()
            return 2
        with spinning(*nodes) as thread:
            for node in nodes if autostart else ():
                bring_up(node)
            while thread.is_alive() and not ended.wait(_POLL):
                pass
        for node in reversed(nodes):
            node.trigger_shutdown()
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0 if ended.is_set() else 1


def bring_up(node: LifecycleNode) -> LifecycleNode:
    """Configure and activate; a node that cannot has said why, and waits for a person."""
    if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
        node.trigger_activate()
    return node
