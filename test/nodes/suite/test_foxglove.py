"""The layout for Foxglove names topics and fields that are really published, and recorded."""

import importlib
import json
import re

from vjepa_gate.robots import load_robot
from vjepa_gate.share import config_folder
from vjepa_ros.nodes.recorder import _topics

PANELS = {  # by kind: what its topics may be
    "Image": {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"},
    "3D": {
        "std_msgs/msg/String",
        "nav_msgs/msg/Path",
        "geometry_msgs/msg/PoseStamped",
        "visualization_msgs/msg/MarkerArray",
    },
    "DiagnosticSummary": {"diagnostic_msgs/msg/DiagnosticArray"},
}
# Of the simulation alone: a bag has what a replay needs.
NOT_RECORDED = {"/robot_description", "/encoder/picture"}


def panels():
    layout = json.loads((config_folder("vjepa_ros") / "foxglove.json").read_text())
    assert set(shown(layout["layout"])) == set(layout["configById"])
    for name, config in layout["configById"].items():
        yield name.partition("!")[0], config


def shown(part):
    """The panels of a layout, which is split again and again."""
    if isinstance(part, str):
        return [part]
    return [*shown(part["first"]), *shown(part["second"])]


def topics_of(kind, config):
    """The topics of a panel, each with the path to a number in it."""
    if kind == "Image":
        return [(config["imageMode"]["imageTopic"], "")]
    if kind == "3D":
        return [(topic, "") for topic in config["topics"]]
    if kind == "DiagnosticSummary":
        return [(config["topicToRender"], "")]
    return [tuple(path["value"].partition(".")[::2]) for path in config["paths"]]


def type_at(message_type, path):
    """What a path such as energy_best[-1] leads to."""
    for field in path.split("."):
        name, index = re.fullmatch(r"(\w+)(\[-?\d+\])?", field).groups()
        package, kind, message = message_type.split("/") if message_type.count("/") == 2 else (
            message_type.split("/")[0], "msg", message_type.split("/")[1]
        )  # fmt: skip
        known = getattr(importlib.import_module(f"{package}.{kind}"), message)
        message_type = known.get_fields_and_field_types()[name]
        if index:
            message_type = re.fullmatch(r"sequence<(.*)>", message_type)[1]
    return message_type


def test_panels_show_what_is_published(bench, start_nodes, wait_until):
    start_nodes("encoder", "predictor", "planner", picture=True)
    published = {
        "/robot_description": "std_msgs/msg/String",  # of the simulation
        "/target_pose": "geometry_msgs/msg/PoseStamped",  # of the arm gate
    }

    def all_there():
        for topic, (kind, *_) in bench.node.get_topic_names_and_types():
            if bench.node.count_publishers(topic):
                published[topic] = kind
        return {topic for kind, one in panels() for topic, _ in topics_of(kind, one)} <= set(
            published
        )

    wait_until(all_there, "all topics of the layout")
    for kind, config in panels():
        for topic, path in topics_of(kind, config):
            if kind == "Plot":
                assert type_at(published[topic], path) in ("float", "double", "uint16"), path
            else:
                assert published[topic] in PANELS[kind], topic


def test_a_recording_shows_them_too():
    recorded = {f"/{topic.name.lstrip('/')}" for _, topic in _topics(load_robot("sim"))}
    wanted = {topic for kind, one in panels() for topic, _ in topics_of(kind, one)}
    assert wanted - NOT_RECORDED <= recorded
