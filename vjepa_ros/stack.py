"""The stack as data: which processes it is made of, and what each is told.

`launch/pick_place.launch.py` and `vjepa-ros run` take the same options and start the same
processes; what they mean is written here once.
"""

import argparse
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from vjepa_gate.errors import UserError
from vjepa_gate.robots import Robot, load_robot
from vjepa_gate.share import config_folder
from vjepa_ros.goals import Goals, read_goal, read_subgoals
from vjepa_ros.model.checkpoints import Checkpoint, open_checkpoint
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.axes import load_axes
from vjepa_ros.planning.choice import planner_of
from vjepa_ros.planning.loading import chosen_device


def _option(default: Any, description: str) -> Any:
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may choose: launch arguments, and options of the command line."""

    goal: str = _option("", "picture (PNG or JPEG) of what the camera should see in the end")
    subgoals: str = _option("", "folder of such pictures in the order of names, or a YAML list")
    max_steps: int = _option(0, "actions of the task at most; 0: the list's, or the planner's")
    energy: float = _option(0.0, "at which a goal counts as reached; 0: the list's, or measured")
    robot: str = _option("sim", "robot YAML: a file, or a name in gate/config/")
    sim: bool = _option(False, "start the simulated Franka as the robot")
    task: str = _option("grasp cube", "what the simulated scene is about: `vjepa-sim tasks`")
    scene: int = _option(0, "seed of the simulated scene")
    weights: str = _option(str(SHIPPED_WEIGHTS), "file of weights")
    device: str = _option("auto", "of the models: cpu, cuda, or auto for a GPU where there is one")
    solver: str = _option("", "cem, icem, mppi, gradient, or a preset such as paper")
    samples: int = _option(0, "candidates in each of its iterations; 0: the planner's own")
    iterations: int = _option(0, "of the solver; 0: the planner's own")
    horizon: int = _option(0, "steps to plan ahead; 0: the planner's own")
    seed: int = _option(0, "of the solver")
    axes: str = _option("", "file of `vjepa-ros calibrate`, for where the camera stands")
    record: bool = _option(False, "write all that is needed for a replay to runs/<time>/bag")
    dry_run: bool = _option(False, "plan, but command nothing: targets go to a shadow topic")
    composed: bool = _option(False, "encoder, predictor and planner in one process")
    picture: bool = _option(False, "publish a picture of the latents, for RViz or Foxglove")
    rviz: bool = _option(False, "start RViz with camera, latents, plan and target")

    @classmethod
    def from_texts(cls, texts: Mapping[str, str]) -> Self:
        """From launch arguments; raises UserError."""
        values: dict[str, Any] = {}
        for option in dataclasses.fields(cls):
            text, kind = texts[option.name], _kind(option)
            try:
                values[option.name] = _truth(text) if kind is bool else kind(text)
            except ValueError:
                raise UserError(f"{option.name} is {text!r}, expected {_KINDS[kind]}") from None
        return cls(**values)


def add_options(parser: argparse.ArgumentParser) -> None:
    for option in dataclasses.fields(Options):
        flag, about = f"--{option.name.replace('_', '-')}", option.metadata["description"]
        if option.type is bool:
            parser.add_argument(flag, action="store_true", help=about)
        else:
            about += f" [{option.default}]" if option.default else ""
            parser.add_argument(flag, type=_kind(option), default=option.default, help=about)


def options_of(arguments: argparse.Namespace) -> Options:
    names = [option.name for option in dataclasses.fields(Options)]
    return Options(**{name: getattr(arguments, name) for name in names})


@dataclass(frozen=True, kw_only=True)
class Process:
    """`executable` of a ROS package, or `module` where Python runs it without one."""

    name: str
    package: str
    executable: str
    module: str = ""  # empty: not Python, found on the PATH
    arguments: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    respawn: bool = True


def processes(options: Options) -> list[Process]:
    """In the order in which they start. Raises UserError for what cannot work."""
    checkpoint = _checked_weights(options)
    robot = load_robot(options.robot)
    goals_of(options)
    stack = [_simulation(options)] if options.sim else []
    stack.append(_arm_gate(options))
    if options.record:
        task = options.task if options.sim else ""
        stack.append(_nodes("recorder", {"robot": options.robot, "task": task}))
    model = {"weights": options.weights, "device": options.device, "robot": options.robot}
    encoder = model | {"picture": options.picture or options.rviz}
    planner = {
        "robot": options.robot,
        "planner": planner_of(checkpoint, str(chosen_device(options.device))),
        "solver": options.solver,
        "samples": options.samples,
        "iterations": options.iterations,
        "horizon": options.horizon,
        "seed": options.seed,
        "axes": _checked_axes(options.axes),
        "step_period": checkpoint.config.step_period,
    }
    if options.composed:
        stack.append(_nodes("encoder predictor planner", encoder | planner))
    else:
        stack += [
            _nodes("encoder", encoder),
            _nodes("predictor", model),
            _nodes("planner", planner),
        ]
    if options.rviz:
        stack += _views(robot, options.sim)
    return stack


def goal_sender(options: Options) -> Process | None:
    """Asks the planner for the goal and tells how it goes; None where there is no goal."""
    goals = goals_of(options)
    if not goals.pictures:
        return None
    limits = ("--max-steps", str(goals.max_steps), "--energy", str(goals.energy))
    return Process(
        name="goal",
        package="vjepa_ros",
        executable="vjepa_reach",
        module="vjepa_ros.nodes.reach_client",
        arguments=(*limits, *(str(picture) for picture in goals.pictures)),
        respawn=False,
    )


def goals_of(options: Options) -> Goals:
    """The goal or its sub-goals, each looked into, or no pictures at all; raises UserError."""
    if options.goal and options.subgoals:
        raise UserError("goal and subgoals are both given, expected one of the two")
    goals = Goals()
    if options.goal:
        goals = read_goal(Path(options.goal))
    if options.subgoals:
        goals = read_subgoals(Path(options.subgoals))
    return dataclasses.replace(
        goals,
        max_steps=options.max_steps or goals.max_steps,
        energy=options.energy or goals.energy,
    )


def told(stack: Iterable[Process], more: Mapping[str, dict[str, Any]]) -> list[Process]:
    """The same processes; those that are named get these parameters, too."""
    return [
        dataclasses.replace(one, parameters=one.parameters | more.get(one.name, {}))
        for one in stack
    ]


def _checked_weights(options: Options) -> Checkpoint:
    path = Path(options.weights)
    if not path.is_file():
        raise UserError(f"weights: no file {path}: give the path of a checkpoint")
    checkpoint = open_checkpoint(path)
    if not checkpoint.has_encoder:
        raise UserError(
            f"weights: {path} holds no encoder: join one to it with "
            "`vjepa-ros weights convert --encoder FILE`"
        )
    if checkpoint.config.predictor is None:
        raise UserError(f"weights: {path} holds no predictor: an encoder alone cannot plan")
    return checkpoint


def _checked_axes(file: str) -> str:
    if not file:
        return ""
    load_axes(Path(file))
    return str(Path(file).resolve())


def _arm_gate(options: Options) -> Process:
    return Process(
        name="arm_gate",
        package="vjepa_gate",
        executable="vjepa_arm_gate",
        module="vjepa_gate.arm_gate",
        arguments=("--autostart",),
        parameters={"robot": options.robot, "dry_run": options.dry_run},
    )


def _nodes(names: str, parameters: dict[str, Any]) -> Process:
    arguments = tuple(names.split())
    return Process(
        name=arguments[0] if len(arguments) == 1 else "models",
        package="vjepa_ros",
        executable="vjepa_composed",
        module="vjepa_ros.nodes.composed",
        arguments=arguments,
        parameters=parameters,
    )


def _views(robot: Robot, sim: bool) -> list[Process]:
    """RViz, told the robot's frame and topics; and the frame itself, where no TF has it."""
    names = {"camera/image_raw": robot.topics.camera.name}
    if robot.command == "pose":
        names["target_pose"] = robot.topics.target.name
    renamed = [part for old, new in names.items() for part in ("-r", f"{old}:={new}")]
    config = str(config_folder("vjepa_ros") / "vjepa.rviz")
    rviz = Process(
        name="rviz",
        package="rviz2",
        executable="rviz2",
        arguments=("-d", config, "-f", robot.base_frame, "--ros-args", *renamed),
        respawn=False,
    )
    if not sim:
        return [rviz]
    frame = Process(
        name="frame",
        package="tf2_ros",
        executable="static_transform_publisher",
        arguments=("--frame-id", "world", "--child-frame-id", robot.base_frame),
    )
    return [frame, rviz]


def _simulation(options: Options) -> Process:
    return Process(
        name="sim",
        package="vjepa_sim",
        executable="vjepa_sim_robot",
        module="vjepa_sim.node",
        parameters={"task": options.task, "seed": options.scene},
        respawn=False,  # it would come back with another scene
    )


def _kind(option: dataclasses.Field) -> Any:
    return type(option.default)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
