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
from vjepa_ros.extras import extra
from vjepa_ros.goals import Goals, read_goal, read_subgoals
from vjepa_ros.model.checkpoints import Checkpoint, open_checkpoint
from vjepa_ros.model.located import located
from vjepa_ros.model.shipped import usual_weights
from vjepa_ros.nodes.settings import PlannerNodeSettings, predictor_names
from vjepa_ros.options import NODES, Options, StackSettings, pick
from vjepa_ros.planning import choice
from vjepa_ros.planning.axes import load_axes
from vjepa_ros.planning.config import PlannerConfig, choose_planner
from vjepa_ros.planning.loading import chosen_device
from vjepa_ros.planning.subgoals.loading import is_source


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
    namespace: str = ""
    log_level: str = "info"
    respawn: bool = True
    notice: str = ""  # to be told to the user when it starts

    def words(self) -> list[str]:
        """Its arguments, with those for ROS. JSON is YAML: a text stays one, whatever it says."""
        words = ["--params-file", str(self.params_file)] if self.params_file else []
        if self.log_level != "info":
            words += ["--log-level", self.log_level]
        for name, value in self.parameters.items():
            words += ["-p", f"{name}:={json.dumps(value, ensure_ascii=False)}"]
        return [*self.arguments, *(["--ros-args", *words] if words else [])]


def processes(options: Options, usual: Mapping[str, Any] | None = None) -> list[Process]:
    """In the order in which they start. Raises UserError for what cannot work.

    `usual` are settings of nodes that count as their defaults.
    """
    checkpoint = _checked_weights(options)
    robot = load_robot(options.value("arm_gate", "robot"))
    if goals_of(options).pictures and not options.stack.models:
        raise UserError("a goal was given, and models false: nobody would plan to it")
    if axes := options.value("planner", "axes"):
        load_axes(axes)
    stack = options.stack
    defaults, notice = _defaults(options, checkpoint, usual or {})

    found = [_simulation(stack, robot)] if stack.sim else []
    if stack.gate:
        found.append(
            Process(
                name="arm_gate",
                package="vjepa_gate",
                executable="vjepa_arm_gate",
                module="vjepa_gate.arm_gate",
                arguments=("--autostart",) if stack.autostart else (),
                parameters=_parameters(options, defaults, "arm_gate"),
            )
        )
    if stack.record:
        found.append(_nodes(options, defaults, "recorder"))
    if stack.models:
        found += _models(options, defaults, notice)
    if stack.rerun:
        with extra("rerun", "rerun"):
            import rerun  # noqa: F401
        found.append(_nodes(options, defaults, "viewer"))
    placed = [_placed(one, stack) for one in found]
    return placed + ([_rviz(robot, stack)] if stack.rviz else [])


def _models(options: Options, defaults: Mapping[str, Any], notice: str) -> list[Process]:
    """What sees and plans."""
    replicas = _replicas(options)
    if options.stack.composed:
        found = [_nodes(options, defaults, "encoder", "predictor", "planner")]
    else:
        found = [_nodes(options, defaults, name) for name in ("encoder", "predictor")]
        found += [_replica(_nodes(options, defaults, "predictor"), name) for name in replicas]
        found.append(_nodes(options, defaults, "planner"))
    found[-1] = dataclasses.replace(found[-1], notice=notice)
    return found


def _placed(process: Process, stack: StackSettings) -> Process:
    """In the graph where it is asked to be. The simulation gives the clock, and has no manager."""
    asked = {"use_sim_time": stack.use_sim_time, "bond": stack.bond}
    given = {name: True for name, value in asked.items() if value and process.name != "sim"}
    return dataclasses.replace(
        process,
        namespace=stack.namespace,
        log_level=stack.log_level,
        parameters=process.parameters | given,
        respawn=process.respawn and stack.respawn,
    )


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
        "weights": _weights(options),
        "planner": name,
        "step_period": checkpoint.config.step_period,
        "max_image_age": round(min(choice.longest_image_age(seconds), highest), 1),
        "picture": options.stack.rviz or options.stack.rerun,
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
        arguments=names if options.stack.autostart else (*names, "--no-autostart"),
        parameters=parameters,
    )


