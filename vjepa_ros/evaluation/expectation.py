"""Violation of expectation: is a model more surprised by what cannot happen?

Of a pair of clips the one that surprises more, on average over what follows the parting, is taken
for the impossible one, as IntPhys 2 does; half of that is chance. Beside it stand two that predict
nothing: how much pixels, and how much latents change from frame to frame. Each clip is also judged
by the threshold that the graph judges by.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vjepa_ros.episodes.workers import Workers, good_ones, run_all
from vjepa_ros.evaluation.impossible import KINDS, Clip, Pair, pairs_of
from vjepa_ros.evaluation.statistics import wilson_interval
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.objectives import Objective, make_objective
from vjepa_ros.planning.surprise import Surprise
from vjepa_ros.planning.world_model import WorldModel
from vjepa_sim.scene import Scene

MODEL, CHANCE = "model", 0.5
_AT_ONCE = 16  # frames that are encoded together


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What determines every pair."""

    episodes: int = 20  # of each kind; each makes two pairs
    seed: int = 7000  # of the first scene
    weights: Path
    objective: str = "l1"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One clip: the mean after the parting by each way to measure, and the verdict."""

    values: dict[str, float]
    surprised: bool  # the graph's threshold was passed after the parting


@dataclass(frozen=True, kw_only=True)
class KindReport:
    """Pairs (possible, impossible) of one kind."""

    kind: str
    pairs: Sequence[tuple[Judged, Judged]]

    def right(self, measure: str = MODEL) -> float:
        """Pairs whose impossible clip has the larger value; equal ones count half."""
        signs = [np.sign(no.values[measure] - yes.values[measure]) for yes, no in self.pairs]
        return float((1 + np.array(signs)).sum() / 2)

    def as_json(self) -> dict[str, Any]:
        """Give all that a file keeps."""
        count = len(self.pairs)
        return {
            "pairs": count,
            **{measure: self.right(measure) / count for measure in self.pairs[0][0].values},
            "interval": list(wilson_interval(int(self.right()), count)),
            "surprised_by_impossible": sum(no.surprised for _, no in self.pairs) / count,
            "surprised_by_possible": sum(yes.surprised for yes, _ in self.pairs) / count,
        }


@dataclass(frozen=True, kw_only=True)
class ExpectationReport:
    """What all pairs came to."""

    asked: Expectation
    weights_identity: str
    kinds: list[KindReport] = field(default_factory=list)

    @property
    def whole(self) -> KindReport:
        """All kinds as one."""
        return KindReport(kind="all", pairs=[pair for kind in self.kinds for pair in kind.pairs])

    def as_json(self) -> dict[str, Any]:
        """Give everything that a file keeps; each kind's rate by its name, too."""
        details = {one.kind: one.as_json() for one in [self.whole, *self.kinds]}
        return {
            "task": "surprise",
            "episodes": self.asked.episodes,
            "seed": self.asked.seed,
            "objective": self.asked.objective,
            "weights": self.weights_identity,
            "rate": details["all"][MODEL],
            "chance": CHANCE,
            **{one.kind: details[one.kind][MODEL] for one in self.kinds},
            "details": details,
        }

    def table(self) -> str:
        """Give a row for each kind, rates in percent."""
        head = ("pairs", MODEL, "pixels", "copy last", "impossible", "possible")
        rows = [f"{'':18}" + "".join(f"{name:>11}" for name in head)]
        for one in [*self.kinds, self.whole]:
            found = one.as_json()
            shares = [found[name] for name in (MODEL, "pixels", "copy last")]
            shares += [found["surprised_by_impossible"], found["surprised_by_possible"]]
            rows.append(
                f"{one.kind:18}{found['pairs']:11}" + "".join(f"{share:11.0%}" for share in shares)
            )
        return "\n".join(
            [*rows, "chance is 50 %; the last two columns: clips that pass the graph's threshold"]
        )


def expect(asked: Expectation, *, workers: Workers = None) -> ExpectationReport:
    """Make all clips, and judge them."""
    identity = load_world_model(asked.weights).identity
    seeds = range(asked.seed, asked.seed + asked.episodes)
    jobs = [(asked, kind, seed) for kind in KINDS for seed in seeds]
    results = run_all(_run_one, jobs, workers=workers, title="surprise")
    pairs: dict[str, dict[int, Any]] = {kind: {} for kind in KINDS}
    for (_, kind, seed), judged in good_ones(results, [], skip_bad=False):
        pairs[kind][seed] = judged
    kinds = [
        KindReport(kind=kind, pairs=[pair for seed in seeds for pair in found[seed]])
        for kind, found in pairs.items()
    ]
    return ExpectationReport(asked=asked, weights_identity=identity, kinds=kinds)


def _run_one(job: tuple[Expectation, str, int]) -> list[tuple[Judged, Judged]]:
    asked, kind, seed = job
    torch.set_num_threads(1)  # the bits of a sum may depend on how many threads share it
    model, objective = load_world_model(asked.weights).world_model, make_objective(asked.objective)
    return [judge_pair(pair, model, objective) for pair in pairs_of(kind, _scene(), seed)]


def judge_pair(pair: Pair, model: WorldModel, objective: Objective) -> tuple[Judged, Judged]:
    """The possible clip, then the impossible one."""
    return (
        judge_clip(pair.possible, model, objective),
        judge_clip(pair.impossible, model, objective),
    )


@torch.no_grad()
def judge_clip(clip: Clip, model: WorldModel, objective: Objective) -> Judged:
    """Step by step, as the graph does with the actions that the arm has made."""
    frames = torch.from_numpy(clip.frames)
    latents = torch.cat([model.encode(part) for part in frames.split(_AT_ONCE)])
    surprise, verdicts = Surprise(model, objective), []
    for now in range(len(latents) - 1):
        imagined = surprise.imagine(latents[now], clip.states[now], clip.states[now + 1])
        verdicts.append(surprise.judge(imagined, latents[now + 1]))
    after = slice(clip.parting, None)
    return Judged(
        values={
            MODEL: fmean(verdict.surprise for verdict in verdicts[after]),
            "pixels": _changed(frames[after].float(), objective),
            "copy last": _changed(latents[after], objective),
        },
        surprised=any(verdict.surprising for verdict in verdicts[after]),
    )


def _changed(frames: Tensor, objective: Objective) -> float:
    """The mean distance between neighbours of [T, …]."""
    flat = frames.flatten(1).unsqueeze(1)
    return fmean(float(objective.distance(a[None], b)) for a, b in pairwise(flat))


@functools.cache
def _scene() -> Scene:
    """One a process: building a scene takes longer than resetting it."""
    return Scene()
