"""`vjepa-ros landscape`: where does the model think that a recorded step should have gone?

Takes two frames of an episode, the second as the goal of the first, and maps the energies of
one step around the action that was recorded between them. A model that understands the scene
has its valley there.
"""

import argparse
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_gate.errors import UserError
from vjepa_gate.settings import read_options
from vjepa_ros.commands.settings import check_folders, read
from vjepa_ros.commands.settings.planning import Landscape as Settings
from vjepa_ros.conventions import GRIPPER, POSITION, action_between
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.episodes.npz import read_npz
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.landscape import Landscape, Mark, measure_landscape, plot_landscape
from vjepa_ros.planning.loading import Loaded, chosen_device, load_world_model
from vjepa_ros.planning.objectives import make_objective
from vjepa_ros.planning.solvers import Cost, PlanningError, make_solver
from vjepa_ros.planning.world_model import Context, Goal

PAPER_STEP = 0.075  # metres, what V-JEPA 2 searches along each axis
GRIPPER_STEP = 0.75  # closedness, likewise


def run(arguments: argparse.Namespace) -> int:
    """Draw the map, and print what is marked in it."""
    settings = read(Settings, arguments)
    if settings.out.suffix != ".png":
        raise UserError(f"--out {settings.out}: expected a .png in a folder that exists")
    check_folders(out=settings.out)
    device = str(chosen_device(settings.device))
    loaded = load_world_model(settings.weights, device)
    given = read_options(PlannerConfig, arguments)
    name, planner = loaded.chosen_planner(settings.planner, given)

    start = settings.from_
    goal = start + 1 if settings.to is None else settings.to
    episode = read_npz(settings.episode)
    rgb = torch.stack([_frame(episode, index) for index in (start, goal)])
    states = torch.from_numpy(episode.trajectory.states[[start, goal]]).float()
    recorded = action_between(states[0], states[1])
    latents = loaded.world_model.encode(rgb)
    context = Context(latents=latents[:1], states=states[:1].to(device))
    objective = make_objective(planner.objective)
    cost = loaded.world_model.cost(context, Goal(latents=latents[1]), objective)
    try:
        landscape, marks = _explore(cost, settings, planner, recorded.to(device))
    except (ValueError, PlanningError) as error:
        raise UserError(str(error)) from error

    plot_landscape(
        landscape,
        settings.out,
        marks=marks,
        pictures=_seen(loaded, rgb, (f"frame {start}: now", f"frame {goal}: the goal")),
        title=f"{settings.episode.name}, one step from frame {start} to {goal}\n"
        f"other dimensions as recorded, weights {loaded.identity}",
        energy_name=f"energy ({planner.objective})",
    )
    print(_table(marks))
    print(f"planned with {name}: {replace(planner, horizon=1).describe()}")
    if landscape.dropped:
        print(f"{landscape.dropped} grid points have no finite energy and are blank")
    print(f"wrote {settings.out}")
    return 0


def _frame(episode: EpisodeReader, index: int) -> Tensor:
    """One picture, uint8 [H, W, 3]."""
    if not 0 <= index < len(episode):
        raise UserError(
            f"{episode.path} has no frame {index}: expected --from and --to in 0 … "
            f"{len(episode) - 1}"
        )
    return torch.from_numpy(next(episode.frames(index, index + 1)))


def _explore(
    cost: Cost, settings: Settings, planner: PlannerConfig, recorded: Tensor
) -> tuple[Landscape, list[Mark]]:
    reach = settings.extent
    if reach is None:
        reach = max(PAPER_STEP, 1.25 * float(recorded[POSITION].abs().max()))
    extents = [GRIPPER_STEP if axis == "gripper" else reach for axis in settings.axes]
    landscape = measure_landscape(cost, settings.axes, extents, settings.points, recorded)

    planner = replace(planner, horizon=1, max_step=reach, max_grip=GRIPPER_STEP, rules=())
    solver = make_solver(planner)
    found = solver.solve(lambda actions: cost(actions).cpu(), seed=settings.seed)
    actions = {
        "stay": torch.zeros(7),
        "recorded": recorded.cpu(),
        "planned": found.actions[0],
        "least": landscape.least,
    }
    with torch.no_grad():
        energies = cost(torch.stack(list(actions.values()))[:, None].to(recorded.device)).tolist()
    marks = [
        Mark(kind=kind, action=action, energy=energy)
        for (kind, action), energy in zip(actions.items(), energies, strict=True)
    ]
    return landscape, marks


def _seen(loaded: Loaded, rgb: Tensor, captions: tuple[str, ...]) -> dict[str, NDArray[np.uint8]]:
    """The part of the pictures that the encoder gets to see, by caption."""
    view = Preprocessor(loaded.config.image_size, loaded.config.crop).view(rgb)
    pictures = view.round().byte().permute(0, 2, 3, 1).numpy()
    return dict(zip(captions, pictures, strict=True))


def _table(marks: list[Mark]) -> str:
    lines = [f"{'':10}{'dx':>8}{'dy':>8}{'dz':>8} cm {'gripper':>8}{'energy':>10}"]
    for mark in marks:
        x, y, z = (100 * mark.action[POSITION]).tolist()
        gripper = float(mark.action[GRIPPER])
        lines.append(f"{mark.kind:10}{x:8.2f}{y:8.2f}{z:8.2f}    {gripper:8.2f}{mark.energy:10.4f}")
    return "\n".join(lines)
