"""A shipped bag through the real nodes, in processes of their own, and the same offline."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sensor_msgs.msg import Image

from vjepa_gate.errors import UserError
from vjepa_gate.isolation import reserve_domain
from vjepa_gate.robots import load_robot
from vjepa_gate.ros.spinning import spinning_node
from vjepa_gate.settings import Parser, add_options, option
from vjepa_ros.commands import replay_graph
from vjepa_ros.episodes.library import open_episode
from vjepa_ros.options import NODES, Options
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.replay.agreement import Offline
from vjepa_ros.replay.graph import describe, graph_processes, replay_through_graph
from vjepa_ros.replay.player import Player
from vjepa_ros.supervisor import Supervisor

BAG = Path(__file__).parents[1] / "data/bags/reach/episode_000000"
FRAMES = 11
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def options(small_weights):
    """Some steps are planned ahead and corrected, others anew."""
    return Options(
        weights=str(small_weights()), device="cpu", samples=16, iterations=2, horizon=2, seed=3,
        overlap=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def stack(options):
    with Supervisor(graph_processes(options)) as supervisor:
        yield supervisor


@pytest.fixture(scope="module")
def answered(stack, options, tmp_path_factory):
    """The bag as fast as the nodes follow, and beside it one that cannot be read."""
    cut = tmp_path_factory.mktemp("bags") / "cut.mcap"
    cut.write_bytes((BAG / f"{BAG.name}.mcap").read_bytes()[:5000])
    return replay_through_graph([BAG, cut], options, rate=0, start=False)


def test_every_frame_is_answered_and_as_offline(answered):
    (episode,) = answered.episodes
    assert episode.frames == FRAMES
    assert episode.planned >= FRAMES - 1  # the last one is the goal: there is nothing to plan
    assert episode.shown - episode.dropped >= FRAMES
    assert episode.agreement["latents"].compared == FRAMES
    assert episode.agreement["actions (m)"].compared >= FRAMES - 1
    assert episode.agrees, describe(episode)


def test_latencies_and_rates_are_those_of_the_graph(answered):
    (episode,) = answered.episodes
    latent, delta = episode.image_to_latent, episode.image_to_delta
    assert 0 < latent.median <= latent.p95
    assert latent.median < delta.median <= delta.p95
    for topic, least in (
        ("camera/image_raw", FRAMES),
        ("latent", FRAMES),
        ("ee_delta", FRAMES - 1),
        ("plan", FRAMES - 1),
        ("franka_robot_state_broadcaster/current_pose", FRAMES),
        ("franka_gripper/joint_states", FRAMES),
    ):
        assert episode.rates[topic] >= (least - 0.5) / episode.seconds, topic


def test_what_cannot_be_read_is_told_apart_and_the_rest_is_json(answered):
    (broken,) = answered.broken
    assert "cut.mcap" in broken.reason
    found = json.loads(answered.to_json())
    assert found["rate"] == 0
    assert found["seed"] == 3
    assert found["planner"]["samples"] == 16
    assert found["episodes"][0]["agreement"]["latents"]["within"] == FRAMES
    assert "image to delta" in describe(answered.episodes[0])


def test_the_launch_file_tells_the_command_the_same_options():
    chosen = {"planner": "paper", "solver": "mppi", "samples": 90, "rules": (), "patience": None}
    options = Options(weights="w.safetensors", robot="arm.yaml", axes="a.yaml", seed=5, **chosen)
    words = replay_graph.command_line(Path("bag"), options, rate=0.0, json=Path("graph.json"))
    assert words[:4] == ["replay", "bag", "--graph", "--attach"]
    parser = Parser()
    parser.add_argument("sources")
    for name in ("graph", "attach", "composed"):
        parser.add_argument(option(name), action="store_true")
    for name in ("rate", "json"):
        parser.add_argument(option(name))
    for kind in NODES["planner"]:
        add_options(parser, kind)
    args = parser.parse_args(words[1:])
    assert (args.rate, args.json) == ("0.0", "graph.json")
    told = replay_graph.options_of(args)
    assert told.of("planner") == options.of("planner") | {"device": "auto"}


def test_settings_of_the_planner_reach_its_node(small_weights):
    options = Options(weights=small_weights(), planner="notebook", samples=20, rules=("reach",))
    (planner,) = (one for one in graph_processes(options) if one.name == "planner")
    assert planner.parameters["planner"] == "notebook"
    assert planner.parameters["samples"] == 20
    assert planner.parameters["rules"] == ["reach"]
    assert planner.parameters["max_image_age"] == 60.0  # no plan is thrown away


def test_the_library_plans_as_the_node(small_weights):
    """With the planner that belongs to the weights, and what was given instead."""
    weights = small_weights()
    config = Offline(Options(weights=weights, samples=20)).planner.config
    assert config == replace(PLANNERS["tiny"], samples=20)
    config = Offline(Options(weights=weights, planner="paper", robot="sim")).planner.config
    assert config == PLANNERS["paper"]


def test_the_command_brings_up_the_nodes_itself_and_ends_them(options, tmp_path):
    out = tmp_path / "graph.json"
    words = (
        "replay",
        BAG,
        "--graph",
        "--rate",
        0,
        "--weights",
        options.given["weights"],
        "--json",
        out,
    )
    chosen = ("--samples", 16, "--iterations", 2, "--device", "cpu")
    done = subprocess.run(
        [sys.executable, "-m", "vjepa_ros.cli", *map(str, words + chosen)],
        env=os.environ | {"ROS_DOMAIN_ID": str(reserve_domain())},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (episode,) = json.loads(out.read_text())["episodes"]
    assert episode["planned"] >= FRAMES - 1
    assert episode["agreement"]["latents"]["within"] == FRAMES


def test_at_a_rate_of_its_own_nothing_waits(stack, answered, options):
    """Twelve frames in 0.7 s: what the nodes miss is counted, what they say is still right."""
    found = replay_through_graph([BAG], options, rate=4.0, start=False)
    (episode,) = found.episodes
    assert episode.shown == FRAMES
    assert 0 <= episode.dropped < FRAMES
    assert episode.planned <= FRAMES
    latents = episode.agreement["latents"]
    assert latents.compared == FRAMES - episode.dropped
    assert latents.whole


def test_another_camera_in_the_graph_is_refused(stack, options):
    robot = load_robot(options.value("planner", "robot"))
    with spinning_node("player") as node, spinning_node("other_camera") as other:
        player = Player(node, robot, check=lambda: None)
        player.wait_for_stack()
        other.create_publisher(Image, robot.topics.camera.name, 1)
        seen = threading.Event()

        def look():
            if node.count_publishers(robot.topics.camera.name) > 1:
                seen.set()

        node.create_timer(0.05, look)
        assert seen.wait(PATIENCE)
        with pytest.raises(UserError, match=r"camera/image_raw has 1 other publisher.*DOMAIN"):
            player.play(reader=None, rate=1.0, checked=0)


def test_a_latent_or_an_action_that_differs_is_told(stack, options):
    reader = open_episode(BAG)
    with spinning_node("player") as node:
        player = Player(node, load_robot(options.value("planner", "robot")), check=lambda: None)
        player.wait_for_stack()
        said = player.play(reader, rate=0, checked=6)
    assert sorted(said.latents) == list(range(6))
    offline = Offline(options)
    assert all(one.whole for one in offline.compare(reader, said).values())

    said.latents[3] += 0.01
    plan = next(plan for plan in said.plans if plan.step == 4)
    plan.action[1] += 0.002  # metres
    plan.action[6] += 0.1
    found = offline.compare(reader, said)
    assert [one.compared - one.within for one in found.values()] == [1, 0, 1, 1]
    assert found["actions (m)"].largest == pytest.approx(0.002, abs=1e-4)
