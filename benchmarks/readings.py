"""How far off a proposer of sub-goals has object and place, at the start of scenes.

    python benchmarks/readings.py --episodes 40 --seed 6000

Of picking and placing, on the table in centimetres: root mean square and median, of where the
object is read, and of the key frames around it and at its place; and in how many scenes the way
is known, two moves of the fingers that have not begun. Then of where the object is read on an
expert's way to it, step by step until the hand is around it: from afar, and from no more than 8 cm.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

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
from vjepa_ros.training.data import FAR
from vjepa_sim.expert import follow
from vjepa_sim.scene import Observation, Scene
from vjepa_sim.tasks import Episode, make_task

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
    print("object condition    read        around      at place    known     from afar   near")
    with Scene() as scene:
        for thing, condition in _ROWS:
            reading = Reading(loaded.world_model.encode, net, scene, thing)
            episodes = (
                CONDITIONS[condition].begin(scene, make_task("pick_place", thing), seed, "single")
                for seed in seeds
            )
            done = [(reading.at_the_start(one), reading.on_the_way(one)) for one in episodes]
            offs = np.array([start for start, _ in done])
            known = np.isfinite(offs[:, 1])
            figures = "  ".join(_told(offs[known, column]) for column in range(3))
            apart, off = np.concatenate([way for _, way in done]).T
            ways = "  ".join(_told(off[chosen]) for chosen in (apart > FAR, apart <= FAR))
            print(f"{thing:6} {condition:12} {figures}  {known.sum()} of {len(known)}  {ways}")


@dataclass(frozen=True)
class Reading:
    """Where a proposer has things, held against where they are."""

    encode: Callable[[Tensor], Tensor]
    net: Proposer
    scene: Scene
    thing: str

    @torch.no_grad()
    def at_the_start(self, episode: Episode) -> NDArray[np.float64]:
        """Centimetres that reading and key frames are off [3]; NaN where the way is not known."""
        seen, goal = self.scene.observe(), episode.goals[-1].observation
        now, wanted = self._latents(seen), self._latents(goal)
        proposal, *_ = ProposerSource(net=self.net).propose(now, wanted, state_of(seen))
        whole = proposal.phase == 0 and len(proposal) > _AT_PLACE
        around, placed = (
            proposal.positions[frame, :2].numpy() if whole else np.full(2, np.nan)
            for frame in (_AROUND, _AT_PLACE)
        )
        true = self.scene.truth()[self.thing].position[:2]
        assert episode.target is not None
        places = (around, true), (placed, episode.target[:2])
        return np.array([self._off(seen, goal), *(_centimetres(*pair) for pair in places)])

    @torch.no_grad()
    def on_the_way(self, episode: Episode) -> NDArray[np.float64]:
        """How far hand and object are apart, in metres, and the reading is off, in cm [T, 2]."""
        goal, found = episode.goals[-1].observation, []
        for waypoint in episode.task.path(self.scene, episode.target)[: _AROUND + 1]:
            for _ in follow(self.scene, waypoint):
                seen = self.scene.observe()
                true = self.scene.truth()[self.thing].position
                apart = np.linalg.norm(state_of(seen)[POSITION].numpy() - true)
                found.append((apart, self._off(seen, goal)))
        return np.array(found)

    def _off(self, seen: Observation, goal: Observation) -> float:
        state = state_of(seen)
        now, wanted = self._latents(seen), self._latents(goal)
        read, _ = self.net.read(now[None].float(), wanted[None].float(), state[None].float())
        there = state[POSITION][:2] + UNIT * read[0, THING][:2]
        return _centimetres(there.numpy(), self.scene.truth()[self.thing].position[:2])

    def _latents(self, seen: Observation) -> Tensor:
        return self.encode(torch.from_numpy(seen.rgb.copy())[None])[0]


def _centimetres(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(100 * np.linalg.norm(one - other))


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
