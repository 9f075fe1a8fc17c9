"""What each command of `vjepa-ros` can be told; needs neither torch nor ROS nor the simulation.

A command's settings are a dataclass, whose first line is shown as help. Options of the same name
say the same everywhere. Of the planner, PlannerConfig, a command takes every setting that it uses.
"""

import argparse
import inspect
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from vjepa_gate import settings
from vjepa_gate.errors import UserError
from vjepa_gate.graph_names import check_namespace
from vjepa_gate.settings import REQUIRED, option, setting, settings_of
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.nodes.settings import SUBGOALS
from vjepa_ros.planning.config import PLANNERS, PlannerConfig
from vjepa_ros.policy.settings import PolicySettings

T = TypeVar("T")

_ALL = tuple(settings_of(PlannerConfig))
_SEARCH = set(_ALL[: _ALL.index("goal_steps")]) - {"horizon", "max_step", "max_grip"}
_PRESET = "quick, cpu, gpu, objects, finetune or a .yaml file: config/training_*.yaml"
_FROM = (
    "weights, or the --out of an earlier stage; may be repeated: the later ones count for what "
    "they hold"
)

# --- what several commands take ------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Command:
    """Any of them."""

    positional: ClassVar[tuple[str, ...]] = ()
    planner_settings: ClassVar[Collection[str]] = ()  # of PlannerConfig, which it takes, too


@dataclass(frozen=True, kw_only=True)
class Weighted(Command):
    """One that asks a world model."""

    weights: Path = setting(SHIPPED_WEIGHTS, "file of weights")


@dataclass(frozen=True, kw_only=True)
class Searching(Command):
    """One that searches for actions."""

    planner: str | None = setting(
        None, "settings to start from [those that belong to the weights]", choices=PLANNERS
    )
    planner_settings: ClassVar[Collection[str]] = _ALL


@dataclass(frozen=True, kw_only=True)
class Planning(Searching, Weighted):
    """One that plans."""

    axes: Path | None = setting(None, "what `vjepa-ros calibrate` found for this camera")


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


# --- small commands ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Doctor(Command):
    """Check this machine, or a robot that runs; each line ok or what to do.

    With --robot: publishers, types, QoS, rates, frames, clocks, TF, controllers and hand of the
    live graph against the robot's YAML. The open fingers of a franka_hand are asked to close by a
    millimetre, which tells whether it was homed; nothing else moves.
    """

    robot: str | None = setting(None, "to check instead: a YAML file, or a name in gate/config/")
    dds: bool = setting(True, "try a message round trip, which needs UDP")


@dataclass(frozen=True, kw_only=True)
class GoalCapture(Weighted, OfRobot):
    """Save the next camera image, cut as the encoder sees it; say what is wrong with it."""

    out: Path = setting(REQUIRED, "PNG file to write")
    timeout: float = setting(10.0, "to wait for an image", low=0.01, high=3600.0, unit="s")


@dataclass(frozen=True, kw_only=True)
class GoalCheck(Weighted, OfRobot):
    """Compare a goal with what the camera sees now: crop, light, sharpness, energy."""

    positional = ("goal",)

    goal: Path = setting(REQUIRED, "PNG or JPEG")
    image: Path | None = setting(None, "what the camera sees now, as a file: needs no ROS")
    timeout: float = setting(10.0, "to wait for an image", low=0.01, high=3600.0, unit="s")


@dataclass(frozen=True, kw_only=True)
class GoalExplain(GoalCheck):
    """Show the way that would be gone to a goal picture; exit 1 where it would be refused."""

    state: tuple[float, ...] = setting(
        (),
        "with --image: of the hand, x,y,z,roll,pitch,yaw,closedness; else it is asked of the robot",
    )
    subgoals: str = setting("auto", SUBGOALS)
    out: Path = setting(Path("way.png"), "picture of the way to write, .png")


@dataclass(frozen=True, kw_only=True)
class InspectWeights(Command):
    """Say what a checkpoint file holds; reads its table of contents alone."""

    positional = ("file",)

    file: Path = setting(
        REQUIRED,
        "a published checkpoint, or our safetensors; a folder that holds one; or a Hugging Face "
        "repository in the local cache, as facebook/vjepa2-vitl-fpc64-256",
    )
    hash: bool = setting(
        False, "also the SHA-256 of a file outside that cache, which is read whole"
    )


