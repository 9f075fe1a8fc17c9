"""Nodes of the suite in one process, configured and activated.

    vjepa_composed encoder predictor planner   # latents stay on the device
    vjepa_composed encoder                     # one alone, with topics and services

`vjepa_encoder` and its sisters run one node and leave the transitions to a lifecycle manager
of your own.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.utilities import remove_ros_args

from vjepa_gate.ros.process import run_nodes
from vjepa_ros.nodes.encoder import EncoderNode
from vjepa_ros.nodes.planner import PlannerNode
from vjepa_ros.nodes.predictor import PredictorNode
from vjepa_ros.nodes.recorder import RecorderNode
from vjepa_ros.nodes.viewer import ViewerNode

NODES = ("encoder", "predictor", "planner", "recorder", "viewer")


def make_nodes(names: Sequence[str], **options: Any) -> list[LifecycleNode]:
    """Those that share a process are given each other."""
    encoder = EncoderNode(**options) if "encoder" in names else None
    predictor = PredictorNode(encoder, **options) if "predictor" in names else None
    planner = PlannerNode(encoder, predictor, **options) if "planner" in names else None
    recorder = RecorderNode(**options) if "recorder" in names else None
    viewer = ViewerNode(**options) if "viewer" in names else None
    return [node for node in (encoder, predictor, planner, recorder, viewer) if node is not None]


def main() -> int:
    """Run the named nodes in one process until a signal."""
    parser = argparse.ArgumentParser(
        prog="vjepa_composed", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("nodes", nargs="+", choices=NODES, metavar="NODE", help=", ".join(NODES))
    parser.add_argument(
        "--autostart",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="configure and activate at once, instead of waiting for a lifecycle manager",
    )
    said = parser.parse_args(remove_ros_args(sys.argv)[1:])
    return run_nodes(lambda: make_nodes(said.nodes), autostart=said.autostart)


if __name__ == "__main__":
    sys.exit(main())
