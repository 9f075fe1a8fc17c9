"""How far off a proposer of sub-goals has object and place, at the start of scenes.

    python benchmarks/readings.py --episodes 40 --seed 6000

Of picking and placing, on the table in centimetres: root mean square and median, of where the
object is read, and of the key frames around it and at its place; and in how many scenes the way
is known, two moves of the fingers that have not begun. Then of where the object is read by a hand
on its way to it, while it is more than 8 cm away, and by one that stands in three places drawn at
random above it, within 8 cm: root mean square along x and y.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace

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
from vjepa_sim.expert import Waypoint, follow
from vjepa_sim.scene import Observation, Scene
from vjepa_sim.tasks import Episode, make_task

_ROWS = (
    *(("cube", condition) for condition in CONDITIONS),
    ("cup", "plain"),
    ("cup", "camera"),
    ("box", "plain"),
)
_AROUND, _AT_PLACE = 1, 5  # key frames
_PLACES = 3  # near an object, for a hand
_ASIDE, _CLEAR = 0.05, 0.015  # metres, to either side and over its top


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
            done = [
                (reading.at_the_start(one), reading.from_afar(one), reading.near(one))
                for one in episodes
            ]
            starts, *ways = (np.concatenate(part) for part in zip(*done, strict=True))
            known = np.isfinite(starts[:, 1])
            figures = [_told(starts[known, column]) for column in range(3)]
            figures += [f"{known.sum()} of {len(known)}", *(_along_axes(way) for way in ways)]
            print(f"{thing:6} {condition:12} {'  '.join(figures)}", flush=True)


@dataclass(frozen=True)
class Reading:
    """Where a proposer has things, held against where they are."""

    encode: Callable[[Tensor], Tensor]
    net: Proposer
    scene: Scene
    thing: str

    @torch.no_grad()
    def at_the_start(self, episode: Episode) -> NDArray[np.float64]:
        """Centimetres that reading and key frames are off [1, 3]; NaN: the way is not known."""
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
        offs = (self._off(seen, goal), *(100 * (one - other) for one, other in places))
        return np.linalg.norm(offs, axis=-1)[None]

    @torch.no_grad()
    def from_afar(self, episode: Episode) -> NDArray[np.float64]:
        """Centimetres that it is off [T, 2], step by step on the way to above the object."""
        goal, off = episode.goals[-1].observation, []
        for _ in follow(self.scene, self._above(episode)):
            seen = self.scene.observe()
            if self._apart(seen) > FAR:
                off.append(self._off(seen, goal))
        return np.reshape(off, (-1, 2))

    @torch.no_grad()
    def near(self, episode: Episode) -> NDArray[np.float64]:
        """The same where the hand stands near the object, and not always over its middle."""
        goal, off = episode.goals[-1].observation, []
        rng = np.random.default_rng(self.scene.seed)
        thing = self.scene.truth()[self.thing]
        over = thing.body.height / 2 + _CLEAR
        for aside in rng.uniform(-_ASIDE, _ASIDE, (_PLACES, 2)):
            place = thing.position + np.array((*aside, over))
            for _ in follow(self.scene, replace(self._above(episode), position=place)):
                pass
            seen = self.scene.observe()
            if self._apart(seen) <= FAR:
                off.append(self._off(seen, goal))
        return np.reshape(off, (-1, 2))

    def _above(self, episode: Episode) -> Waypoint:
        return episode.task.path(self.scene, episode.target)[0]

    def _apart(self, seen: Observation) -> float:
        """Metres from the hand to the object."""
        hand = state_of(seen)[POSITION].numpy()
        return float(np.linalg.norm(hand - self.scene.truth()[self.thing].position))

    def _off(self, seen: Observation, goal: Observation) -> NDArray[np.float64]:
        """Centimetres along x and y [2]."""
        state = state_of(seen)
        now, wanted = self._latents(seen), self._latents(goal)
        read, _ = self.net.read(now[None].float(), wanted[None].float(), state[None].float())
        there = state[POSITION][:2] + UNIT * read[0, THING][:2]
        return 100 * (there.numpy() - self.scene.truth()[self.thing].position[:2])

    def _latents(self, seen: Observation) -> Tensor:
        return self.encode(torch.from_numpy(seen.rgb.copy())[None])[0]


def _told(offs: NDArray[np.float64]) -> str:
    return f"{np.sqrt((offs**2).mean()):4.1f}, {np.median(offs):4.1f}"


def _along_axes(offs: NDArray[np.float64]) -> str:
    return " / ".join(f"{one:3.1f}" for one in np.sqrt((offs**2).mean(0)))


def _arguments() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=6000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
