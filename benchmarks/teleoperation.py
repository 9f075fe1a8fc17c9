"""A stand-in for the person who teleoperates: it knows where everything is, and its hand shakes.

It drives the arm of a running graph as a SpaceMouse through the arm gate would, four actions a
second, each relative to where the arm was on the newest picture.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from torch import Tensor
from vjepa_msgs.msg import EndEffectorDelta
from vjepa_msgs.srv import ResetScene

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.robots import Robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.qos import DELTAS
from vjepa_gate.ros.spinning import spinning_node, wait_for
from vjepa_ros import conventions
from vjepa_ros.nodes.arm_state import ArmState
from vjepa_sim.expert import PERIOD, STRIDE, Waypoint, Wobble
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import make_task

_ARRIVED, _ALIGNED, _SHUT = 0.006, 0.05, 0.02  # metres, radians, closedness in a step
_PATIENCE = 14  # actions for one waypoint
_AWAITED = 60.0  # seconds for services, pictures and states
_ERROR = 0.004  # metres that a person is off what they aim at
_BEGIN = (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE)
_END = (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP)


def towards(state: Tensor, waypoint: Waypoint, max_width: float) -> Tensor:
    """The action [7] from a state [7] to a waypoint, or as far as a step goes."""
    width = torch.tensor(min(waypoint.width, max_width), dtype=torch.float64)
    wanted = conventions.state_from_pose(
        torch.from_numpy(waypoint.position),
        torch.from_numpy(waypoint.quaternion_xyzw),
        conventions.closedness_from_width(width, max_width),
    )
    action = conventions.action_between(state.double(), wanted)
    far = float(action[:3].norm())
    action[:3] *= min(1.0, STRIDE / max(far, 1e-9))
    return action


class Operator:
    """Sees the arm's state beside the newest picture, and sends actions to the arm gate."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._node, self._robot = node, robot
        self._arm = ArmState(node, robot)
        self._stamp: Any = None  # of the newest picture
        node.create_subscription(
            Image, robot.topics.camera.name, self._see, qos_profile_sensor_data
        )
        self._deltas = node.create_publisher(EndEffectorDelta, "ee_delta", DELTAS)
        self._sequence = 0

    def follow(self, path: list[Waypoint], rng: np.random.Generator) -> None:
        """Go from waypoint to waypoint, each until there, or until patience ends."""
        wobble, error = Wobble(rng), np.array((*rng.normal(0, _ERROR, 2), 0.0))
        for waypoint in path:
            aim, before = replace(waypoint, position=waypoint.position + error), np.inf
            for _ in range(_PATIENCE):
                state = self._now()
                action = towards(state, aim, self._robot.gripper.max_width)
                left = float(np.linalg.norm(aim.position - state[:3].double().numpy()))
                still = abs(float(state[6]) - before) < _SHUT
                if left < _ARRIVED and float(action[3:6].norm()) < _ALIGNED and still:
                    break
                before = float(state[6])
                action[:3] += torch.from_numpy(wobble.next(left))
                self._send(action)

    def _see(self, image: Image) -> None:
        self._stamp = image.header.stamp

    def _now(self, after: float = 0.0) -> Tensor:
        end = time.monotonic() + _AWAITED
        while time.monotonic() < end:
            stamp = self._stamp
            if stamp is not None and stamps.seconds(stamp) >= after:
                state = self._arm.at(stamps.seconds(stamp))
                if state is not None:
                    return state
            time.sleep(0.005)
        raise TimeoutError(f"no picture with a state: {self._arm.complaint()}")

    def _send(self, action: Tensor) -> None:
        self._sequence += 1
        message = EndEffectorDelta(
            image_stamp=self._stamp,
            sequence=self._sequence,
            duration=PERIOD,
            energy=float("nan"),
            **dict(zip(ACTION_NAMES, action.tolist(), strict=True)),
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        message.header.frame_id = self._robot.base_frame
        self._deltas.publish(message)
        self._now(after=stamps.seconds(message.header.stamp) + PERIOD)


class Session:
    """A graph with robot, gate and recorder: one bag for each episode."""

    def __init__(self, node: Node, robot: Robot) -> None:
        self._node, self._robot = node, robot
        self._operator = Operator(node, robot)
        self._reset = node.create_client(ResetScene, "sim/reset")
        self._change = node.create_client(ChangeState, "recorder/change_state")
        self._set = node.create_client(SetParameters, "recorder/set_parameters")
        self._state = node.create_client(GetState, "recorder/get_state")
        for client in (self._reset, self._change, self._set, self._state):
            if not client.wait_for_service(_AWAITED):
                raise TimeoutError(f"no {client.srv_name}: is the graph up?")
        self._wait_for_recorder()
        self._turn(*_END)

    def record(self, twin: Scene, seed: int, bag: Path) -> None:
        """One episode; `twin` is a scene of the same lab, which tells where everything is."""
        rng = np.random.default_rng(seed)
        name = str(rng.choice(["pick_place", "grasp", "reach"], p=[0.5, 0.3, 0.2]))
        kind = str(rng.choice(["cube", "box", "cup"]))
        task = make_task(name, kind)
        path = task.path(twin, task.start(twin, seed))
        request = ResetScene.Request(seed=seed, task=name, object=kind, place=task.place or "")
        answer = wait_for(self._reset.call_async(request), _AWAITED)
        if not answer.success:
            raise RuntimeError(answer.message)
        self._begin(bag, task.title)
        self._operator.follow(path, rng)
        self._turn(*_END)

    def _wait_for_recorder(self) -> None:
        """Until it is active: it starts by itself."""
        end = time.monotonic() + _AWAITED
        while time.monotonic() < end:
            found = wait_for(self._state.call_async(GetState.Request()), _AWAITED)
            if found.current_state.id == State.PRIMARY_STATE_ACTIVE:
                return
            time.sleep(0.5)
        raise TimeoutError("the recorder does not become active: its log says why")

    def _begin(self, bag: Path, task: str) -> None:
        """Let the recorder write another bag."""
        told = {"folder": str(bag), "task": task}
        parameters = [Parameter(name, value=text) for name, text in told.items()]
        request = SetParameters.Request(
            parameters=[parameter.to_parameter_msg() for parameter in parameters]
        )
        wait_for(self._set.call_async(request), _AWAITED)
        self._turn(*_BEGIN)

    def _turn(self, *transitions: int) -> None:
        for transition in transitions:
            request = ChangeState.Request(transition=Transition(id=transition))
            if not wait_for(self._change.call_async(request), _AWAITED).success:
                raise RuntimeError("the recorder did not go along: its log says why")


@contextmanager
def session(robot: Robot) -> Iterator[Session]:
    """A person at a graph whose clock is the simulation's."""
    clock = [Parameter("use_sim_time", value=True)]
    with spinning_node("teleoperation", parameter_overrides=clock) as node:
        yield Session(node, robot)
