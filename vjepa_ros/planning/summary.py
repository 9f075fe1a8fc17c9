"""A plan in the terms that people look at: where it leads, how its search went, how it goes on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vjepa_ros.conventions import POSITION, apply_action
from vjepa_ros.planning.solvers import Solution


def states_along(state: Tensor, actions: Tensor) -> Tensor:
    """The states [..., H, 7] that actions [..., H, 7] lead to, one after the other."""
    state = state.to(actions).expand(*actions.shape[:-2], 7)
    states = []
    for action in actions.unbind(-2):
        state = apply_action(state, action)
        states.append(state)
    return torch.stack(states, -2)


def path_length(states: Tensor) -> float:
    """Metres that the tool has travelled through states [T, 7]."""
    return float(states[:, POSITION].diff(dim=0).norm(dim=-1).sum())


@dataclass(frozen=True, kw_only=True)
class SearchCurve:
    """Energies per iteration [I]."""

    best: Tensor
    elites: Tensor
    mean: Tensor


def search_curve(solution: Solution) -> SearchCurve:
    """How the energies came down; candidates without a finite energy do not count."""
    energies = solution.statistics.energies  # [I, N]
    energies = energies.masked_fill(~energies.isfinite(), torch.nan)
    ordered = energies.nan_to_num(torch.inf).sort(-1).values[:, : len(solution.elites)]
    elites = ordered.masked_fill(ordered.isinf(), torch.nan)
    return SearchCurve(best=ordered[:, 0], elites=elites.nanmean(-1), mean=energies.nanmean(-1))
