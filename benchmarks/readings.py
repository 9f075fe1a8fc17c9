"""How far off a proposer of sub-goals has object and place, at the start of scenes.

    python benchmarks/readings.py --episodes 40 --seed 6000

Of picking and placing, on the table in centimetres: root mean square and median, of where the
object is read, and of the key frames around it and at its place; and in how many scenes the way
is known, two moves of the fingers that have not begun.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_ros.conventions import POSITION
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.model.reader import THING, UNIT
from vjepa_ros.model.shipped import OBJECTS, shipped
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.subgoals.loading import proposer_beside
from vjepa_ros.planning.subgoals.proposer import Proposer, ProposerSource, load_proposer
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import make_task

_ROWS = (
    *(("cube", condition) for condition in CONDITIONS),
    ("cup", "plain"),
    ("cup", "camera"),
    ("box", "plain"),
)
_AROUND, _AT_PLACE = 1, 5  # key frames


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    loaded = load_world_model(shipped(OBJECTS))
    net = load_proposer(proposer_beside(shipped(OBJECTS)), loaded.identity)
    seeds = range(arguments.seed, arguments.seed + arguments.episodes)
    print("object condition    read        around      at place    known")
    with Scene() as scene:
        for thing, condition in _ROWS:
            offs = np.array(
                list(_offs(loaded.world_model.encode, net, scene, thing, condition, seeds))
            )
            known = np.isfinite(offs[:, 1])
            figures = "  ".join(_told(offs[known, column]) for column in range(3))
            print(f"{thing:6} {condition:12} {figures}  {known.sum()} of {len(known)}")


@torch.no_grad()
def _offs(
    encode: Callable[[Tensor], Tensor],
    net: Proposer,
    scene: Scene,
    thing: str,
    condition: str,
    seeds: range,
) -> Iterator[NDArray[np.float64]]:
    """Centimetres that reading and both key frames are off [3]; NaN where the way is not known."""
    for seed in seeds:
        task = make_task("pick_place", thing)
        episode = CONDITIONS[condition].begin(scene, task, seed, "single")
        seen, goal = scene.observe(), episode.goals[-1].observation
        state = state_of(seen)
        now, wanted = (encode(torch.from_numpy(one.rgb.copy())[None]) for one in (seen, goal))
        read, _ = net.read(now.float(), wanted.float(), state[None].float())
        there = state[POSITION][:2] + UNIT * read[0, THING][:2]
        proposal, *_ = ProposerSource(net=net).propose(now[0], wanted[0], state)
        whole = proposal.phase == 0 and len(proposal) > _AT_PLACE
        around, placed = (
            proposal.positions[frame, :2] if whole else torch.full((2,), torch.nan)
            for frame in (_AROUND, _AT_PLACE)
        )
        true = scene.truth()[thing].position[:2]
        places = ((there, true), (around, true), (placed, episode.target[:2]))
        yield np.array([100 * np.linalg.norm(one.numpy() - place) for one, place in places])


def _told(offs: NDArray[np.float64]) -> str:
    return f"{np.sqrt((offs**2).mean()):4.1f}, {np.median(offs):4.1f}"


def _arguments() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=6000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
