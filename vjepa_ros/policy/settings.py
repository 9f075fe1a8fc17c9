"""What is said of a policy; needs neither torch nor its packages."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjepa_gate.settings import setting


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """Which policy proposes, and how long it is waited for."""

    policy: str | None = setting(None, "ws://HOST:PORT of a policy in openpi's protocol")
    policy_map: Path | None = setting(
        None, "YAML file of what it takes and what its actions mean: docs/POLICY.md"
    )
    policy_timeout: float = setting(
        0.5, "for one answer of it; then the planner is alone", low=0.01, high=60.0, unit="s"
    )
    policy_samples: int = setting(
        1, "answers to one look, where each is drawn anew", low=1, high=64
    )
    prompt: str = setting("", "what the policy shall do, in words")

    def __post_init__(self) -> None:
        if self.policy is not None and not self.policy.startswith(("ws://", "wss://")):
            raise ValueError(f"policy is {self.policy!r}, expected ws://HOST:PORT")


@dataclass(frozen=True, kw_only=True)
class PolicyMap:
    """What a policy is given, and what it gives: rows of seven numbers, one for each tick."""

    image: str = setting("observation/exterior_image_1_left", "key of the camera's picture")
    size: int = setting(
        224, "of that picture, a square with black bars", low=16, high=4096, unit="pixels"
    )
    pose: str = setting("observation/cartesian_position", "key of x y z roll pitch yaw")
    gripper: str = setting("observation/gripper_position", "key of the gripper")
    prompt: str = setting("prompt", "key of the words")
    actions: Literal["target", "change"] = setting(
        "change",
        "target: each row is the pose to be at; change: from the row before, about the base axes",
    )
    gripper_open: float = setting(0.0, "what its gripper is with the fingers open")
    gripper_closed: float = setting(1.0, "what its gripper is with the fingers closed")
    rate: float = setting(4.0, "of rows", low=0.1, high=1000.0, unit="Hz")

    def __post_init__(self) -> None:
        if self.gripper_open == self.gripper_closed:
            raise ValueError(f"gripper_open and gripper_closed are {self.gripper_open:g}, both")
