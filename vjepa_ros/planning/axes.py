"""Camera axes: a motion of the arm, and what the world model takes it for from where its camera is.

A model that never sees the robot's base must guess the base's axes from the picture. Seen by a
camera that stands elsewhere than those it was trained with, motions look turned to it (V-JEPA 2,
arXiv 2506.09985, appendix B.4). So the arm moves at random, each motion is also inferred from
the two frames around it, and a 2×2 matrix fitted by least squares takes the motion along the
base's x and y to the inferred one. A planner then asks the model about the motion that the
model would see, and carries out the one that it meant.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import yaml
from torch import Tensor

from vjepa_gate.errors import UserError
from vjepa_gate.settings import REQUIRED, make, read_yaml, setting
from vjepa_ros.conventions import action_between
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.limits import ActionLimits, Box
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.solvers import CEM, Cost
from vjepa_ros.planning.world_model import Context, Goal

XY = slice(0, 2)

FEWEST_MOVES = 8
_SHORTEST_MOVE, _LONGEST_MOVE = 0.02, 0.07  # metres; models are trained on steps of this size
_SEARCHED = 0.12  # metres along each axis: the model may see a motion longer than it was
_STILL = 0.01  # metres: a root mean square below this is no motion to fit
_LEAST_EXPLAINED = 0.5  # of the inferred motions' squares
_MOST_STRETCH = 3.0  # of one direction against the other; V-JEPA 2's own is about 1.5

_AGAIN = "make them anew with `vjepa-ros calibrate`"


# --- the record ----------------------------------------------------------------------------


class Mover(Protocol):
    """An arm and its camera, in the simulation or over ROS."""

    def look(self) -> Context:
        """One frame, once the arm is where the last motion led."""

    def move(self, action: Tensor) -> None:
        """Carry out an action [7]."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """Two frames and the action [7] between them, as the robot's own sensors measured it."""

    before: Context
    after: Tensor  # latents [L, D]
    action: Tensor


def explore(mover: Mover, moves: int, box: float, seed: int) -> Iterator[Move]:
    """Random motions within `box` metres of where the arm stands, at that height."""
    if moves < FEWEST_MOVES:
        raise ValueError(f"moves is {moves}, expected at least {FEWEST_MOVES}")
    if not _SHORTEST_MOVE <= box <= 0.2:
        raise ValueError(f"box is {box:g} m, expected {_SHORTEST_MOVE:g} … 0.2 m")
    rng = np.random.default_rng(seed)
    before = mover.look()
    home = before.states[-1, :3].double()
    for _ in range(moves):
        here = before.states[-1, :3].double()
        action = torch.zeros(7, dtype=torch.float64)
        action[:2] = _step_within_box(here[XY] - home[XY], box, rng)
        action[2] = home[2] - here[2]
        mover.move(action)
        now = mover.look()
        measured = action_between(before.states[-1].double(), now.states[-1].double())
        yield Move(before=before, after=now.latents[-1], action=measured)
        before = now


def _step_within_box(offset: Tensor, box: float, rng: np.random.Generator) -> Tensor:
    """A step [2] of allowed length that ends in the box; towards its middle from outside."""
    for _ in range(1000):
        step = torch.from_numpy(rng.uniform(-box, box, 2)) - offset
        if _SHORTEST_MOVE <= step.norm() <= _LONGEST_MOVE:
            return step
    return -offset * (_LONGEST_MOVE / offset.norm())


def infer_motion(world_model: CostModel, move: Move, objective: Objective, seed: int) -> Tensor:
    """The motion [2] along x and y that, to the model, leads from one frame to the next."""
    cost = world_model.cost(move.before, Goal(latents=move.after), objective)

    def energies(actions: Tensor) -> Tensor:
        """Only x and y are asked for; all else is as it was measured."""
        candidates = move.action.float().repeat(len(actions), 1, 1)
        candidates[..., XY] = actions[..., XY]
        return cost(candidates)

    limits = ActionLimits(translation=Box(_SEARCHED))
    solver = CEM(samples=64, iterations=4, elites=8, limits=limits)
    return solver.solve(energies, seed=seed).actions[0, XY].double()


