"""What is asked before the work begins: doctor, goals, weights, calibration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjepa_gate.settings import REQUIRED, setting
from vjepa_ros.commands.settings.bases import Command, OfRobot, Turned, Weighted
from vjepa_ros.nodes.settings import SUBGOALS


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
    lab: Literal["home", "away"] = setting("home", "whose camera, table and hand")


@dataclass(frozen=True, kw_only=True)
class Calibrate(SimulatedArm, Weighted, OfRobot):
    """Find how motions look turned to the model from where the camera stands."""

    out: Path = setting(Path("axes.yaml"), "file to write")
    moves: int = setting(40, "to fit to", low=8, high=10_000)
    box: float = setting(0.06, "to each side of the start", low=0.02, high=0.2, unit="m")
    seed: int = setting(0, "of the motions", low=0)
    sim: bool = setting(False, "move the simulated arm, without ROS")
