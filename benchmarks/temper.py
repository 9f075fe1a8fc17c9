"""The temper of a predictor: how far it is off, beside what its actions change.

    vjepa-ros episodes collect --task waypoints --seed 900 --episodes 40 --steps 24 --out held_out
    python benchmarks/temper.py --weights tiny objects --data held_out

For pairs of frames one step of the model's clock apart, between which the hand moved: the energy
(L1) towards the later frame, of the earlier one as it is seen, and of what is predicted from it
for a zero action, the true action and the best of a grid of moves; and how that one lies to the
true one. The table is Markdown. A predictor that is never quite right has no zero at the true
action: what it predicts tells which action is better, and not when a goal is reached.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION
from vjepa_ros.episodes.library import find_episodes, open_episode
from vjepa_ros.model.located import located
from vjepa_ros.planning.loading import Loaded, load_world_model
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.world_model import Context, Goal

_COLUMNS = ("weights", "pairs", "way", "no motion", "zero action", "true action", "best", "cosine")
_FINGERS_STAY = 0.1  # of closedness


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", nargs="+", type=Path, default=[Path("tiny")])
    parser.add_argument("--data", type=Path, required=True, help="episodes that no weights saw")
    parser.add_argument("--extent", type=float, default=0.1, help="of the grid either way, m")
    parser.add_argument("--points", type=int, default=7, help="of the grid along each axis")
    parser.add_argument("--least", type=float, default=0.05, help="move of a pair, m")
    args = parser.parse_args()
    torch.set_num_threads(1)

    print("| " + " | ".join(_COLUMNS) + " |", "|---" * len(_COLUMNS) + "|", sep="\n")
    for name in args.weights:
        loaded = load_world_model(located(name))
        pairs = pairs_of(args.data, loaded.config.step_period, args.least, args.extent)
        rows = [temper(loaded, *pair, grid_of(args.extent, args.points)) for pair in pairs]
        way, *energies, cosine = np.mean(rows, axis=0)
        cells = [loaded.identity, str(len(rows)), f"{100 * way:.1f} cm"]
        cells += [f"{energy:.3f}" for energy in energies] + [f"{cosine:.2f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def pairs_of(
    data: Path, period: float, least: float, extent: float
) -> Iterator[tuple[NDArray[np.uint8], Tensor]]:
    """Two frames [2, H, W, 3] and their states [2, 7] of each episode that has such a move."""
    rng = np.random.default_rng(0)
    for path in find_episodes(data):
        episode = open_episode(path, step_period=period)
        actions = episode.trajectory.actions
        moves = actions[:, POSITION]
        fit = (np.linalg.norm(moves, axis=1) >= least) & (np.abs(moves).max(1) <= extent)
        fit &= np.abs(actions[:, GRIPPER]) < _FINGERS_STAY
        if fit.any():
            first = int(rng.choice(np.flatnonzero(fit)))
            pair = episode.select([first, first + 1]).load()
            yield pair.frames, torch.from_numpy(pair.states).float()


def grid_of(extent: float, points: int) -> Tensor:
    """Moves of one step [points ** 3, 1, 7]."""
    actions = torch.zeros(points**3, 1, 7)
    values = torch.linspace(-extent, extent, points)
    actions[:, 0, POSITION] = torch.cartesian_prod(values, values, values)
    return actions


@torch.no_grad()
def temper(
    loaded: Loaded, frames: NDArray[np.uint8], states: Tensor, grid: Tensor
) -> tuple[float, ...]:
    """Way, energies of no motion, zero, true and best action, and cosine of true and best."""
    model, objective = loaded.world_model, L1()
    now, after = model.encode(torch.from_numpy(frames))
    moved = states[1, POSITION] - states[0, POSITION]
    zero, true = torch.zeros(2, 1, 1, 7)
    true[0, 0, POSITION] = moved
    cost = model.cost(Context(latents=now[None], states=states[:1]), Goal(latents=after), objective)
    energies = cost(torch.cat((zero, true, grid)))
    best = grid[energies[2:].argmin(), 0, POSITION]
    seen = objective.distance(now[None], after)
    cosine = torch.cosine_similarity(best, moved, dim=0)
    return tuple(map(float, (moved.norm(), seen, *energies[:2], energies[2:].min(), cosine)))


if __name__ == "__main__":
    main()
