"""One recorded episode through the model, a few frames of it in memory at a time."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from vjepa_ros.conventions import GRIPPER, POSITION, ROTATION
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.planning.axes import Axes, AxesTurned
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.objectives import Objective, make_objective
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.surprise import Threshold
from vjepa_ros.planning.world_model import Context, Goal, WorldModel
from vjepa_ros.replay import actions
from vjepa_ros.replay.results import Plan, Prediction, Surprises

_BATCH = 16  # frames that are encoded at once
_GRIPPER_REACH = 0.75  # closedness that sampled actions move the fingers, as in V-JEPA 2


@dataclass(frozen=True, kw_only=True)
class Method:
    """How an episode is scored."""

    horizon: int  # steps ahead that are predicted
    plan_every: int | None  # steps; None: nothing is planned
    planner: PlannerConfig
    samples_ranked: int
    seed: int
    axes: Axes | None = None  # the camera's, as the planner corrects them

    @property
    def ahead(self) -> int:
        """How many frames after the present one are needed."""
        return self.horizon if self.plan_every is None else max(self.horizon, self.planner.horizon)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All that is measured of one episode."""

    goal_energy: list[float]
    prediction: Prediction
    plan: Plan | None
    surprise: Surprises


@torch.no_grad()
def score(reader: EpisodeReader, world_model: WorldModel, method: Method) -> Scores:
    """All that is measured along an episode whose frames are a step apart."""
    trajectory = reader.trajectory
    last = len(reader) - 1
    states = torch.from_numpy(trajectory.states).float()
    recorded = torch.from_numpy(trajectory.actions).float()
    goal = next(_latents(reader, world_model, last))
    objective = make_objective(method.planner.objective)

    predictor = _Predictor(world_model, method.horizon)
    planner = None if method.plan_every is None else _Planner(world_model, method)
    goal_energy = []
    windows = _windows(_latents(reader, world_model), method.ahead + 1)
    for step, window in enumerate(windows):
        goal_energy.append(float(objective.distance(window[:1], goal)))
        if step == last:
            break
        context = Context(latents=window[:1], states=states[step : step + 1])
        following = recorded[step : step + method.ahead]
        predictor.look(context, following, window[1:])
        if planner is not None and planner.is_due(step, last):
            planner.look(step, context, following, window)
    return Scores(
        goal_energy=goal_energy,
        prediction=predictor.found,
        plan=None if planner is None else planner.found,
        surprise=judge(predictor.found.model[0]),
    )


def judge(errors: list[float]) -> Surprises:
    """As the live stack judges prediction errors one step ahead, one after the other."""
    threshold = Threshold()
    verdicts = [threshold.judge(error) for error in errors]
    return Surprises(
        values=errors,
        thresholds=[verdict.threshold for verdict in verdicts],
        outliers=[step for step, verdict in enumerate(verdicts) if verdict.surprising],
    )


# --- frames ------------------------------------------------------------------------------


def _latents(reader: EpisodeReader, world_model: WorldModel, start: int = 0) -> Iterator[Tensor]:
    """Of each frame [L, D], from some step on."""
    frames = reader.frames(start)
    while batch := list(islice(frames, _BATCH)):
        yield from world_model.encode(torch.from_numpy(np.stack(batch)))


def _windows(latents: Iterator[Tensor], size: int) -> Iterator[Tensor]:
    """What lies ahead of each frame, itself the first: [size, L, D], fewer towards the end."""
    window: deque[Tensor] = deque(islice(latents, size))
    while window:
        yield torch.stack(list(window))
        window.popleft()
        window.extend(islice(latents, 1))


# --- what is measured at a step ----------------------------------------------------------


