"""`vjepa-ros landscape`: where does the model think that a recorded step should have gone?

Takes two frames of an episode, the second as the goal of the first, and maps the energies of
one step around the action that was recorded between them. A model that understands the scene
has its valley there.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_gate.errors import UserError
from vjepa_ros.conventions import GRIPPER, POSITION, action_between
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.episodes.npz import read_npz
from vjepa_ros.model.checkpoints import Weights, load_weights
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.planning.config import PLANNERS, SOLVERS, choose_planner
from vjepa_ros.planning.landscape import (
    AXES,
    Landscape,
    Mark,
    measure_landscape,
    plot_landscape,
)
from vjepa_ros.planning.objectives import OBJECTIVES, make_objective
from vjepa_ros.planning.solvers import Cost, PlanningError, make_solver
from vjepa_ros.planning.world_model import Context, Goal, WorldModel

PAPER_STEP = 0.075  # metres, what V-JEPA 2 searches along each axis
GRIPPER_STEP = 0.75  # closedness, likewise


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", type=Path, required=True, help="file of weights")
    parser.add_argument("--episode", type=Path, required=True, help="episode as .npz")
    parser.add_argument(
        "--from", type=int, default=0, dest="start", metavar="K", help="frame to start from [0]"
    )
    parser.add_argument(
        "--to", type=int, dest="goal", metavar="K2", help="frame that is the goal [the next one]"
    )
    parser.add_argument(
        "--axes", default="dx,dz", help=f"one or two of {','.join(AXES)} [%(default)s]"
    )
    parser.add_argument("--out", type=Path, required=True, help="picture to write, .png")
    parser.add_argument("--points", type=int, default=15, help="along each axis [%(default)s]")
    parser.add_argument(
        "--extent",
        type=float,
        help=f"metres to each side [{PAPER_STEP}, or as far as the recorded action needs]",
    )
    parser.add_argument("--objective", choices=OBJECTIVES, default="l1", help="[%(default)s]")
    parser.add_argument("--planner", choices=PLANNERS, default="plain", help="[%(default)s]")
    parser.add_argument("--solver", choices=SOLVERS, help="[that of the planner]")
    parser.add_argument("--seed", type=int, default=0, help="of the solver [%(default)s]")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="[%(default)s]")


def run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    start = arguments.start
    goal = start + 1 if arguments.goal is None else arguments.goal
    episode = read_npz(arguments.episode)
    rgb = torch.stack([_frame(episode, index) for index in (start, goal)])
    states = torch.from_numpy(episode.trajectory.states[[start, goal]]).float()
    recorded = action_between(states[0], states[1])
    weights = load_weights(arguments.weights, arguments.device)

    try:
        cost = _cost(weights, arguments, rgb, states[:1])
        landscape, marks = _explore(cost, arguments, recorded)
    except (ValueError, PlanningError) as error:
        raise UserError(str(error)) from error

    plot_landscape(
        landscape,
        arguments.out,
        marks=marks,
        pictures=_seen(weights, rgb, (f"frame {start}: now", f"frame {goal}: the goal")),
        title=f"{arguments.episode.name}, one step from frame {start} to {goal}\n"
        f"other dimensions as recorded, weights {weights.identity}",
        energy_name=f"energy ({arguments.objective})",
    )
    print(_table(marks))
    if landscape.dropped:
        print(f"{landscape.dropped} grid points have no finite energy and are blank")
    print(f"wrote {arguments.out}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """What would otherwise fail after the work is done, or by a stranger's error."""
    if arguments.out.suffix != ".png" or not arguments.out.parent.is_dir():
        raise UserError(f"--out {arguments.out}: expected a .png in a folder that exists")
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU here; use --device cpu")


def _frame(episode: EpisodeReader, index: int) -> Tensor:
    """One picture, uint8 [H, W, 3]."""
    if not 0 <= index < len(episode):
        raise UserError(
            f"{episode.path} has no frame {index}: expected --from and --to in 0 … "
            f"{len(episode) - 1}"
        )
    return torch.from_numpy(next(episode.frames(index, index + 1)))


def _cost(weights: Weights, arguments: argparse.Namespace, rgb: Tensor, state: Tensor) -> Cost:
    """Energies of one step from the first picture [2, H, W, 3] towards the second."""
    if weights.encoder is None or weights.predictor is None:
        lacking = "encoder" if weights.encoder is None else "predictor"
        raise UserError(f"{arguments.weights} holds no {lacking}: a landscape needs both")
    preprocessor = Preprocessor(weights.config.image_size, weights.config.crop)
    world_model = WorldModel(weights.encoder, weights.predictor, preprocessor)
    latents = world_model.encode(rgb)
    context = Context(latents=latents[:1], states=state.to(arguments.device))
    goal = Goal(latents=latents[1])
    return world_model.cost(context, goal, make_objective(arguments.objective))


def _explore(
    cost: Cost, arguments: argparse.Namespace, recorded: Tensor
) -> tuple[Landscape, list[Mark]]:
    axes, device = arguments.axes.split(","), arguments.device
    reach = arguments.extent
    if reach is None:
        reach = max(PAPER_STEP, 1.25 * float(recorded[POSITION].abs().max()))
    extents = [GRIPPER_STEP if axis == "gripper" else reach for axis in axes]
    landscape = measure_landscape(cost, axes, extents, arguments.points, recorded.to(device))

    planner = choose_planner(arguments.planner)
    planner = replace(planner, horizon=1, max_step=reach, max_grip=GRIPPER_STEP, rules=())
    solver = make_solver(replace(planner, solver=arguments.solver or planner.solver))
    found = solver.solve(lambda actions: cost(actions).cpu(), seed=arguments.seed)
    actions = {
        "stay": torch.zeros(7),
        "recorded": recorded,
        "planned": found.actions[0],
        "least": landscape.least,
    }
    with torch.no_grad():
        energies = cost(torch.stack(list(actions.values()))[:, None].to(device)).tolist()
    marks = [
        Mark(kind=kind, action=action, energy=energy)
        for (kind, action), energy in zip(actions.items(), energies, strict=True)
    ]
    return landscape, marks


def _seen(weights: Weights, rgb: Tensor, captions: tuple[str, ...]) -> dict[str, NDArray[np.uint8]]:
    """The part of the pictures that the encoder gets to see, by caption."""
    view = Preprocessor(weights.config.image_size, weights.config.crop).view(rgb)
    pictures = view.round().byte().permute(0, 2, 3, 1).numpy()
    return dict(zip(captions, pictures, strict=True))


def _table(marks: list[Mark]) -> str:
    lines = [f"{'':10}{'dx':>8}{'dy':>8}{'dz':>8} cm {'gripper':>8}{'energy':>10}"]
    for mark in marks:
        x, y, z = (100 * mark.action[POSITION]).tolist()
        gripper = float(mark.action[GRIPPER])
        lines.append(f"{mark.kind:10}{x:8.2f}{y:8.2f}{z:8.2f}    {gripper:8.2f}{mark.energy:10.4f}")
    return "\n".join(lines)
