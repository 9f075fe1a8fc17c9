"""A hostile world around the gate, and an auditor that knows only what the world did and what
was sent. The world is kinder than a real one in nothing.

    python gate/test/fuzz.py --steps 1000000 --command twist
"""

import argparse
import dataclasses
import math
import random
import sys
import time
from collections.abc import Sequence

import numpy as np

from vjepa_gate.admission import Delta, Refused
from vjepa_gate.gate import Gate
from vjepa_gate.gate_config import GateConfig
from vjepa_gate.hand import HandResult
from vjepa_gate.limits import tilt
from vjepa_gate.pose import Pose
from vjepa_gate.robots import Contact, Robot, Topic, load_robot
from vjepa_gate.rotations import between, from_vector, multiply, z_axis
from vjepa_gate.watchdog import CLOCK_TOLERANCE

PERIOD = 0.01
DOWN = (1.0, 0.0, 0.0, 0.0)
CONTROLLER_TIMEOUT = 0.1  # seconds after which velocities end
FAULTS = (
    *("pose", "fingers", "camera", "mode", "frozen", "frozen", "glitch", "ahead", "led"),
    *("blocked", "reach", "late"),
)
_SPOILT = (math.nan, math.inf, -math.inf, 1e308, 4.0, -0.5)
_MIDDLE = np.array((0.5, 0.0, 0.3))  # of the workspace
_OUTCOMES = ("succeeded", "aborted", "canceled", "refused")


def hostile_robot(command: str) -> Robot:
    """The shipped one, with everything watched that can be."""
    robot = load_robot("sim")
    topics = dataclasses.replace(robot.topics, external_wrench=Topic(name="wrench"))
    gripper = dataclasses.replace(robot.gripper, kind="franka_hand")
    contact = Contact(max_force=30.0, max_torque=8.0)
    return dataclasses.replace(
        robot, command=command, topics=topics, gripper=gripper, contact=contact
    )


