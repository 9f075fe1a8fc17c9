"""The built interfaces between two processes: a topic, a service, an action with cancel."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from control_msgs.action import GripperCommand
from rclpy.action import ActionClient
from rclpy.task import Future
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta, Latent
from vjepa_msgs.srv import ScoreActions

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.ros.spinning import ask, spinning_node, wait_for

PATIENCE = 20  # seconds: discovery on a busy machine


@pytest.fixture(scope="module")
def peer():
    """Another process; it must end on SIGINT, and with 0."""
    process = subprocess.Popen([sys.executable, Path(__file__).with_name("interfaces_peer.py")])
    yield process
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == 0


@pytest.fixture(scope="module")
def node():
    with spinning_node("asks") as node:
        yield node


def wait(future):
    return wait_for(future, PATIENCE)


def test_a_latent_arrives_whole(node, peer):
    arrived, received = threading.Event(), []
    node.create_subscription(Latent, "latent", lambda m: (received.append(m), arrived.set()), 1)
    assert arrived.wait(PATIENCE)
    latent = received[0]
    assert (latent.header.stamp.sec, latent.weights, latent.crop) == (42, "tiny-0123", "square")
    tokens = np.frombuffer(latent.data, "<f4").reshape(latent.rows * latent.cols, latent.width)
    np.testing.assert_array_equal(tokens, np.arange(24).reshape(6, 4))


def test_candidates_are_scored(node, peer):
    client = node.create_client(ScoreActions, "score_actions")
    assert client.wait_for_service(PATIENCE)
    actions = np.random.default_rng(0).random((64, 2, 7), np.float32)
    request = ScoreActions.Request(samples=64, horizon=2, actions=actions.ravel().tolist())
    request.image_stamp.sec = 7
    response = wait(client.call_async(request))
    assert response.success
    assert response.image_stamp.sec == 7
    np.testing.assert_allclose(response.energies, actions.sum((1, 2)), rtol=1e-5)


@pytest.fixture(scope="module")
def reach_goal(node, peer):
    client = ActionClient(node, ReachGoal, "reach_goal")
    assert client.wait_for_server(PATIENCE)
    yield client
    client.destroy()


def test_a_goal_is_reached_with_feedback(node, reach_goal):
    feedback = []

    def note(message):
        feedback.append(message.feedback)

    goal = ReachGoal.Goal(files=["above.png", "placed.png"], max_steps=5)
    handle = ask(node, reach_goal.send_goal_async, goal, note, timeout=PATIENCE)
    assert handle.accepted
    result = ask(node, handle.get_result_async, timeout=PATIENCE).result
    assert (result.outcome, result.steps) == (ReachGoal.Result.REACHED, 5)
    assert result.message == "reached placed.png"
    assert [f.step for f in feedback] == [1, 2, 3, 4, 5]


def test_a_goal_is_cancelled(node, reach_goal):
    moving = threading.Event()
    goal = ReachGoal.Goal(files=["far.png"], max_steps=10_000)
    handle = ask(node, reach_goal.send_goal_async, goal, lambda _: moving.set(), timeout=PATIENCE)
    assert moving.wait(PATIENCE)
    ask(node, handle.cancel_goal_async, timeout=PATIENCE)
    result = ask(node, handle.get_result_async, timeout=PATIENCE).result
    assert result.outcome == ReachGoal.Result.CANCELED
    assert 0 < result.steps < 10_000


def test_an_answer_is_heard_that_comes_before_the_request_is_noted(node, reach_goal, monkeypatch):
    def note_late():
        time.sleep(0.3)  # after the request was sent
        return Future()

    monkeypatch.setattr("rclpy.action.client.Future", note_late)
    goal = ReachGoal.Goal(files=["above.png"], max_steps=1)
    handle = ask(node, reach_goal.send_goal_async, goal, timeout=PATIENCE)
    assert ask(node, handle.get_result_async, timeout=PATIENCE).result.steps == 1


def test_a_delta_names_its_numbers_as_the_conventions_do():
    fields = list(EndEffectorDelta.get_fields_and_field_types())
    start = fields.index(ACTION_NAMES[0])
    assert tuple(fields[start : start + 7]) == ACTION_NAMES


def test_the_gripper_action_is_the_one_of_ros2_control():
    assert GripperCommand.Goal.get_fields_and_field_types() == {
        "command": "control_msgs/GripperCommand"
    }
    assert GripperCommand.Result.get_fields_and_field_types() == {
        "position": "double",
        "effort": "double",
        "stalled": "boolean",
        "reached_goal": "boolean",
    }