# --- the fit -------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Axes:
    """inferred = matrix · executed, along x and y of the base frame; and what it holds for."""

    matrix: tuple[tuple[float, float], tuple[float, float]]
    moves: int = setting(REQUIRED, "that it was fitted to", low=1)
    residual: float = setting(REQUIRED, "root mean square over the moves", low=0.0, unit="m")
    r2: float = setting(
        REQUIRED, "share of the inferred motions' squares that the matrix explains", high=1.0
    )
    weights: str = setting(REQUIRED, "identity")
    robot: str = setting(REQUIRED, "its name")
    camera: str = setting(REQUIRED, "its topic")
    date: str = setting(REQUIRED, "when it was fitted")

    @property
    def angle(self) -> float:
        """Degrees about the vertical that motions look turned by, counter-clockwise."""
        (a, b), (c, d) = self.matrix
        return math.degrees(math.atan2(c - b, a + d))

    @property
    def scale(self) -> float:
        """How long a motion looks compared with how long it is."""
        return math.sqrt(abs(np.linalg.det(self.matrix)))

    def check_weights(self, identity: str) -> None:
        """Raise UserError unless it was these that inferred the motions."""
        if identity != self.weights:
            raise UserError(
                f"axes were found with the weights {self.weights}, the planner has {identity}: "
                f"{_AGAIN} and its `--weights`, or plan with those"
            )


def fit_axes(executed: Tensor, inferred: Tensor, **about: str) -> Axes:
    """The least-squares fit to motions [N, 2]; ValueError where it would mean nothing."""
    if len(executed) < FEWEST_MOVES:
        raise ValueError(f"{len(executed)} moves, expected at least {FEWEST_MOVES}")
    spread = float(torch.linalg.svdvals(executed)[-1]) / math.sqrt(len(executed))
    if spread < _STILL:
        raise ValueError(
            f"the arm moved only {100 * spread:.1f} cm (root mean square) in one direction, "
            f"expected {100 * _STILL:g} cm at least: is it at an edge of its workspace, or held "
            "up? /diagnostics tells what the arm gate refused"
        )
    matrix = torch.linalg.lstsq(executed, inferred).solution.mT
    errors = inferred - executed @ matrix.mT
    (a, b), (c, d) = matrix.tolist()
    axes = Axes(
        matrix=((a, b), (c, d)),
        moves=len(executed),
        residual=float(errors.square().sum(-1).mean().sqrt()),
        r2=1 - float(errors.square().sum() / inferred.square().sum()),
        **about,
    )
    _check_fit(axes)
    return axes


def _check_fit(axes: Axes) -> None:
    if not axes.r2 >= _LEAST_EXPLAINED:
        raise ValueError(
            f"a matrix explains only {axes.r2:.0%} of the motions that the model infers (residual "
            f"{100 * axes.residual:.1f} cm), expected {_LEAST_EXPLAINED:.0%} at least: the model "
            "does not see these motions. Is the gripper in view, sharp and well lit? Are these "
            "the right weights? Turn the camera towards where those of the training stood"
        )
    matrix = np.array(axes.matrix)
    if np.linalg.det(matrix) <= 0:
        raise ValueError("motions look mirrored to the model: is the camera's picture flipped?")
    if (stretch := np.linalg.cond(matrix)) > _MOST_STRETCH:
        raise ValueError(
            f"the model sees motions {stretch:.1f} times longer in one direction than in the "
            f"other, expected {_MOST_STRETCH:g} at most: the camera looks along the table, or "
            "there are too few moves"
        )


# --- the planner's side --------------------------------------------------------------------


@dataclass(frozen=True)
class AxesTurned:
    """A world model that is asked about motions as it sees them from where its camera stands."""

    world_model: CostModel
    axes: Axes

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        """Ask about the motions as the model sees them."""
        cost = self.world_model.cost(context, goal, objective)
        return lambda actions: cost(self._turned(actions))

    def rollout(self, context: Context, actions: Tensor) -> Tensor:
        """Imagine the motions as the model sees them."""
        return self.world_model.rollout(context, self._turned(actions))

    def _turned(self, actions: Tensor) -> Tensor:
        matrix = torch.eye(7)
        matrix[XY, XY] = torch.tensor(self.axes.matrix)
        return actions @ matrix.to(actions).mT


# --- the file ------------------------------------------------------------------------------


def write_axes(path: Path, axes: Axes) -> None:
    """Write the record, with what it means for a person on top."""
    content = asdict(axes) | {"matrix": [list(row) for row in axes.matrix]}
    header = (
        "# By `vjepa-ros calibrate`: inferred = matrix * executed, along x and y of the base.\n"
        f"# Motions look turned by {axes.angle:.1f} degrees and {axes.scale:.2f} times as long.\n"
    )
    path.write_text(header + yaml.safe_dump(content, sort_keys=False))


def load_axes(path: Path) -> Axes:
    """Raises UserError."""
    try:
        return make(Axes, read_yaml(Axes, path), path)
    except UserError as error:
        raise UserError(f"{error}: {_AGAIN}") from error