class World:
    """The true arm, clocks, sources that lie, a planner and a hand that do what they like."""

    def __init__(self, robot: Robot, seed: int, kinds: Sequence[str] = FAULTS) -> None:
        self.chance, self.kinds = random.Random(seed), kinds
        self.robot = robot
        self.gate = Gate(robot, GateConfig(), watch_mode=True)
        self.time, self.offset = 0.0, 1000.0  # of the world, and of the gate's clock
        self.true = Pose(np.array((0.5, 0.0, 0.3)), DOWN)
        self.sequence, self.mode, self.width = 0, 2, 0.08
        self.good_since = 0.0  # of the last accepted action, or of a person's visit
        self.faults: dict[str, float] = {}  # until when
        self.drift = np.zeros(3)  # m/s, of a hand that leads the arm
        self.shown, self.told = self.true, self.true
        self.velocity = np.zeros(3), np.zeros(3)
        self.sent_at = -math.inf
        self.glitch = np.zeros(3)
        self.auditor = Auditor(self)

    @property
    def now(self) -> float:
        return self.time + self.offset

    def step(self) -> None:
        self._begin_faults()
        self._pass(PERIOD)
        if self.chance.random() < 0.01:
            self._pass(self.chance.choice((0.02, 0.05, 0.08, 0.2, 0.5)))  # the gate's loop stalls
        self._tell_state()
        if self.time > self.good_since + 3.0:
            self._set_right()
        if self.chance.random() < (0.2 if self._has("frozen") else 0.04):
            self._plan()
        target = self.gate.tick(self.now)
        if target is not None:
            self.auditor.judge(target)
            self._obey(target)

    # --- what happens ---

    def _begin_faults(self) -> None:
        chance = self.chance
        if chance.random() < 0.006:
            name = chance.choice(self.kinds)
            longest = {"glitch": 0.1, "frozen": 8.0}.get(name, chance.choice((0.05, 0.3, 2.0)))
            self.faults[name] = self.time + chance.uniform(0, longest)
            self.drift = np.array([chance.uniform(-0.8, 0.8) for _ in range(3)])
            if name == "frozen":  # towards the nearest side, or the farthest
                heading = self.true.position - _MIDDLE
                self.drift = chance.choice((1, -1)) * heading / (np.linalg.norm(heading) + 1e-3)
            self.glitch = np.array([chance.choice((-1, 1)) * chance.uniform(0.5, 2), 0.1, 0.0])
        if chance.random() < 0.002:
            step = chance.choice((-20.0, -0.3, -0.04, 0.04, 0.3, 20.0))
            self.offset += step
            if abs(step) > CLOCK_TOLERANCE:
                self.auditor.forget()
        if chance.random() < 0.001:
            self.mode = chance.choice((1, 2, 2, 2, 3, 4, 5))
        elif chance.random() < 0.1:
            self.mode = 2
        if chance.random() < 0.001:
            self.gate.observe_wrench(chance.uniform(0, 60), chance.uniform(0, 10))
        if chance.random() < 0.001:
            self.gate.observe_collision(chance.random() < 0.5)
        if chance.random() < 0.02:
            self.gate.observe_intruders(["/teleop"] if chance.random() < 0.05 else [])
            self.gate.observe_planners(chance.choice((1,) * 20 + (2,)))
        if chance.random() < (0.05 if self.gate._stopped else 0.002):
            try:
                self.gate.resume()
            except Refused:
                pass
            else:
                self.auditor.looked_at()
        if chance.random() < 0.001:
            self.gate.leave()
        if chance.random() < 0.05:
            self.gate.enter()

    def _set_right(self) -> None:
        """A person comes, puts the arm where it should be and resumes."""
        self.good_since, self.mode = self.time, 2
        self.faults.clear()
        place = [self.chance.uniform(*ends) for ends in ((0.28, 0.72), (-0.37, 0.37), (0.05, 0.55))]
        self.true = self.shown = Pose(np.array(place), DOWN)
        for _ in range(80):  # which takes longer than an arm is doubted
            self._pass(PERIOD)
            self._tell_state()
        self.gate.observe_intruders([])
        self.gate.observe_planners(1)
        self.gate.enter()
        self.gate.observe_mode(2, self.now, self.now)
        self.gate.resume()

    def _has(self, fault: str) -> bool:
        return self.time < self.faults.get(fault, -1.0)

    def _pass(self, seconds: float) -> None:
        self.time += seconds
        if self.robot.command == "twist":
            left = max(0.0, min(seconds, self.sent_at + CONTROLLER_TIMEOUT - self.time + seconds))
            velocity, turning = self.velocity
            turned = multiply(from_vector(turning * left), self.true.rotation)
            self.true = Pose(self.true.position + velocity * left, turned)
        elif self._has("led"):
            position = np.clip(self.true.position + self.drift * seconds, -0.9, 0.9)
            self.true = Pose(position, self.true.rotation)

    def _obey(self, target) -> None:
        self.velocity, self.sent_at = (target.velocity, target.turn_velocity), self.time
        if self.robot.command == "pose" and not (self._has("led") or self._has("blocked")):
            way = target.pose.position - (0, 0, 0.005) - self.true.position
            rotation = target.pose.rotation
            turn = between(self.true.rotation, rotation)
            turned = multiply(from_vector(0.3 * turn), self.true.rotation)
            reach = min(1.0, 1.0 * PERIOD / max(1e-9, float(np.linalg.norm(0.3 * way))))
            self.true = Pose(self.true.position + 0.3 * reach * way, turned)

    def _tell_state(self) -> None:
        gate, now, chance = self.gate, self.now, self.chance
        if not self._has("frozen"):
            self.shown = self.true
        if not self._has("pose"):
            self._tell_pose()
        if self._has("reach"):
            try:
                Pose.of((chance.uniform(3.1, 400), 0.0, 0.3), DOWN)
            except ValueError as error:
                gate.observe_bad_pose(str(error))
            else:
                self.auditor.found.append("a pose beyond any reach was taken")
        if not self._has("fingers"):
            self.width = min(max(self.width + chance.uniform(-0.002, 0.002), 0.0), 0.08)
            gate.observe_fingers(self.width, now, now)
        if not self._has("camera"):
            gate.observe_image(now, now, now)
        if not self._has("mode"):
            gate.observe_mode(self.mode, now, now)

    def _tell_pose(self) -> None:
        stamp = self.now
        if self._has("late"):
            stamp -= self.chance.uniform(0, 0.5)
        if self._has("ahead"):
            self.gate.observe_pose(self._noisy(self.shown), self.now + 2.9, self.now)
            return
        if self._has("glitch"):
            lie = Pose(np.clip(self.shown.position + self.glitch, -3, 3), self.shown.rotation)
            self.gate.observe_pose(lie, stamp, self.now)
            return
        told = self._noisy(self.shown)
        self.gate.observe_pose(told, stamp, self.now)
        self.auditor.measured(told, stamp)

    def _noisy(self, pose: Pose) -> Pose:
        noise = np.array([self.chance.gauss(0, 3e-4) for _ in range(3)])
        return Pose(pose.position + noise, pose.rotation)

    def _plan(self) -> None:
        chance = self.chance
        action = [chance.uniform(-0.2, 0.2) for _ in range(6)] + [chance.uniform(-1, 1)]
        if self._has("frozen"):  # it goes on towards what it does not see come nearer
            action[:4] = [*(0.13 * self.drift), math.copysign(0.2, self.drift[0])]
        if chance.random() < 0.1:
            action[chance.randrange(7)] = chance.choice(_SPOILT)
        self.sequence += chance.choice((1,) * 12 + (0, -3, 50))
        delta = Delta(
            action=action,
            frame=chance.choice(("base",) * 20 + ("", "world")),
            image_stamp=self.now - chance.choice((0.0,) * 8 + (0.3, 1.5, 60.0, -5.0)),
            sequence=self.sequence,
            duration=chance.choice((0.0, 0.3, 0.5, 2.0) * 4 + (math.nan, -1.0)),
        )
        planners = [b"planner"] if chance.random() < 0.98 else [b"planner", b"other"]
        try:
            goal = self.gate.command(delta, planners, self.now)
        except Refused:
            return
        self.good_since = self.time
        if goal is not None:
            if not 0 <= goal.width <= self.robot.gripper.max_width:
                self.auditor.found.append(f"a hand goal of {goal.width} m")
            if chance.random() < 0.9:
                outcome = chance.choice(_OUTCOMES)
                result = HandResult(outcome=outcome, stalled=chance.random() < 0.3)
                self.gate.hand_finished(goal, result)


