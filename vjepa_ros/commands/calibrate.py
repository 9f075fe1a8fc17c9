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
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from vjepa_gate.errors import UserError
from vjepa_gate.robots import Robot, load_robot
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.axes import XY, Axes, Mover, explore, fit_axes, infer_motion, write_axes
from vjepa_ros.planning.loading import Loaded, load_world_model
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.solvers import PlanningError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", type=Path, default=SHIPPED_WEIGHTS, help="[the shipped ones]")
    parser.add_argument(
        "--robot", default="sim", help="robot YAML: a file, or a name in gate/config/ [%(default)s]"
    )
    parser.add_argument("--out", type=Path, default=Path("axes.yaml"), help="[%(default)s]")
    parser.add_argument("--moves", type=int, default=40, help="[%(default)s]")
    parser.add_argument(
        "--box", type=float, default=0.06, help="metres to each side of the start [%(default)s]"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the motions [%(default)s]")

    simulation = parser.add_argument_group("without ROS")
    simulation.add_argument("--sim", action="store_true", help="move the simulated arm")
    simulation.add_argument("--scene", type=int, default=0, help="seed of its scene [%(default)s]")
    simulation.add_argument(
        "--turn",
        type=float,
        default=0.0,
        metavar="DEGREES",
        help="lead its camera around the table so far, counter-clockwise [0]",
    )


def run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    robot = load_robot(arguments.robot)
    loaded = load_world_model(arguments.weights)
    moves, box, seed = arguments.moves, arguments.box, arguments.seed
    try:
        with _mover(arguments, robot, loaded) as mover:
            axes = calibrate(mover, loaded, robot, moves=moves, box=box, seed=seed)
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error
    except (ValueError, PlanningError) as error:
        raise UserError(f"not calibrated, and nothing written: {error}") from error
    write_axes(arguments.out, axes)
    print(_summary(axes))
    print(f"wrote {arguments.out}: give it to the planner as `axes`")
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


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.weights.is_file():
        raise UserError(f"--weights {arguments.weights}: no such file")
    if not arguments.out.parent.is_dir():
        raise UserError(f"--out {arguments.out}: expected a file in a folder that exists")
    for name in ("seed", "scene"):
        if getattr(arguments, name) < 0:
            raise UserError(f"--{name} {getattr(arguments, name)}: expected 0 or more")
    if arguments.turn and not arguments.sim:
        raise UserError("--turn needs --sim: it turns the simulation's camera")


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


def _mover(
    arguments: argparse.Namespace, robot: Robot, loaded: Loaded
) -> AbstractContextManager[Mover]:
    """Of the simulation, or of the running graph."""

    def see(rgb: NDArray[np.uint8]) -> Tensor:
        return loaded.world_model.encode(torch.from_numpy(rgb)[None])[0]

    period = loaded.config.step_period
    if arguments.sim:
        return _simulated_arm(arguments, robot, see, period)
    from vjepa_ros.nodes.mover import running_arm

    return running_arm(robot, see, period)


@contextmanager
def _simulated_arm(
    arguments: argparse.Namespace,
    robot: Robot,
    see: Callable[[NDArray[np.uint8]], Tensor],
    period: float,
) -> Iterator[Mover]:
    from vjepa_ros.evaluation.arm import GatedArm
    from vjepa_ros.evaluation.mover import SimMover
    from vjepa_sim.cameras import Displacement
    from vjepa_sim.scene import Scene, SceneConfig

    with Scene(SceneConfig(displacement=Displacement(orbit=arguments.turn))) as scene:
        scene.reset(arguments.scene)
        yield SimMover(arm=GatedArm(scene, robot), see=see, period=period)
