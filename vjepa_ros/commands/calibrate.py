"""`vjepa-ros calibrate`: what does the world model take the arm's motions for?

Moves the arm at random within a small box, lets the world model infer each motion from the
pictures before and after it, and fits a 2×2 matrix from the motions that were made to those
that were inferred. The planner and `vjepa-ros evaluate` take the file that is written (`axes`).
docs/CALIBRATION.md tells when it helps.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vjepa_gate.errors import UserError
from vjepa_gate.robots import Robot, load_robot
from vjepa_gate.settings import settings_of
from vjepa_ros.commands.settings import check_folders, read, refuse_unused
from vjepa_ros.commands.settings.checks import Calibrate, SimulatedArm
from vjepa_ros.planning.axes import XY, Axes, Mover, explore, fit_axes, infer_motion, write_axes
from vjepa_ros.planning.loading import Loaded, load_world_model
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.solvers import PlanningError


def run(arguments: argparse.Namespace) -> int:
    """Find the axes, and write them."""
    settings = read(Calibrate, arguments)
    if not settings.sim:
        alone = settings_of(SimulatedArm)
        refuse_unused(vars(arguments), set(vars(arguments)) - set(alone), "without --sim")
    check_folders(out=settings.out)
    robot = load_robot(settings.robot)
    loaded = load_world_model(settings.weights)
    moves, box, seed = settings.moves, settings.box, settings.seed
    try:
        with _mover(settings, robot, loaded) as mover:
            axes = calibrate(mover, loaded, robot, moves=moves, box=box, seed=seed)
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error
    except (ValueError, PlanningError) as error:
        raise UserError(f"not calibrated, and nothing written: {error}") from error
    write_axes(settings.out, axes)
    print(_summary(axes))
    print(f"wrote {settings.out}: give it to the planner as `axes`")
    return 0


def calibrate(
    mover: Mover, loaded: Loaded, robot: Robot, *, moves: int, box: float, seed: int
) -> Axes:
    """First all motions, then all inferences: the arm waits for no search."""
    steps = explore(mover, moves, box, seed)
    made = list(tqdm(steps, "moving the arm", total=moves, unit="move"))
    inferred = [
        infer_motion(loaded.world_model, move, L1(), seed)
        for move in tqdm(made, "inferring the motions", unit="move")
    ]
    return fit_axes(
        torch.stack([move.action[XY] for move in made]),
        torch.stack(inferred),
        weights=loaded.identity,
        robot=robot.name,
        camera=robot.topics.camera.name,
        date=f"{datetime.now():%Y-%m-%d %H:%M:%S}",
    )


def _summary(axes: Axes) -> str:
    (a, b), (c, d) = axes.matrix
    return "\n".join(
        (
            f"matrix       {a:+.3f} {b:+.3f}",
            f"             {c:+.3f} {d:+.3f}   inferred = matrix · executed",
            f"turn         {axes.angle:+.1f}°, motions look {axes.scale:.2f} times as long",
            f"residual     {100 * axes.residual:.1f} cm root mean square over {axes.moves} moves",
            f"explained    {axes.r2:.0%} of the inferred motions' squares (R²)",
        )
    )


def _mover(settings: Calibrate, robot: Robot, loaded: Loaded) -> AbstractContextManager[Mover]:
    """Of the simulation, or of the running graph."""

    def see(rgb: NDArray[np.uint8]) -> Tensor:
        return loaded.world_model.encode(torch.from_numpy(rgb)[None])[0]

    period = loaded.config.step_period
    if settings.sim:
        return _simulated_arm(settings, robot, see, period)
    from vjepa_ros.nodes.mover import running_arm

    return running_arm(robot, see, period, settings.namespace)


@contextmanager
def _simulated_arm(
    settings: Calibrate,
    robot: Robot,
    see: Callable[[NDArray[np.uint8]], Tensor],
    period: float,
) -> Iterator[Mover]:
    from vjepa_ros.evaluation.arm import GatedArm, in_lab
    from vjepa_ros.evaluation.mover import SimMover
    from vjepa_sim.cameras import Displacement
    from vjepa_sim.scene import Scene, SceneConfig

    turned = Displacement(orbit=settings.turn)
    with Scene(SceneConfig(lab=settings.lab, displacement=turned)) as scene:
        scene.reset(settings.scene)
        yield SimMover(arm=GatedArm(scene, in_lab(scene, robot)), see=see, period=period)