class Auditor:
    """Judges each target by the limits, the one before it, and what was measured."""

    def __init__(self, world: World) -> None:
        self._world, self._limits = world, world.robot.limits
        self.found: list[str] = []
        self.targets = 0
        self.farthest, self.fastest = 0.0, 0.0
        self._measured = world.true
        self._start = world.true.position  # of a twist arm, when somebody last looked at it
        self.forget()

    def forget(self) -> None:
        """The clock stepped: times before it and after it do not compare."""
        self._last, self._measured_at = None, -math.inf

    def measured(self, pose: Pose, stamp: float) -> None:
        if stamp > self._measured_at:
            self._measured, self._measured_at = pose, stamp

    def looked_at(self) -> None:
        """Somebody saw that a twist arm is where it should be, or moved it there."""
        world = self._world
        if world.robot.command == "twist":
            world.true, world.faults["frozen"] = world.shown, 0

    def judge(self, target) -> None:
        self.targets += 1
        (self._judge_pose if self._world.robot.command == "pose" else self._judge_twist)(target)
        self._last = target

    def _judge_pose(self, target) -> None:
        limits, position = self._limits, target.pose.position
        self._check_place(position, target.pose.rotation, 1e-6)
        away = float(np.linalg.norm(position - self._measured.position))
        self.farthest = max(self.farthest, away)
        # One message of noise may lie between what the gate and the auditor believe.
        if away > limits.max_step + limits.lag + 0.01:
            self._tell(f"target {away:.3f} m from the arm")
        if self._last is not None:
            way = float(np.linalg.norm(position - self._last.pose.position))
            gap = target.stamp - self._last.stamp
            restarted = float(np.linalg.norm(position - self._measured.position)) < 0.02
            if way > 2 * PERIOD * limits.speed * 1.001 and not restarted:
                self._tell(f"{way:.3f} m from one target to the next, {gap:.3f} s later")

    def _judge_twist(self, target) -> None:
        limits = self._limits
        speed = float(np.linalg.norm(target.velocity))
        self.fastest = max(self.fastest, speed)
        if speed > limits.speed * 1.001:
            self._tell(f"{speed:.3f} m/s")
        if self._last is not None:
            change = float(np.linalg.norm(target.velocity - self._last.velocity))
            if change > 2 * PERIOD * limits.acceleration * 1.01 and not _is_halt(target):
                self._tell(f"{change:.3f} m/s from one velocity to the next")
        self._check_stop(target)
        # Its own latency, and a stalled gate's last velocity, lie beyond the limits.
        slack = limits.speed * (CONTROLLER_TIMEOUT + 2 * PERIOD)
        self._check_place(self._world.true.position, self._world.true.rotation, slack)
        away = float(np.linalg.norm(self._world.true.position - self._measured.position))
        self.farthest = max(self.farthest, away)
        braking = limits.speed**2 / (2 * limits.acceleration)
        if away > limits.speed * 0.25 + limits.lag + braking + slack:
            self._tell(f"arm {away:.3f} m from where it is measured")

    def _check_stop(self, target) -> None:
        """From where the gate takes the arm to be, it can stop inside: or else it brakes."""
        limits, last, arm = self._limits, self._last, self._world.gate._arm.pose
        turn = target.turn_velocity
        before = (last.velocity, last.turn_velocity) if last else (np.zeros(3), np.zeros(3))
        for velocity, earlier, most, judge in (
            (target.velocity, before[0], limits.acceleration, self._leaves),
            (turn, before[1], limits.turn_acceleration, self._leans),
        ):
            speed, change = float(np.linalg.norm(velocity)), most * PERIOD
            if speed > max(0.0, float(np.linalg.norm(earlier)) - 0.99 * change):
                steps = int(speed / change)  # of braking
                braking = steps - change * steps * (steps + 1) / (2 * speed) if steps else 0.0
                judge(arm, velocity, PERIOD * (1 + braking))

    def _leaves(self, arm, velocity, seconds: float) -> None:
        end = arm.position + velocity * seconds
        out = (velocity > 0) & (end > np.add(self._limits.workspace_high, 1e-6))
        if (out | (velocity < 0) & (end < np.subtract(self._limits.workspace_low, 1e-6))).any():
            self._tell(f"on its way out of the workspace, to {end}")

    def _leans(self, arm, velocity, seconds: float) -> None:
        end = tilt(z_axis(multiply(from_vector(velocity * seconds), arm.rotation)))
        if end > max(self._limits.max_tilt, tilt(z_axis(arm.rotation))) + 1e-4:
            self._tell(f"on its way to a tilt of {end:.3f} rad")

    def _check_place(self, position, rotation, slack: float) -> None:
        limits = self._limits
        if (position < np.subtract(limits.workspace_low, slack)).any() or (
            position > np.add(limits.workspace_high, slack)
        ).any():
            self._tell(f"outside the workspace: {position}")
        turn_slack = slack and limits.turn_speed * slack / limits.speed
        if tilt(z_axis(rotation)) > limits.max_tilt + turn_slack + 1e-6:
            self._tell(f"tilted by {tilt(z_axis(rotation)):.3f} rad")

    def _tell(self, what: str) -> None:
        self.found.append(f"at {self._world.time:.2f} s: {what}")


def _is_halt(target) -> bool:
    return not target.velocity.any()


def attack(
    command: str, steps: int, seed: int, sought: str = "", kinds: Sequence[str] = FAULTS
) -> World:
    """The world after so many steps, or when the auditor has found what is sought."""
    world = World(hostile_robot(command), seed, kinds)
    for _ in range(steps):
        world.step()
        if sought and any(sought in what for what in world.auditor.found):
            break
    return world


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--command", choices=("pose", "twist"), default="pose")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    begin = time.monotonic()
    world = World(hostile_robot(arguments.command), arguments.seed)
    auditor, told = world.auditor, 0
    for _ in range(arguments.steps):
        world.step()
        for what in auditor.found[told:]:
            print(what, flush=True)
        told = len(auditor.found)
    values = world.gate.status(world.now).values
    counts = {name: values[name] for name in ("accepted", "refused", "let go")}
    print(
        f"{arguments.command}: {arguments.steps} steps, {auditor.targets} targets, "
        f"{counts}, farthest {auditor.farthest:.3f} m, "
        f"{len(auditor.found)} violations, {time.monotonic() - begin:.0f} s"
    )
    return bool(auditor.found)


if __name__ == "__main__":
    sys.exit(main())
