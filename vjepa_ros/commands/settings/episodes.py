"""What the commands of recordings can be told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjepa_gate.settings import REQUIRED, setting
from vjepa_ros.commands.settings.bases import Opening, ReadEpisodes, Shared, SkipBad, Weighted


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
        "handle",
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
    lab: Literal["home", "away"] = setting(
        "home", "whose camera, table and hand: away is another than the shipped weights know"
    )
    broad: bool = setting(
        False, "displace cameras by up to 5 cm and 5°, and paint objects in any colour"
    )


@dataclass(frozen=True, kw_only=True)
class CheckEpisodes(ReadEpisodes):
    """Read every episode to its last frame against docs/EPISODES.md."""

    positional = ("paths",)

    paths: tuple[Path, ...] = setting(REQUIRED, "episodes, or folders of them")


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


@dataclass(frozen=True, kw_only=True)
class BuildMemory(Weighted, Opening, Shared):
    """Encode the episodes under a path; what is marked as failed is left out."""

    positional = ("episodes",)

    episodes: Path = setting(REQUIRED, "an episode, or a folder of them")
    out: Path = setting(REQUIRED, "folder to write")