def _replicas(options: Options) -> list[str]:
    """The names of the predictors that this machine runs beside the first."""
    count, here = options.value("planner", "predictors"), options.stack.predictors_here
    if options.stack.composed and count > 1:
        raise UserError(
            f"predictors is {count}, but composed nodes have theirs in one process: expected 1 "
            "(device:=cuda:0,cuda:1 shares candidates out there)"
        )
    if here is not None and here > count:
        raise UserError(f"predictors_here is {here}, expected at most predictors, {count}")
    return predictor_names(here or count)[1:]


def _replica(predictor: Process, name: str) -> Process:
    arguments = (*predictor.arguments, "--ros-args", "-r", f"__node:={name}")
    return dataclasses.replace(predictor, name=name, arguments=arguments)


def goal_sender(options: Options) -> Process | None:
    """Asks the planner for the goal and tells how it goes; None where there is no goal."""
    goals = goals_of(options)
    if not goals.pictures:
        return None
    limits = ("--max-steps", str(goals.max_steps), "--energy", str(goals.energy))
    sender = Process(
        name="goal",
        package="vjepa_ros",
        executable="vjepa_reach",
        module="vjepa_ros.nodes.reach_client",
        arguments=(*limits, *(str(picture) for picture in goals.pictures)),
        respawn=False,
    )
    return _placed(sender, options.stack)


def goals_of(options: Options) -> Goals:
    """The goal or its sub-goals, each looked into, or no pictures at all; raises UserError."""
    wanted, goals = options.goal, Goals()
    subgoals = options.value("planner", "subgoals")
    pictures = None if is_source(subgoals) else Path(subgoals)
    if wanted.goal and pictures:
        raise UserError("goal and subgoals are both given, expected one of the two")
    if wanted.goal:
        goals = read_goal(wanted.goal)
    if pictures:
        goals = read_subgoals(pictures)
    limits = {"max_steps": wanted.max_steps, "energy": wanted.energy}
    given: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    return dataclasses.replace(goals, **given)


def with_parameters(stack: Iterable[Process], more: Mapping[str, dict[str, Any]]) -> list[Process]:
    """The same processes; those that are named get these parameters, too."""
    return [
        dataclasses.replace(one, parameters=one.parameters | more.get(one.name, {}))
        for one in stack
    ]


def _weights(options: Options) -> Path:
    """Those that were named, or the shipped ones that this way to goals asks for."""
    given = options.of("planner").get("weights")
    by_key_frames = options.value("planner", "subgoals") != "none"
    return given or usual_weights(by_key_frames=by_key_frames)


def _checked_weights(options: Options) -> Checkpoint:
    path = located(_weights(options))
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


def _rviz(robot: Robot, stack: StackSettings) -> Process:
    """RViz, told the robot's frame and topics."""
    own = ("encoder/picture", "predictor/imagined", "way/compressed", "plan/markers", "plan/path")
    names = {name: name for name in own}
    names["camera/image_raw"] = robot.topics.camera.name
    if robot.command == "pose":
        names["target_pose"] = robot.topics.target.name
    root = f"/{stack.namespace.strip('/')}".rstrip("/")
    renamed = []
    for old, new in names.items():
        renamed += ["-r", f"/{old}:={new if new.startswith('/') else f'{root}/{new}'}"]
    config = str(config_folder("vjepa_ros") / "vjepa.rviz")
    return Process(
        name="rviz",
        package="rviz2",
        executable="rviz2",
        arguments=("-d", config, "-f", robot.base_frame, "--ros-args", *renamed),
        respawn=False,
    )


def _simulation(stack: StackSettings, robot: Robot) -> Process:
    """With the names and ways of the robot that is asked for."""
    kind = "fr3" if robot.tool_frame.startswith("fr3_") else "sim"
    return Process(
        name="sim",
        package="vjepa_sim",
        executable="vjepa_sim_robot",
        module="vjepa_sim.node",
        parameters={"task": stack.task, "seed": stack.scene, "robot": kind},
        params_file=stack.params_file,
        respawn=False,  # it would come back with another scene
    )