@dataclass(frozen=True, kw_only=True)
class ConvertWeights(Command):
    """Write what planning needs as safetensors, with the configuration inside."""

    positional = ("input", "output")

    input: Path = setting(REQUIRED, "a published checkpoint, or our safetensors")
    output: Path = setting(REQUIRED, "the .safetensors file to write")
    dtype: Literal["float32", "bf16", "fp16"] = setting("float32", "type of the numbers")
    encoder: Path | None = setting(
        None, "file to take the encoder from, where input has none: for jepa-wms Meta's vitg.pt"
    )


@dataclass(frozen=True, kw_only=True)
class SimulatedArm(Turned):
    """What of `calibrate` is about the simulation alone."""

    scene: int = setting(0, "seed of the simulation's scene", low=0)


@dataclass(frozen=True, kw_only=True)
class Calibrate(SimulatedArm, Weighted, OfRobot):
    """Find how motions look turned to the model from where the camera stands."""

    out: Path = setting(Path("axes.yaml"), "file to write")
    moves: int = setting(40, "to fit to", low=8, high=10_000)
    box: float = setting(0.06, "to each side of the start", low=0.02, high=0.2, unit="m")
    seed: int = setting(0, "of the motions", low=0)
    sim: bool = setting(False, "move the simulated arm, without ROS")


# --- episodes ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Collect(Shared):
    """Record episodes in the simulation; the same seed makes the same files."""

    task: Literal[
        "mix",
        "expert",
        "waypoints",
        "random",
        "far",
        "glimpses",
        "carry",
        "reach",
        "grasp",
        "pick_place",
    ] = setting("mix", "how the arm moves")
    episodes: int = setting(REQUIRED, "how many", low=1)
    seed: int = setting(0, "of the whole collection", low=0)
    out: Path = setting(REQUIRED, "folder to write them to")
    steps: int = setting(64, "frames an episode at most, at 4 Hz", low=2)
    size: int = setting(128, "of the square frames", low=16, high=4096, unit="pixels")
    camera: str = setting("exterior", "of the simulation")
    encoding: Literal["png", "jpeg"] = setting("png", "of the frames")
    relight: float = setting(0.0, "chance, at each step, of another light", low=0.0, high=1.0)
    broad: bool = setting(
        False, "displace cameras by up to 5 cm and 5°, and paint objects in any colour"
    )


@dataclass(frozen=True, kw_only=True)
class ReadEpisodes(Opening, Shared):
    """One that reads episodes."""

    step_period: float | None = setting(
        None, "between the frames that are read [all frames]", low=0.001, high=3600.0, unit="s"
    )


@dataclass(frozen=True, kw_only=True)
class CheckEpisodes(ReadEpisodes):
    """Read every episode to its last frame against docs/EPISODES.md."""

    positional = ("paths",)

    paths: tuple[Path, ...] = setting(REQUIRED, "episodes, or folders of them")


@dataclass(frozen=True, kw_only=True)
class SkipBad(Command):
    """One that a bad episode ends, or not."""

    skip_bad: bool = setting(False, "go on after a bad episode; list them at the end")


@dataclass(frozen=True, kw_only=True)
class InspectEpisodes(CheckEpisodes, SkipBad):
    """Figures, a sheet of frames and histograms of the actions."""

    out: Path | None = setting(None, "folder for contact_sheet.png and actions.png")


@dataclass(frozen=True, kw_only=True)
class ConvertEpisodes(ReadEpisodes, SkipBad):
    """One episode or a tree of them from one layout to another."""

    positional = ("source", "out")

    source: Path = setting(REQUIRED, "an episode, or a folder of them")
    out: Path = setting(REQUIRED, "an episode, or a folder for them")
    from_: Literal["npz", "bag", "droid", "lerobot"] | None = setting(None, "take only these [all]")
    to: Literal["npz", "bag", "droid", "lerobot"] = setting(REQUIRED, "layout to write")
    images: Literal["png", "jpeg", "raw"] | None = setting(
        None, "in bags and npz; png and raw keep every pixel [png]"
    )
    storage: Literal["mcap", "sqlite3"] | None = setting(None, "of bags [mcap]")


