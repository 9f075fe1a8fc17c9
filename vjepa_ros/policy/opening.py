"""What a proposer is, and how one is had from settings; needs no extra as long as none is asked."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vjepa_gate.settings import make, read_yaml
from vjepa_ros.extras import extra
from vjepa_ros.policy.settings import PolicyMap, PolicySettings


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a policy is asked about."""

    rgb: NDArray[np.uint8]  # [H, W, 3]
    state: Tensor  # [7]
    goal: NDArray[np.uint8] | None = None  # [H, W, 3] the picture that is headed for


class Proposer(Protocol):
    """Proposes actions; what it cannot do it says in `trouble`."""

    trouble: str
    answered: int

    def __call__(self, seen: Seen) -> Tensor | None:
        """Candidates [P, T, 7], or None: the planner is alone."""

    def close(self) -> None:
        """Leave whoever proposes."""


def map_of(settings: PolicySettings) -> PolicyMap:
    """The map of a file, or the default one."""
    file = settings.policy_map
    return PolicyMap() if file is None else make(PolicyMap, read_yaml(PolicyMap, file), file)


def proposer_of(settings: PolicySettings, period: float) -> Proposer | None:
    """The policy that the settings name, for actions of `period` seconds."""
    if settings.policy is None:
        return None
    with extra("policy", f"policy {settings.policy}"):
        from vjepa_ros.policy.proposals import PolicyProposer
    return PolicyProposer(settings, map_of(settings), period)
