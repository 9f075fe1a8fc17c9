"""`vjepa-ros demo` with all its processes, and what it leaves behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("vjepa_sim", reason="vjepa_sim is not here")
pytest.importorskip("rclpy")

from vjepa_msgs.msg import Plan, SceneTruth

from vjepa_gate.ros.spinning import spinning_node
from vjepa_ros.demo import film
from vjepa_ros.demo.performance import Performance, Witness, draw_goals
from vjepa_ros.demo.report import plot_search, verdict
from vjepa_ros.demo.settings import DemoSettings
from vjepa_ros.episodes.bag import read_bag
from vjepa_ros.episodes.library import open_episode, write_episode
from vjepa_ros.episodes.mp4 import Mp4
from vjepa_ros.images import decode_picture
from vjepa_ros.model.decoder import decoder_of
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.options import Options
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.stack import processes
from vjepa_ros.supervisor import Supervisor
from vjepa_sim.scene import Scene

PATIENCE = 280  # seconds
BAGS = Path(__file__).parents[1] / "data" / "bags"


@pytest.fixture
def demo():
    started = []

    def start(*arguments):
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "vjepa_ros.cli", "demo", *arguments],
                env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


@pytest.mark.parametrize("robot", ["sim", "franka_crisp"])
def test_a_reach_from_pictures_to_the_report(demo, tmp_path, robot):
    """By the kind robot, and by the twin of an FR3, with the YAML that is for the arm."""
    out = tmp_path / "shown"
    arguments = ("--task", "reach", "--goals", "single", "--scene", "4", "--robot", robot)
    process = demo(*arguments, "--out", str(out))
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said + (out / "nodes.log").read_text()
    assert "reach, scene 4\ngoal pictures: 1 in" in said
    step = r"^step \d+  sub-goal 1/1  energy 0\.\d+  moved \d\.\d\d m  \d+\.\d\d s a plan"
    assert re.search(step, said, re.MULTILINE), said
    distance = float(re.search(r"^done: .*\(distance (\d+\.\d) cm\)", said, re.MULTILINE)[1])
    assert distance <= 5  # what counts as reached

    film = Mp4.open(out / "film.mp4")
    assert film.width == 4 * 256  # camera, goal, latents, energy
    assert film.length > 15
    episode = read_bag(out / "bag").load()
    assert episode.task == "reach"
    assert np.ptp(episode.states[:, :3], axis=0).max() > 0.05  # the arm really moved
    page = (out / "report.html").read_text()
    assert "truth: done: tool 0.0" in page
    assert not re.search(r'(src|href)="?http', page)  # it needs nothing but itself
    assert [path.name for path in (out / "goals").iterdir()] == ["1_reached.png"]


def test_ctrl_c_ends_all(demo, tmp_path):
    out = tmp_path / "shown"
    process = demo("--task", "reach", "--goals", "single", "--out", str(out))
    end = time.monotonic() + PATIENCE
    children: list[int] = []
    while len(children) < 6:  # simulation, gate, recorder, encoder, predictor, planner
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        children = [int(child) for child in listed.split()]
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def test_pictures_and_simulation_show_the_same_scene(tmp_path):
    """The goals are drawn here, the arm moves there."""
    settings = DemoSettings(task="pick_place cup", scene=11)
    [sim, *_] = processes(Options(sim=True, task=settings.task, scene=settings.scene))
    with Supervisor([sim]), spinning_node("test_demo") as node:
        truth = Witness(node).newest_truth(lambda: False)
    with Scene() as scene:
        settings.make_task().start(scene, settings.scene)
        cup = scene.truth()["cup"]
    assert truth.task == settings.make_task().title
    [told] = [thing for thing in truth.objects if thing.name == "cup"]
    position = told.pose.position
    assert (position.x, position.y, position.z) == pytest.approx(cup.position, abs=2e-3)


def test_goals_are_pictures_in_order(tmp_path):
    goals = draw_goals(DemoSettings(goals="paper", scene=4), tmp_path / "goals")
    names = [path.name for path in goals.pictures]
    assert names == ["1_closed.png", "2_above_place.png", "3_released.png"]
    shown = [decode_picture(path.read_bytes()) for path in goals.pictures]
    assert all(picture.shape == (256, 256, 3) for picture in shown)
    assert (shown[0] != shown[1]).any()


def test_a_failure_is_told_as_one():
    truth = SceneTruth(success=False, reason="object not released", distance=0.123)
    performance = Performance(result=None, plans=[Plan()], truth=truth, pictures=())
    assert verdict(performance) == "not done: object not released (distance 12.3 cm)"


def test_plans_that_were_not_searched_for_do_not_hinder_the_plot():
    """As where the hand goes straight on."""
    plans = [
        Plan(iterations=count, energy_best=falling, energy_elites=falling, energy_mean=falling)
        for count in (1, 4)
        for falling in [np.linspace(0.5, 0.1, count, dtype=np.float32)]
    ]
    truth = SceneTruth(success=True)
    shown = plot_search(Performance(result=None, plans=plans, truth=truth, pictures=()))
    assert "svg" in str(shown.picture)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"task": "juggle"}, "no task 'juggle', expected one of reach"),
        ({"task": "grasp cube spot cup"}, "--task .*: expected a name, an object and a place"),
        ({"goals": "many"}, "--goals many: expected one of single, paper, dense"),
    ],
)
def test_what_there_is_not_is_refused(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        DemoSettings(**given)


def test_a_folder_that_is_there_is_kept(demo, tmp_path):
    process = demo("--out", str(tmp_path))
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert f"--out {tmp_path}: is there already: name a new folder" in said


def test_what_is_imagined_is_drawn_where_frames_are_there(tmp_path):
    """A machine that was too slow for a while has left some out."""
    reader = open_episode(BAGS / "reach" / "episode_000000")
    left = [step for step in range(len(reader)) if step not in (4, 5)]
    write_episode(tmp_path / "bag", "bag", reader.select(left))
    loaded = load_world_model(SHIPPED_WEIGHTS)
    decoder = decoder_of(SHIPPED_WEIGHTS, loaded.identity)
    assert len(film._imagined(reader.path, loaded, decoder)) == 3
    assert 0 < len(film._imagined(tmp_path / "bag", loaded, decoder)) < 3