@dataclass(frozen=True, kw_only=True)
class ViewEpisode(Opening):
    """Write an episode as .rrd for Rerun; of a bag its plans, goals and surprise, too."""

    positional = ("source", "out")

    source: Path = setting(REQUIRED, "an episode")
    out: Path = setting(REQUIRED, "file to write, .rrd")


# --- train ---------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Train(Command):
    """Collect episodes, train on them, report: the shipped weights from nothing."""

    out: Path = setting(REQUIRED, "where to put what is made")
    preset: str = setting("cpu", _PRESET)
    set: tuple[str, ...] = setting(
        (), "NAME=VALUE of the preset, as pretrain.trainer.steps=100; may be repeated"
    )
    device: str | None = setting(None, "cpu or cuda [cuda where there is one]")


@dataclass(frozen=True, kw_only=True)
class TrainOn(Train):
    """One that trains on episodes."""

    data: Path = setting(REQUIRED, "folder of episodes")
    unpacked: Path | None = setting(None, "where frames are unpacked [a folder beside --out]")


@dataclass(frozen=True, kw_only=True)
class Pretrain(TrainOn):
    """Train an encoder on episodes, from nothing or from weights."""

    from_: tuple[Path, ...] = setting((), _FROM)


@dataclass(frozen=True, kw_only=True)
class Joint(TrainOn):
    """Go on from `pretrain`, with a predictor that grows up with the encoder."""

    from_: tuple[Path, ...] = setting(REQUIRED, _FROM)


@dataclass(frozen=True, kw_only=True)
class Posttrain(TrainOn):
    """Train an action-conditioned predictor; the encoder stays as is."""

    weights: Path = setting(REQUIRED, "file of weights, with an encoder at least")


@dataclass(frozen=True, kw_only=True)
class Finetune(Posttrain):
    """Fit a predictor to a lab's own episodes."""

    preset: str = setting("finetune", _PRESET)
    step_period: float | None = setting(
        None, "between frames [as in the weights]", low=0.001, high=3600.0, unit="s"
    )


@dataclass(frozen=True, kw_only=True)
class ReportTraining(Posttrain):
    """One HTML page: probes, prediction errors and energies of weights."""

    metrics: tuple[Path, ...] = setting((), "metrics.csv to plot; may be repeated")
    frames: int = setting(3000, "to fit probes on", low=1)
    windows: int = setting(192, "to predict in", low=1)


@dataclass(frozen=True, kw_only=True)
class TrainSubGoals(Command):
    """Train a net that proposes the key frames of the way to one goal picture."""

    out: Path = setting(REQUIRED, "file to write")
    data: Path = setting(REQUIRED, "folder of demonstrations")
    weights: Path = setting(REQUIRED, "those that will plan")
    bank: Path | None = setting(None, "where latents are kept [a folder beside --out]")
    readings: Path | None = setting(
        None, "the --out of `joint`: read latents as it has learnt to [learnt here]"
    )
    steps: int = setting(4000, "of the optimizer", low=1)


@dataclass(frozen=True, kw_only=True)
class TrainPolicy(Weighted):
    """Clone recorded episodes: a small policy, which the latents of frozen weights are shown to."""

    data: Path = setting(REQUIRED, "folder of episodes; those marked as failed are left out")
    out: Path = setting(REQUIRED, "file to write; latents are kept beside it")
    steps: int = setting(3000, "of the optimizer", low=1)
    seed: int = setting(0, "of the training", low=0)


@dataclass(frozen=True, kw_only=True)
class ServePolicy(Weighted):
    """Answer questions in openpi's protocol with such a policy."""

    positional = ("file",)

    file: Path = setting(REQUIRED, "what `policy train` wrote")
    host: str = setting("127.0.0.1", "to listen at; whoever reaches it may ask")
    port: int = setting(8000, "to listen at; 0 is any that is free", low=0, high=65535)


@dataclass(frozen=True, kw_only=True)
class BuildMemory(Weighted, Shared):
    """Encode the episodes under a path; what is marked as failed is left out."""

    positional = ("episodes",)

    episodes: Path = setting(REQUIRED, "an episode, or a folder of them")
    out: Path = setting(REQUIRED, "folder to write")


