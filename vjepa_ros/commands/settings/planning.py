"""What the commands that plan can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjepa_gate.settings import REQUIRED, setting
from vjepa_ros.commands.settings.bases import (
    PLANNER_SETTINGS,
    Command,
    Looking,
    OfRobot,
    OnDevice,
    Opening,
    Planning,
    Searching,
    Shared,
    Turned,
)
from vjepa_ros.nodes.settings import SUBGOALS, WEIGHTS
from vjepa_ros.policy.settings import PolicySettings

_SEARCH = set(PLANNER_SETTINGS[: PLANNER_SETTINGS.index("goal_steps")]) - {
    "horizon",
    "max_step",
    "max_grip",
}


@dataclass(frozen=True, kw_only=True)
class Evaluate(Looking, Shared, Turned, PolicySettings):
    """Count how often the simulated arm reaches its goal, closed loop."""

    weights: Path | None = setting(
        None, f"{WEIGHTS} [objects where one picture asks for more than a reach, else tiny]"
    )
    task: Literal["reach", "grasp", "pick_place", "surprise"] = setting(
        REQUIRED,
        "what the arm has to do; surprise: does the model tell what can happen from what cannot?",
    )
    object: Literal["cube", "box", "cup"] = setting("cube", "with what")
    place: Literal["spot", "bowl"] = setting("spot", "of pick_place: where to")
    goals: Literal["single", "paper", "dense"] = setting(
        "dense", "sub-goal pictures: paper is V-JEPA 2's schedule, single the end alone"
    )
    condition: Literal["plain", "colours", "light", "camera", "distractors", "away"] = setting(
        "plain", "what is otherwise than in training"
    )
    disturbance: Literal["none", "push", "drop"] = setting(
        "none", "in mid-task: the object is pushed during the approach, or lost while it is carried"
    )
    driver: Literal["planner", "servo", "stay", "random", "expert"] = setting(
        "planner",
        "what acts; servo goes straight to the sub-goals that are proposed from one picture, and "
        "the floors look at nothing",
    )
    subgoals: str = setting("auto", SUBGOALS)
    real_time: bool = setting(
        False, "the simulation goes on while it is planned; such trials do not repeat bit for bit"
    )
    episodes: int = setting(20, "how many; of surprise, of each kind", low=1)
    seed: int = setting(7000, "of the first episode's scene; the others follow", low=0)
    json: Path | None = setting(None, "file for all results")
    video: Path | None = setting(None, "folder for one MP4 an episode")


@dataclass(frozen=True, kw_only=True)
class Diff(Command):
    """What `replay diff` takes."""

    positional = ("sources",)

    sources: tuple[Path, ...] = setting(
        REQUIRED,
        "bags, DROID folders, npz, LeRobot sets, or folders of them; or `diff` and two results",
    )
    gate: Path | None = setting(None, "YAML file of bounds: exit 1 outside them")


@dataclass(frozen=True, kw_only=True)
class AnyReplay(Planning, OnDevice, Opening):
    """What the offline replay takes and that through the graph, too."""

    sources: tuple[Path, ...] = setting(REQUIRED, "recordings")
    seed: int = setting(0, "of the planner", low=0)
    json: Path | None = setting(None, "file for every figure")
    graph: bool = setting(False, "play into the encoder, predictor and planner nodes")


@dataclass(frozen=True, kw_only=True)
class OfflineReplay(Diff, AnyReplay, Shared):
    """What the offline replay takes."""

    write_gate: Path | None = setting(None, "file for bounds that this run just keeps")
    html: Path | None = setting(None, "page to look at")
    pictures: Path | None = setting(None, "folder for the page's pictures as PNGs, too")
    clock: Literal["stamped", "nominal"] = setting("stamped", "frames by stamps, or counted")
    step_period: float | None = setting(
        None, "that a step takes [that of the weights]", low=0.001, high=3600.0, unit="s"
    )
    nominal_rate: float | None = setting(
        None, "of frames by the nominal clock [every frame is a step]", low=0.001, unit="Hz"
    )
    ahead: int | None = setting(None, "steps to predict [as trained]", low=1, high=64)
    plan: bool = setting(True, "plan, and rank actions")
    plan_every: int = setting(1, "plan at every Nth step", low=1)


@dataclass(frozen=True, kw_only=True)
class GraphReplay(AnyReplay, OfRobot):
    """What the replay through the graph takes."""

    rate: float = setting(
        1.0, "times the recording's own speed; 0: as fast as the nodes follow", low=0.0, high=1000.0
    )
    composed: bool = setting(False, "the model nodes in one process")
    attach: bool = setting(False, "the nodes are up already, as replay.launch.py does")


@dataclass(frozen=True, kw_only=True)
class Replay(OfflineReplay, GraphReplay):
    """Score a model on recordings, hold it to a gate, compare two runs; no robot, no ROS.

        vjepa-ros replay BAG… --gate GATE.yaml --json RUN.json --html RUN.html
        vjepa-ros replay diff BEFORE.json AFTER.json
        vjepa-ros replay --graph BAG…         # through the real nodes: docs/REPLAY_GRAPH.md

    The same recordings, weights and seed give the same figures, bit for bit, however many workers
    share them; docs/REPLAY.md says what each one means. Exit code 1: outside the gate. 2: some
    recordings could not be scored; the others were.
    """


@dataclass(frozen=True, kw_only=True)
class Landscape(Searching, OnDevice):
    """Map the energies of actions around a recorded step, as a picture."""

    planner_settings = _SEARCH  # of one step, within what is drawn

    weights: Path = setting(REQUIRED, "file of weights")
    episode: Path = setting(REQUIRED, "episode as .npz")
    out: Path = setting(REQUIRED, "picture to write, .png")
    from_: int = setting(0, "frame to start from", low=0)
    to: int | None = setting(None, "frame that is the goal [the next one]", low=0)
    axes: tuple[str, ...] = setting(
        ("dx", "dz"), "one or two", choices=("dx", "dy", "dz", "gripper")
    )
    points: int = setting(15, "along each axis", low=2, high=1000)
    extent: float | None = setting(
        None, "to each side [as the recorded action needs]", low=0.001, high=1.0, unit="m"
    )
    seed: int = setting(0, "of the search", low=0)
