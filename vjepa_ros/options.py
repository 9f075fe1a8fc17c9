"""What a user may say of the stack and its nodes. Nothing here needs torch or ROS.

Launch arguments, options of the command line and ROS parameter files all say these settings:
those of the stack itself, and every one that a node has. What several nodes have under one
name, as max_image_age, is one setting and goes to all of them.
"""

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from vjepa_gate.errors import UserError
from vjepa_gate.fields import Setting, unknown
from vjepa_gate.gate_config import ArmGateSettings
from vjepa_gate.graph_names import check_namespace
from vjepa_gate.settings import (
    add_options,
    make,
    read_options,
    read_parameter_file,
    setting,
    settings_of,
)
from vjepa_ros.nodes.settings import (
    EncoderSettings,
    ModelSettings,
    PlannerNodeSettings,
    PredictorSettings,
    RecorderSettings,
    ViewerSettings,
)
from vjepa_ros.planning.config import PlannerConfig


@dataclass(frozen=True, kw_only=True)
class GoalSettings:
    """What the arm shall reach."""

    goal: Path | None = setting(None, "picture (PNG or JPEG) of what the camera sees in the end")
    max_steps: int | None = setting(
        None, "actions of the task at most, instead of the list's or the planner's", low=1
    )
    energy: float | None = setting(
        None, "at which a goal counts as reached, instead of the list's or the planner's", low=0.0
    )


@dataclass(frozen=True, kw_only=True)
class GraphSettings:
    """How the nodes are started."""

    composed: bool = setting(False, "encoder, predictor and planner in one process")
    params_file: Path | None = setting(
        None, "ROS parameter file for the nodes; what is said by name goes before it"
    )
    namespace: str = setting("", "of all nodes, such as left: one for each robot of a domain")
    use_sim_time: bool = setting(False, "the nodes' clock is /clock")
    log_level: Literal["debug", "info", "warn", "error", "fatal"] = setting(
        "info", "from which on nodes tell"
    )
    autostart: bool = setting(
        True, "configure and activate the nodes, which else wait for a lifecycle manager"
    )
    bond: bool = setting(
        False, "active nodes tell nav2's lifecycle manager that they live (bond/msg/Status)"
    )
    respawn: bool = setting(True, "start again what has died")

    def __post_init__(self) -> None:
        check_namespace(self.namespace)


@dataclass(frozen=True, kw_only=True)
class StackSettings(GraphSettings):
    """What else is started."""

    sim: bool = setting(False, "start the simulated Franka as the robot")
    gate: bool = setting(True, "start the arm gate; no, where it runs on the robot's computer")
    models: bool = setting(
        True, "start encoder, predictor and planner; no, to record an arm that somebody else drives"
    )
    task: str = setting("grasp cube", "of the simulated scene: `vjepa-sim tasks`; and recorded")
    scene: int = setting(0, "seed of the simulated scene", low=0)
    predictors_here: int | None = setting(
        None,
        "of the predictors, those that this machine runs; others run `vjepa_composed predictor "
        "--ros-args -r __node:=predictor_N` [all]",
        low=1,
        high=64,
    )
    record: bool = setting(False, "write all that is needed for a replay to runs/<time>/bag")
    rviz: bool = setting(False, "start RViz with camera, latents, plan and target")
    rerun: bool = setting(False, "show camera, goal, latents, plan and energies in Rerun")


NODES: dict[str, tuple[type, ...]] = {
    "arm_gate": (ArmGateSettings,),
    "encoder": (EncoderSettings,),
    "predictor": (PredictorSettings,),
    "planner": (PlannerNodeSettings, PlannerConfig),
    "recorder": (RecorderSettings,),
    "viewer": (ViewerSettings,),
}
# Under the headings of the help; a setting of several is shown in the first.
GROUPS: dict[str, tuple[type, ...]] = {
    "goal": (GoalSettings,),
    "stack": (StackSettings, ModelSettings),
    "planner": NODES["planner"],
    "arm gate": NODES["arm_gate"],
    "other nodes": tuple(
        kind for name in ("encoder", "predictor", "recorder", "viewer") for kind in NODES[name]
    ),
}
KINDS = tuple(kind for kinds in GROUPS.values() for kind in kinds)


class Options:
    """Settings that were given, by name; raises UserError for what is unknown or out of range."""

    def __init__(self, **given: Any) -> None:
        known = _named(KINDS)
        try:
            for name in given:
                if name not in known:
                    raise ValueError(unknown(name, name, known))
            self.given = {name: known[name].check(value, name) for name, value in given.items()}
        except ValueError as error:
            raise UserError(str(error)) from error
        self.goal = make(GoalSettings, pick([GoalSettings], self.given))
        self.stack = make(StackSettings, pick([StackSettings], self.given))
        file = self.stack.params_file
        space = self.stack.namespace
        self._of_file = {} if file is None else read_parameter_file(file, NODES, space)

    def but(self, **given: Any) -> Self:
        """The same with what is given here instead."""
        return type(self)(**(self.given | given))

    def of(self, node: str) -> dict[str, Any]:
        """What a node is given: by the parameter file, or else by name, which goes before."""
        return {**self._of_file.get(node, {}), **pick(NODES[node], self.given)}

    def value(self, node: str, name: str) -> Any:
        """A setting of a node, given or its default."""
        given = self.of(node)
        return given[name] if name in given else _named(NODES[node])[name].default


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell a parser every setting there is."""
    for heading, kinds in GROUPS.items():
        group = parser.add_argument_group(heading)
        for kind in kinds:
            add_options(group, kind, defaults=kind is not PlannerConfig)


def options_of(parsed: argparse.Namespace) -> Options:
    """Give what was said to such a parser."""
    given: dict[str, Any] = {}
    for kind in KINDS:
        given |= read_options(kind, parsed)
    return Options(**given)


def pick(kinds: Iterable[type], values: Mapping[str, Any]) -> dict[str, Any]:
    """Of some values those that the dataclasses have."""
    return {name: values[name] for name in _named(kinds) if name in values}


def _named(kinds: Iterable[type]) -> dict[str, Setting]:
    return {name: about for kind in kinds for name, about in settings_of(kind).items()}
