"""The stack as data: which processes it is made of, and what each is told.

`launch/pick_place.launch.py` and `vjepa-ros run` take the same options and start the same
processes; what they mean is written here once.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vjepa_gate.errors import UserError
from vjepa_gate.robots import Robot, load_robot
from vjepa_gate.settings import parameter_value, settings_of
from vjepa_gate.share import config_folder
from vjepa_ros.goals import Goals, read_goal, read_subgoals
from vjepa_ros.model.checkpoints import Checkpoint, open_checkpoint
from vjepa_ros.model.located import located
from vjepa_ros.nodes.settings import PlannerNodeSettings
from vjepa_ros.options import NODES, Options, StackSettings, pick
from vjepa_ros.planning import choice
from vjepa_ros.planning.axes import load_axes
from vjepa_ros.planning.config import PlannerConfig, choose_planner
from vjepa_ros.planning.loading import chosen_device


@dataclass(frozen=True, kw_only=True)
class Process:
    """`executable` of a ROS package, or `module` where Python runs it without one."""

    name: str
    package: str
    executable: str
    module: str = ""  # empty: not Python, found on the PATH
    arguments: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
    params_file: Path | None = None
    respawn: bool = True
    notice: str = ""  # to be told to the user when it starts

    def words(self) -> list[str]:
        """Its arguments, with those for ROS. JSON is YAML: a text stays one, whatever it says."""
        words = ["--params-file", str(self.params_file)] if self.params_file else []
        for name, value in self.parameters.items():
            words += ["-p", f"{name}:={json.dumps(value, ensure_ascii=False)}"]
        return [*self.arguments, *(["--ros-args", *words] if words else [])]


def processes(options: Options, usual: Mapping[str, Any] | None = None) -> list[Process]:
    """In the order in which they start. Raises UserError for what cannot work.

    `usual` are settings of nodes that count as their defaults.
    """
    checkpoint = _checked_weights(options)
    robot = load_robot(options.value("arm_gate", "robot"))
    goals_of(options)
    if axes := options.value("planner", "axes"):
        load_axes(axes)
    stack = options.stack
    defaults, notice = _defaults(options, checkpoint, usual or {})

    found = [_simulation(stack)] if stack.sim else []
    found.append(
        Process(
            name="arm_gate",
            package="vjepa_gate",
            executable="vjepa_arm_gate",
            module="vjepa_gate.arm_gate",
            arguments=("--autostart",),
            parameters=_parameters(options, defaults, "arm_gate"),
        )
    )
    if stack.record:
        found.append(_nodes(options, defaults, "recorder"))
    if stack.composed:
        found.append(_nodes(options, defaults, "encoder", "predictor", "planner"))
    else:
        found += [_nodes(options, defaults, name) for name in ("encoder", "predictor", "planner")]
    found[-1] = dataclasses.replace(found[-1], notice=notice)
    if stack.rviz:
        found += _views(robot, stack.sim)
    return found


def planner_config(options: Options, checkpoint: Checkpoint) -> tuple[str, PlannerConfig]:
    """The planner, and the name of what it started from: as the planner's node has it."""
    given, device = options.of("planner"), str(chosen_device(options.value("planner", "device")))
    name = given.get("planner") or choice.planner_of(checkpoint, device)
    try:
        config = choose_planner(name, pick([PlannerConfig], given))
    except ValueError as error:
        raise UserError(str(error)) from error
    longest = load_robot(options.value("planner", "robot")).limits.max_step
    return name, dataclasses.replace(config, max_step=min(config.max_step, longest))


def _defaults(
    options: Options, checkpoint: Checkpoint, usual: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Of the nodes' settings, as weights and machine have it; and what to tell of them."""
    given, device = options.of("planner"), chosen_device(options.value("planner", "device"))
    name, config = planner_config(options, checkpoint)
    seconds = choice.planning_seconds(checkpoint, config, device)
    highest = settings_of(PlannerNodeSettings)["max_image_age"].high or 0.0
    defaults = {
        "planner": name,
        "step_period": checkpoint.config.step_period,
        "max_image_age": round(min(choice.longest_image_age(seconds), highest), 1),
        "picture": options.stack.rviz,
        "task": options.stack.task if options.stack.sim else "",
        **usual,
    }
    age = defaults["max_image_age"] = given.get("max_image_age", defaults["max_image_age"])
    named = f"planner {name}, as was chosen"
    why = named if given.get("planner") else choice.why(checkpoint, str(device))
    changed = f". With what was set: {config.describe()}" if pick([PlannerConfig], given) else ""
    return defaults, (
        f"{why}{changed}. A plan is expected to take {seconds:.2f} s here; images behind actions "
        f"may be {age:g} s old (max_image_age)"
    )


def _parameters(options: Options, defaults: Mapping[str, Any], node: str) -> dict[str, Any]:
    given = {**pick(NODES[node], defaults), **options.of(node)}
    return {name: parameter_value(value) for name, value in given.items()}


def _nodes(options: Options, defaults: Mapping[str, Any], *names: str) -> Process:
    """Nodes in one process, which are told what all of them are told."""
    parameters: dict[str, Any] = {}
    for node in names:
        for name, value in _parameters(options, defaults, node).items():
            if parameters.setdefault(name, value) != value:
                raise UserError(
                    f"params_file: {name} is {parameters[name]!r} for one node and {value!r} for "
                    f"{node}, but composed nodes share it: give it once, under /**"
                )
    return Process(
        name=names[0] if len(names) == 1 else "models",
        package="vjepa_ros",
        executable="vjepa_composed",
        module="vjepa_ros.nodes.composed",
        arguments=names,
        parameters=parameters,
    )


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
    wanted, goals = options.goal, Goals()
    if wanted.goal and wanted.subgoals:
        raise UserError("goal and subgoals are both given, expected one of the two")
    if wanted.goal:
        goals = read_goal(wanted.goal)
    if wanted.subgoals:
        goals = read_subgoals(wanted.subgoals)
    limits = {"max_steps": wanted.max_steps, "energy": wanted.energy}
    given: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    return dataclasses.replace(goals, **given)


def with_parameters(stack: Iterable[Process], more: Mapping[str, dict[str, Any]]) -> list[Process]:
    """The same processes; those that are named get these parameters, too."""
    return [
        dataclasses.replace(one, parameters=one.parameters | more.get(one.name, {}))
        for one in stack
    ]


def _checked_weights(options: Options) -> Checkpoint:
    path = located(options.value("planner", "weights"))
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


def _simulation(stack: StackSettings) -> Process:
    return Process(
        name="sim",
        package="vjepa_sim",
        executable="vjepa_sim_robot",
        module="vjepa_sim.node",
        parameters={"task": stack.task, "seed": stack.scene},
        params_file=stack.params_file,
        respawn=False,  # it would come back with another scene
    )