# --- commands that plan ----------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Evaluate(Planning, Shared, Turned, PolicySettings):
    """Count how often the simulated arm reaches its goal, closed loop."""

    task: Literal["reach", "grasp", "pick_place"] = setting(REQUIRED, "what the arm has to do")
    object: Literal["cube", "box", "cup"] = setting("cube", "with what")
    place: Literal["spot", "bowl"] = setting("spot", "of pick_place: where to")
    goals: Literal["single", "paper", "dense"] = setting(
        "dense", "sub-goal pictures: paper is V-JEPA 2's schedule, single the end alone"
    )
    condition: Literal["plain", "colours", "light", "camera", "distractors"] = setting(
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
    subgoals: str = setting("none", SUBGOALS)
    episodes: int = setting(20, "how many", low=1)
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


@dataclass(frozen=True, kw_only=True)
class TrainProbe(Command):
    """Train a probe that says of a frame's latents whether something is so."""

    out: Path = setting(REQUIRED, "file to write")
    data: Path = setting(REQUIRED, "folder of episodes")
    weights: Path = setting(REQUIRED, "file of weights, with an encoder at least")
    label: Literal["grasped", "closed"] = setting(
        "grasped", "whether the object of the task is held, or the fingers are closed"
    )
    steps: int = setting(1000, "of the optimizer", low=1)
    held_out: float = setting(0.1, "share of the episodes, to measure on", low=0.0, high=0.5)
    seed: int = setting(0, "of the draws", low=0)


COMMANDS: dict[str, type[Command] | dict[str, type[Command]]] = {
    "doctor": Doctor,
    "calibrate": Calibrate,
    "evaluate": Evaluate,
    "replay": Replay,
    "landscape": Landscape,
    "goal": {"capture": GoalCapture, "check": GoalCheck, "explain": GoalExplain},
    "weights": {"inspect": InspectWeights, "convert": ConvertWeights},
    "episodes": {
        "collect": Collect,
        "inspect": InspectEpisodes,
        "convert": ConvertEpisodes,
        "check": CheckEpisodes,
        "view": ViewEpisode,
    },
    "train": {
        "weights": Train,
        "pretrain": Pretrain,
        "joint": Joint,
        "posttrain": Posttrain,
        "finetune": Finetune,
        "subgoals": TrainSubGoals,
        "probe": TrainProbe,
        "report": ReportTraining,
    },
    "memory": {"build": BuildMemory},
    "policy": {"train": TrainPolicy, "serve": ServePolicy},
}


# --- from words to settings ------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser, command: str) -> None:
    """Tell a parser all that a command takes."""
    found = COMMANDS[command]
    if not isinstance(found, dict):
        _add_options(parser, found)
        return
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, kind in found.items():
        summary = inspect.cleandoc(kind.__doc__ or "")
        _add_options(verbs.add_parser(name, help=summary), kind)


def _add_options(parser: argparse.ArgumentParser, kind: type[Command]) -> None:
    parser.description = inspect.cleandoc(kind.__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    settings.add_options(parser, kind, positional=kind.positional)
    if only := kind.planner_settings:
        group = parser.add_argument_group("planner, where it shall differ from --planner")
        settings.add_options(group, PlannerConfig, only=only, defaults=False)


def read(kind: type[T], parsed: argparse.Namespace) -> T:
    """Give the settings that a command was told, and the defaults of the others."""
    return settings.make(kind, settings.read_options(kind, parsed))


def shared(kind: type, told: object) -> dict[str, Any]:
    """Give those settings that are fields of another dataclass, too."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in vars(told).items() if name in names}


def refuse_unused(given: Iterable[str], used: Collection[str], when: str) -> None:
    """Raise UserError for an option that does nothing beside another one."""
    for name in given:
        if name not in used:
            raise UserError(f"{option(name)} does nothing {when}: leave out one of the two")


def check_folders(**files: Path | None) -> None:
    """What would otherwise fail after the work is done: files to write, by their options."""
    for name, path in files.items():
        if path is not None and not path.absolute().parent.is_dir():
            raise UserError(f"{option(name)} {path}: expected a file in a folder that exists")
