"""The hand's actions over ROS: franka_gripper's, by a server with its names and semantics."""

import dataclasses

import pytest

franka = pytest.importorskip("franka_msgs.action", reason="franka_msgs is not here")

from rclpy.action import ActionServer  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from vjepa_gate.hand import make_hand  # noqa: E402
from vjepa_gate.robots import load_robot  # noqa: E402
from vjepa_gate.ros.hand_client import make_hand_client  # noqa: E402
from vjepa_gate.ros.spinning import spinning_node, wait_for  # noqa: E402

GRIPPER = dataclasses.replace(
    load_robot("sim").gripper, kind="franka_hand", action="franka_gripper"
)
OBJECT = 0.05


class FrankaGripper:
    """Closes until an object stops it; outside epsilon of what was expected it aborts."""

    def __init__(self, node):
        self.width, self.homed, self.heard = GRIPPER.max_width, True, []
        self.servers = [
            ActionServer(node, franka.Grasp, "franka_gripper/grasp", self._grasp),
            ActionServer(node, franka.Move, "franka_gripper/move", self._move),
            ActionServer(node, franka.Homing, "franka_gripper/homing", self._home),
        ]
        node.create_service(Trigger, "franka_gripper/stop", self._stop)

    def _grasp(self, goal):
        self.heard.append("grasp")
        self.width, asked = OBJECT, goal.request
        low, high = asked.width - asked.epsilon.inner, asked.width + asked.epsilon.outer
        good = low < self.width < high and asked.force > 0 and asked.speed > 0
        (goal.succeed if good else goal.abort)()
        return franka.Grasp.Result(success=good, error="" if good else "outside epsilon")

    def _move(self, goal):
        self.heard.append("move")
        if self.homed:
            self.width = goal.request.width
            goal.succeed()
        else:
            goal.abort()
        return franka.Move.Result(success=self.homed, error="" if self.homed else "not homed")

    def _home(self, goal):
        self.heard.append("homing")
        self.homed, self.width = True, GRIPPER.max_width
        goal.succeed()
        return franka.Homing.Result(success=True)

    def _stop(self, request, response):
        self.heard.append("stop")
        response.success = True
        return response


class Rig:
    def __init__(self, node, gripper, wait_until):
        self.hand = make_hand(GRIPPER, home=True)
        self.node, self.gripper, self.wait_until = node, gripper, wait_until
        self.told = []
        self.client = make_hand_client(node, GRIPPER, self._tell)
        self.now = 0.0

    def _tell(self, goal, result):
        self.hand.observe(self.gripper.width)
        self.hand.finished(goal, result)
        self.told.append(result)

    def plan(self, change):
        self.now += 1
        return self._carry_out(self.hand.plan(change, 0.5, self.now))

    def prepare(self):
        self.now += 1
        self.hand.observe(self.gripper.width)
        return self._carry_out(self.hand.due(self.now))

    def _carry_out(self, goal):
        if goal is not None:
            before = len(self.told)
            served(self.node, self.client.send, goal)
            self.wait_until(lambda: len(self.told) > before, "told")
        return self.told[-1] if goal else None


def served(node, call, *arguments):
    """In the thread that serves the node, as the gate does.

    Sent by another one, a goal whose answer comes at once waits for ever; destroyed, it aborts.
    """
    wait_for(node.executor.create_task(call, *arguments), timeout=20)


@pytest.fixture
def rig(wait_until):
    with spinning_node("hand_bench") as node:
        gripper = FrankaGripper(node)
        rig = Rig(node, gripper, wait_until)
        client = rig.client
        actions = client._grasp, client._move, client._home
        ready = [action._client.server_is_ready for action in actions]
        wait_until(lambda: all(one() for one in ready), "servers")
        wait_until(client._stop.service_is_ready, "stop")
        yield rig
        served(node, client.destroy)
        for server in gripper.servers:
            server.destroy()


def test_five_closings_are_one_grasp_and_an_opening_stops_first(rig):
    for _ in range(5):
        rig.plan(0.6)
    assert rig.gripper.heard == ["grasp"]
    assert rig.hand.doing() == "holding 50 mm"
    assert rig.plan(-0.6).outcome == "succeeded"
    assert rig.gripper.heard == ["grasp", "stop", "move"]
    assert rig.gripper.width == GRIPPER.max_width


def test_a_hand_that_was_not_homed_is_told(rig):
    rig.gripper.homed = False
    rig.plan(0.6)
    assert rig.plan(-0.6).outcome == "aborted"
    assert "not homed; the hand is not homed: with nothing" in rig.hand.trouble(rig.now)


def test_a_hand_that_was_not_homed_is_homed_before_any_action(rig):
    rig.gripper.homed = False
    assert rig.prepare().outcome == "aborted"
    assert rig.hand.busy() == "the hand is homed first, if it was not"
    assert rig.prepare().outcome == "succeeded"
    assert rig.prepare() is None
    assert rig.gripper.heard == ["move", "homing"]
    assert (rig.hand.busy(), rig.hand.trouble(rig.now)) == ("", "")


def test_without_a_server_it_is_refused(wait_until):
    with spinning_node("hand_bench") as node:
        told = []
        client = make_hand_client(node, GRIPPER, lambda goal, result: told.append(result))
        client.send(make_hand(GRIPPER).plan(0.6, 0.6, 0.0))
        assert told[0].outcome == "refused"
        assert told[0].why == "no action server franka_gripper/grasp"
        served(node, client.destroy)
