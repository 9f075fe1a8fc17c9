"""The planner's node goes to one picture by sub-goals: shown, approved, or refused."""

import threading
from dataclasses import dataclass

import pytest
import torch
from planner_client import PATIENCE, SEARCH, Client, Result
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger
from sure_proposer import sure_proposer

from vjepa_gate.ros.spinning import ask
from vjepa_ros.images import compressed_to_rgb
from vjepa_ros.nodes.qos import GOALS
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.subgoals import explain, way_planner
from vjepa_ros.planning.subgoals.proposer import (
    ProposerSource,
    save_proposer,
)
from vjepa_ros.planning.subgoals.pursuit import PursuitConfig
from vjepa_ros.planning.subgoals.source import Proposal


@pytest.fixture(scope="session")
def proposer(weights, tmp_path_factory):
    """Of the small weights, untrained; it proposes two moves of the fingers, and is sure of it."""
    torch.manual_seed(0)
    net = sure_proposer(width=48, tokens=16)
    path = tmp_path_factory.mktemp("proposer") / "net.safetensors"
    save_proposer(path, net, load_world_model(weights).identity, {})
    return str(path)


@pytest.fixture
def client(bench, camera, picture):
    bench.gate = "planner"
    client = Client(bench, camera, picture)
    client.ways = []
    bench.node.create_subscription(CompressedImage, "way/compressed", client.ways.append, GOALS)
    yield client
    client.action.destroy()


@pytest.fixture
def credulous(monkeypatch):
    """Whatever is proposed is gone: nobody has trained these weights."""
    monkeypatch.setattr(explain, "_SURE", -1.0)
    monkeypatch.setattr(explain, "_NEARER", float("inf"))


def start(start_nodes, composed: bool, proposer: str, **parameters):
    given = SEARCH | {"subgoals": proposer} | parameters
    if composed:
        return start_nodes("encoder", "predictor", "planner", **given)
    return [start_nodes(name, **given)[0] for name in ("encoder", "predictor", "planner")]


def test_a_picture_that_is_not_understood_is_refused(client, start_nodes, proposer, monkeypatch):
    monkeypatch.setattr(explain, "_SURE", 2.0)
    start(start_nodes, True, proposer)
    result = client.result(client.ask())[1]
    assert result.outcome == Result.FAILED
    assert "staying does" in result.message or "is not understood" in result.message
    assert client.deltas == []


@pytest.mark.parametrize("composed", [True, False])
def test_the_way_is_shown_and_gone_once_somebody_says_yes(
    client, start_nodes, proposer, bench, wait_until, credulous, composed
):
    start(start_nodes, composed, proposer, approve=True)
    handle = client.ask(max_steps=2)
    waiting = "waiting for a yes: call /planner/approve"
    wait_until(lambda: any(waiting in said.message for said in client.feedback), waiting)
    wait_until(lambda: client.ways, "the way")
    assert compressed_to_rgb(client.ways[0]).shape[1] > 3 * 160
    assert not threading.Event().wait(0.5)
    assert client.deltas == []

    yes = bench.node.create_client(Trigger, "planner/approve")
    assert yes.wait_for_service(PATIENCE)
    assert ask(bench.node, yes.call_async, Trigger.Request(), timeout=PATIENCE).success
    result = client.result(handle)[1]
    assert (result.outcome, result.steps) == (Result.OUT_OF_STEPS, 2), result.message
    assert any("key frame" in said.message for said in client.feedback)
    wait_until(lambda: len(client.plans) == len(client.deltas) == 2, "two plans")


def test_several_pictures_are_planned_to_where_none_is_understood(
    client, start_nodes, proposer, monkeypatch
):
    monkeypatch.setattr(explain, "_SURE", 2.0)
    start(start_nodes, True, proposer)
    result = client.result(client.ask(2, 3, max_steps=1))[1]
    assert result.outcome == Result.OUT_OF_STEPS


@pytest.mark.parametrize(("weights", "proposes"), [("objects", True), ("tiny", False)])
def test_shipped_weights_by_their_names(start_nodes, weights, proposes):
    [planner] = start_nodes("planner", weights=weights)
    assert (planner._source is not None) is proposes


def test_a_way_that_begins_in_mid_task_is_shown(
    client, start_nodes, proposer, bench, wait_until, credulous, monkeypatch
):
    """What was taken for a reach at first."""
    knows = ProposerSource.propose
    none = Proposal(phase=0, positions=torch.empty(0, 3), closedness=torch.empty(0), confidence=1.0)
    monkeypatch.setattr(
        ProposerSource, "propose", lambda *seen: knows(*seen) if client.deltas else [none]
    )
    monkeypatch.setattr(ProposerSource, "disagreement", lambda *_: 2.0)
    start(start_nodes, True, proposer, patience=2)
    handle = client.ask(max_steps=0)
    wait_until(lambda: client.deltas, "an action")
    assert client.ways == []
    wait_until(lambda: client.ways, "the way", lambda: client.feedback[-1].message)
    ask(bench.node, handle.cancel_goal_async, timeout=PATIENCE)
    assert client.result(handle)[1].outcome == Result.CANCELED


@dataclass(frozen=True, kw_only=True)
class Hasty(PursuitConfig):
    tries: int = 0
    patience: int = 1


def test_of_a_way_that_stalls_nobody_says_that_sub_goals_would_help(
    client, start_nodes, proposer, credulous, monkeypatch
):
    monkeypatch.setattr(way_planner, "PursuitConfig", Hasty)
    monkeypatch.setattr(ProposerSource, "disagreement", lambda *_: 2.0)
    start(start_nodes, True, proposer)
    result = client.result(client.ask(max_steps=0))[1]
    assert result.outcome == Result.STALLED
    assert result.message.endswith("does not agree with it, after 0 more tries")
