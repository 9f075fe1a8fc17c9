"""Whose table the robot stands at: its camera, its room and its hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from vjepa_sim.appearance import RoomLook, Surface
from vjepa_sim.cameras import VIEWPOINTS, Viewpoint
from vjepa_sim.robot import MAX_WIDTH


@dataclass(frozen=True, kw_only=True)
class Lab:
    """What stays as it is from one episode to the next."""

    viewpoints: Mapping[str, Viewpoint] = field(default_factory=lambda: VIEWPOINTS)
    room: RoomLook | None = None  # None: another one with each seed
    max_width: float = MAX_WIDTH  # metres between the fingers of the open hand
    fixed: frozenset[str] = frozenset()  # aspects that no seed changes


# `home` is where the shipped weights were trained; the camera of `away` stands 40° further
# round and 25 cm higher, and its hand opens 1 cm less.
LABS = {
    "home": Lab(),
    "away": Lab(
        viewpoints=VIEWPOINTS
        | {"exterior": Viewpoint(eye=(1.37, 0.28, 0.95), target=(0.49, 0.0, 0.17))},
        room=RoomLook(
            table=Surface("bamboo", (0.34, 0.44, 0.56)),
            wall=Surface("plaster", (0.62, 0.50, 0.44)),
            floor=Surface("concrete", (0.36, 0.38, 0.36)),
        ),
        max_width=0.07,
        fixed=frozenset(("camera", "textures")),
    ),
}
