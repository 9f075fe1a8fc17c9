"""What several commands can be told."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from vjepa_gate.graph_names import check_namespace
from vjepa_gate.settings import setting, settings_of
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.nodes.settings import WEIGHTS
from vjepa_ros.planning.config import PLANNERS, PlannerConfig

PLANNER_SETTINGS = tuple(settings_of(PlannerConfig))


@dataclass(frozen=True, kw_only=True)
class Command:
    """Any of them."""

    positional: ClassVar[tuple[str, ...]] = ()
    planner_settings: ClassVar[Collection[str]] = ()  # of PlannerConfig, which it takes, too


@dataclass(frozen=True, kw_only=True)
class Weighted(Command):
    """One that asks a world model."""

    weights: Path = setting(SHIPPED_WEIGHTS, WEIGHTS)


@dataclass(frozen=True, kw_only=True)
class Searching(Command):
    """One that searches for actions."""

    planner: str | None = setting(
        None, "settings to start from [those that belong to the weights]", choices=PLANNERS
    )
    planner_settings: ClassVar[Collection[str]] = PLANNER_SETTINGS


@dataclass(frozen=True, kw_only=True)
class Looking(Searching):
    """One that plans through a camera."""

    axes: Path | None = setting(None, "what `vjepa-ros calibrate` found for this camera")


@dataclass(frozen=True, kw_only=True)
class Planning(Looking, Weighted):
    """One that plans."""


@dataclass(frozen=True, kw_only=True)
class OnDevice(Command):
    """One whose model may be elsewhere than on the CPU."""

    device: str = setting("cpu", "of the model: cpu, cuda, or auto for a GPU where there is one")


@dataclass(frozen=True, kw_only=True)
class Shared(Command):
    """One that has work for several processes."""

    workers: int | None = setting(None, "processes [one a core]", low=1, high=1024)
    ray: str | None = setting(
        None, "instead: a Ray cluster, by its address, or auto for this machine's"
    )


@dataclass(frozen=True, kw_only=True)
class Turned(Command):
    """One that may lead the simulation's camera around the table."""

    turn: float = setting(
        0.0, "of the camera, counter-clockwise", low=-180.0, high=180.0, unit="degrees"
    )


@dataclass(frozen=True, kw_only=True)
class OfRobot(Command):
    """One that hears a robot's topics."""

    robot: str = setting("sim", "robot YAML: a file, or a name in gate/config/")
    namespace: str = setting("", "of its nodes and topics, such as left")

    def __post_init__(self) -> None:
        check_namespace(self.namespace)


@dataclass(frozen=True, kw_only=True)
class Opening(Command):
    """One that opens recordings."""

    camera: str = setting("left", "of DROID folders: left, right, ext1, ext2, wrist or a number")
    topics: Path | None = setting(None, "YAML file with the names of a bag's topics")
    topic: tuple[str, ...] = setting(
        (), "one of them, KEY=NAME such as image=/left/image_raw; docs/EPISODES.md lists the keys"
    )
    features: Path | None = setting(
        None, "YAML file that says what the features of a LeRobot set mean: docs/LEROBOT.md"
    )


@dataclass(frozen=True, kw_only=True)
class ReadEpisodes(Opening, Shared):
    """One that reads episodes."""

    step_period: float | None = setting(
        None, "between the frames that are read [all frames]", low=0.001, high=3600.0, unit="s"
    )


@dataclass(frozen=True, kw_only=True)
class SkipBad(Command):
    """One that a bad episode ends, or not."""

    skip_bad: bool = setting(False, "go on after a bad episode; list them at the end")
