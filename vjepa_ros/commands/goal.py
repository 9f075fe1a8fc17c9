"""`vjepa-ros goal`: take a goal picture from the camera, compare one with what it sees now, or show
the way that would be gone to it.

Exit 0: nothing is wrong with the picture; 1: something is, and is said.
"""

import argparse
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vjepa_gate.errors import UserError
from vjepa_gate.robots import Robot, load_robot
from vjepa_ros import picture_checks
from vjepa_ros.commands.settings import check_folders, read
from vjepa_ros.commands.settings.checks import GoalCapture, GoalCheck, GoalExplain
from vjepa_ros.images import compressed_to_rgb, decode_picture, encode_png, to_rgb
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.planning.config import choose_planner
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.objectives import make_objective
from vjepa_ros.planning.subgoals.explain import NotUnderstood, explain
from vjepa_ros.planning.subgoals.loading import source_of
from vjepa_ros.planning.subgoals.sheet import sheet, summary
from vjepa_ros.planning.world_model import Context
from vjepa_ros.supervisor import PROFILE, environment

_STATE = 7  # numbers of a hand's state
_POLL = 0.05  # seconds


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    if arguments.verb == "capture":
        return _capture(read(GoalCapture, arguments))
    if arguments.verb == "explain":
        return _explain(read(GoalExplain, arguments))
    return _check(read(GoalCheck, arguments))


def _capture(settings: GoalCapture) -> int:
    if settings.out.suffix != ".png":
        raise UserError(f"--out {settings.out}: expected a .png in a folder that exists")
    check_folders(out=settings.out)
    config = load_world_model(settings.weights).config
    preprocessor = Preprocessor(config.image_size, config.crop)
    rgb = _next_image(settings, load_robot(settings.robot))
    cropped = preprocessor.cropped(torch.from_numpy(rgb)[None])[0].numpy()
    settings.out.write_bytes(encode_png(np.ascontiguousarray(cropped)))
    look = picture_checks.look_at(rgb, preprocessor)
    print(f"camera {look.describe()}\nwrote {settings.out}")
    return _tell(look.complaints())


def _check(settings: GoalCheck) -> int:
    robot, loaded = load_robot(settings.robot), load_world_model(settings.weights)
    preprocessor = Preprocessor(loaded.config.image_size, loaded.config.crop)
    goal = _read(settings.goal)
    now = _read(settings.image) if settings.image else _next_image(settings, robot)
    of_goal, of_now = (picture_checks.look_at(rgb, preprocessor) for rgb in (goal, now))
    print(f"goal   {of_goal.describe()}")
    print(f"now    {of_now.describe()}")
    objective = make_objective(choose_planner(loaded.planner).objective)
    model = loaded.world_model
    _tell_energy(*picture_checks.energies(model, objective, goal, now, robot.limits))
    complaints = [f"goal: {complaint}" for complaint in of_goal.complaints()]
    complaints += [f"now: {complaint}" for complaint in of_now.complaints()]
    return _tell(complaints + of_goal.differences(of_now))


def _explain(settings: GoalExplain) -> int:
    check_folders(out=settings.out)
    loaded = load_world_model(settings.weights)
    model, planner = loaded.world_model, choose_planner(loaded.planner)
    source = source_of(settings.subgoals, settings.weights, lambda: loaded.identity)
    if source is None:
        raise UserError(
            f"no sub-goals are proposed for {loaded.identity}: none lie beside {settings.weights}; "
            "`vjepa-ros train subgoals` and `vjepa-ros memory build` make some, for --subgoals"
        )
    goal = _read(settings.goal)
    now, state = _seen(settings)
    latents = [model.encode(torch.from_numpy(rgb)[None]) for rgb in (now, goal)]
    context = Context(latents=latents[0], states=state[None].float())
    try:
        explained = explain(source, model, context, latents[1][0], planner.max_step)
    except NotUnderstood as refusal:
        return _tell([f"refused: {refusal}"])
    for number, view in enumerate(explained.views, explained.proposal.phase + 1):
        place = ", ".join(f"{value:.3f}" for value in view.position)
        print(f"{number} {view.name:16} tool at ({place}) m, closedness {view.closedness:.2f}")
    settings.out.write_bytes(encode_png(sheet(explained, goal, now)))
    print(f"{summary(explained)}\nwrote {settings.out}")
    return 1 if explained.refusal else 0


def _seen(settings: GoalExplain) -> tuple[NDArray[np.uint8], Tensor]:
    """What the camera sees now, and the hand's state [7] then."""
    if settings.image is None:
        robot = load_robot(settings.robot)
        return _next_image(settings, robot), _state(settings, robot)
    if len(settings.state) != _STATE:
        raise UserError(
            f"--state has {len(settings.state)} numbers, expected x,y,z,roll,pitch,yaw,closedness, "
            "where --image is given"
        )
    return _read(settings.image), torch.tensor(settings.state, dtype=torch.float64)


def _tell_energy(energy: float, near: float, far: float) -> None:
    print(
        f"energy {energy:.3f}; for the model a move by {100 * picture_checks.NEAR:g} cm makes "
        f"{near:.3f}, one by {100 * picture_checks.FAR:g} cm {far:.3f}:"
    )
    if energy <= near:
        print("this is the goal already")
    elif energy <= far:
        print("a short way, which can be planned to directly")
    else:
        print(
            "a long way, or light, camera or surroundings have changed; plan to it directly, and "
            "should its energy stall, give sub-goals on the way"
        )


def _tell(complaints: list[str]) -> int:
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        return decode_picture(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is not an image: {error}") from error


def _state(settings: GoalExplain, robot: Robot) -> Tensor:
    """The hand's state [7] now, as the robot tells it."""
    from vjepa_gate.ros import stamps
    from vjepa_gate.ros.spinning import spinning_node
    from vjepa_ros.nodes.arm_state import ArmState

    end = time.monotonic() + settings.timeout
    with spinning_node("vjepa_ros_goal", namespace=settings.namespace) as node:
        arm = ArmState(node, robot)
        try:
            while (state := arm.at(stamps.now(node))) is None:
                if time.monotonic() > end:
                    raise UserError(
                        f"{arm.complaint()} within {settings.timeout:g} s: is the robot there?"
                    )
                time.sleep(_POLL)
        finally:
            arm.destroy()
    return state


def _next_image(settings: GoalCapture | GoalCheck | GoalExplain, robot: Robot) -> NDArray[np.uint8]:
    os.environ[PROFILE] = environment()[PROFILE]  # before rclpy is loaded
    try:
        from sensor_msgs.msg import CompressedImage, Image

        from vjepa_gate.ros.qos import of_topic
        from vjepa_gate.ros.spinning import spinning_node
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error

    camera, came, newest = robot.topics.camera, threading.Event(), list[Any]()

    def take(message: Any) -> None:
        newest[:] = [message]
        came.set()

    timeout = settings.timeout
    with spinning_node("vjepa_ros_goal", namespace=settings.namespace) as node:
        kind = CompressedImage if camera.compressed else Image
        node.create_subscription(kind, camera.name, take, of_topic(camera))
        if not came.wait(timeout):
            raise UserError(
                f"no image on {node.resolve_topic_name(camera.name)} within {timeout:g} s: is "
                "the camera running, in this ROS_DOMAIN_ID, and is --robot the right one?"
            )
    try:
        return compressed_to_rgb(newest[0]) if camera.compressed else to_rgb(newest[0])
    except ValueError as error:
        raise UserError(f"the image on {camera.name} cannot be used: {error}") from error
