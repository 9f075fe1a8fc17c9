"""The simulated arm as the robot has it: behind the arm gate's own core, without ROS."""

import itertools
from dataclasses import replace

import numpy as np
from torch import Tensor

from vjepa_gate.admission import Delta, Refused
from vjepa_gate.gate import Gate
from vjepa_gate.gate_config import GateConfig
from vjepa_gate.pose import Pose
from vjepa_gate.robots import Robot
from vjepa_ros.episodes.sensing import state_of
from vjepa_sim.scene import Observation, Scene

SETTLE = 0.1  # seconds to rest after an action, as the planner's node does


def in_lab(scene: Scene, robot: Robot) -> Robot:
    """A robot with the hand that it has there."""
    return replace(robot, gripper=replace(robot.gripper, max_width=scene.lab.max_width))


class GatedArm:
    """Sees and moves a scene's arm; what the gate refuses or shortens here, it does there."""

    def __init__(self, scene: Scene, robot: Robot) -> None:
        config = GateConfig()
        self._scene, self._robot = scene, robot
        self._gate, self._period = Gate(robot, config), 1 / config.rate
        self._gate.observe_planners(1)
        self._pictures, self._actions = itertools.count(), itertools.count(1)
        self.refused: list[str] = []  # why
        self._image_stamp = scene.time
        self.look()
        self.rest(SETTLE)

    def look(self) -> Observation:
        """Take a picture, which the next action is planned from."""
        seen = self._scene.observe()
        self._observe_state()
        self._image_stamp = self._scene.time
        self._gate.observe_image(self._image_stamp, next(self._pictures), self._image_stamp)
        return seen

    def state_of(self, seen: Observation) -> Tensor:
        """The state [7] of the robot when that was seen."""
        return state_of(seen, self._robot.gripper.max_width)

    def carry_out(self, action: Tensor, duration: float) -> None:
        """Do what an action [7] asks for, as far as the gate lets it, and come to rest."""
        self.begin(action, duration)
        self.rest(duration + SETTLE)

    @property
    def time(self) -> float:
        """Of the simulation, in seconds."""
        return self._scene.time

    def begin(self, action: Tensor, duration: float) -> None:
        """Tell the gate an action [7]; the arm moves as time passes."""
        delta = Delta(
            action=action.double().tolist(),
            frame=self._robot.base_frame,
            image_stamp=self._image_stamp,
            sequence=next(self._actions),
            duration=duration,
        )
        try:
            hand = self._gate.command(delta, ["planner"], self._scene.time)
        except Refused as refusal:
            self.refused.append(str(refusal))
        else:
            if hand is not None:
                self._scene.set_gripper(hand.width, self._robot.gripper.force)

    def rest(self, seconds: float) -> None:
        """Let time pass; the gate goes on sending targets."""
        end = self._scene.time + seconds
        while self._scene.time < end - self._period / 2:
            self._observe_state()
            target = self._gate.tick(self._scene.time)
            if target is not None:
                self._scene.set_target(target.pose.position, np.array(target.pose.rotation))
            self._scene.step(self._period)

    def _observe_state(self) -> None:
        state, now = self._scene.state(), self._scene.time
        pose = Pose.of(state.position.tolist(), tuple(state.quaternion_xyzw.tolist()))
        self._gate.observe_pose(pose, now, now)
        self._gate.observe_fingers(state.width, now, now)