class _Predictor:
    """The recorded actions rolled out beside no action at all, against what then was seen."""

    def __init__(self, world_model: WorldModel, horizon: int) -> None:
        self.world_model, self.horizon = world_model, horizon
        self.found = Prediction(
            model=_rows(horizon), copy_last=_rows(horizon), zero_action=_rows(horizon)
        )

    def look(self, context: Context, following: Tensor, seen: Tensor) -> None:
        """The actions [H, 7] and frames [H, L, D] that followed; fewer towards the end."""
        following, seen = following[: self.horizon], seen[: self.horizon]
        candidates = torch.stack((following, torch.zeros_like(following)))
        model, zero_action = self.world_model.rollout(context, candidates)
        if not model.isfinite().all():
            raise ValueError("the model predicts NaN or infinite numbers: are its weights whole?")
        for name, guess in (
            ("model", model),
            ("zero_action", zero_action),
            ("copy_last", context.latents.expand_as(seen)),
        ):
            for row, error in zip(getattr(self.found, name), _errors(guess, seen), strict=False):
                row.append(error)


def _rows(count: int) -> list[list[float]]:
    return [[] for _ in range(count)]


def _errors(guess: Tensor, seen: Tensor) -> list[float]:
    return (guess - seen).abs().mean((-2, -1), dtype=torch.float32).tolist()


class _Planner:
    """Plans to a frame of the recording, and ranks what was recorded among other actions."""

    def __init__(self, world_model: WorldModel, method: Method) -> None:
        assert method.plan_every is not None
        self.every, self.seed = method.plan_every, method.seed
        costs = _CostsOnCpu(world_model)
        model: CostModel = costs if method.axes is None else AxesTurned(costs, method.axes)
        self.planner = Planner(method.planner, model)
        self.samples = _samples(method)
        self.found = Plan(**{name: [] for name in Plan.__dataclass_fields__})

    def is_due(self, step: int, last: int) -> bool:
        return step % self.every == 0 and step + self.planner.config.horizon <= last

    def look(self, step: int, context: Context, following: Tensor, window: Tensor) -> None:
        """Towards frames of the window [H + 1, L, D], whose first is the present one."""
        horizon = self.planner.config.horizon
        self.found.steps.append(step)
        self._compare(self._plan(step, context, window[horizon]), following[:horizon])
        self._rank(context, following[0], window[1])

    def _plan(self, step: int, context: Context, goal: Tensor) -> Tensor:
        """Actions [H, 7], as the live planner would have them carried out."""
        task = self.planner.start(context, [Goal(latents=goal)], seed=self.seed)
        self.seed += 1
        _, decision = self.planner.plan(task.endless(), context)
        if decision.solution is None:
            raise ValueError(f"no plan at step {step}: {decision.reason}")
        return decision.solution.actions

    def _compare(self, plan: Tensor, recorded: Tensor) -> None:
        first, truth, found = plan[0], recorded[0], self.found
        moves = actions.gripper_motion(truth)
        found.planned.append(first.tolist())
        found.recorded.append(truth.tolist())
        found.error_cm.append(100 * actions.translation_error(first, truth))
        found.angle_deg.append(actions.translation_angle(first, truth))
        found.gripper_moves.append(moves != 0)
        found.gripper_agrees.append(actions.gripper_motion(first) == moves)
        found.action_error.append(actions.action_error(plan, recorded))

    def _rank(self, context: Context, recorded: Tensor, goal: Tensor) -> None:
        candidates = torch.cat((recorded[None], self.samples))
        candidates[:, ROTATION] = recorded[ROTATION]  # no planner here searches rotations
        model, objective = self.planner.world_model, self.planner.objective
        energy, *others = model.cost(context, Goal(latents=goal), objective)(candidates[:, None])
        self.found.energy.append(float(energy))
        self.found.rank.append(sum(bool(other < energy) for other in others) / len(others))


def _samples(method: Method) -> Tensor:
    """Actions [N, 7] that move the tool and the fingers in any way that a planner may."""
    generator = torch.Generator().manual_seed(method.seed)
    samples = 2 * torch.rand(method.samples_ranked, 7, generator=generator) - 1
    samples[:, POSITION] *= method.planner.max_step
    samples[:, GRIPPER] *= _GRIPPER_REACH
    return samples


@dataclass(frozen=True)
class _CostsOnCpu:
    """Solvers search on the CPU, wherever the model is."""

    world_model: WorldModel

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        cost = self.world_model.cost(context, goal, objective)
        return lambda candidates: cost(candidates).cpu()

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        return self.world_model.rollout(context, actions).cpu()
