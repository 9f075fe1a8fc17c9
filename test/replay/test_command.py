"""`vjepa-ros replay` from its arguments to its exit code, on the shipped recordings."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from vjepa_gate.errors import UserError
from vjepa_gate.settings import option, read_options, settings_of
from vjepa_ros import cli
from vjepa_ros.commands import replay_graph
from vjepa_ros.commands.settings.planning import AnyReplay, OfflineReplay
from vjepa_ros.commands.settings.planning import Replay as Settings
from vjepa_ros.model.checkpoints import open_checkpoint
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.axes import Axes, write_axes
from vjepa_ros.planning.choice import planner_of
from vjepa_ros.planning.config import PLANNERS, PlannerConfig
from vjepa_ros.replay.results import Replay, read_replay
from vjepa_ros.replay.runs import named_episodes

BAGS = Path(__file__).parents[1] / "data" / "bags"
REACH = BAGS / "reach"
REAL_PAIR = Path(__file__).parents[3] / "shared" / "data" / "franka_example_traj.npz"
FAST = ("--samples", 8, "--iterations", 1, "--plan-every", 4, "--workers", 1)


def run(*words):
    return cli.run(["replay", *map(str, words)])


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    path = tmp_path_factory.mktemp("replay") / "reach.json"
    assert run(REACH, *FAST, "--json", path) == 0
    return path


@pytest.fixture
def cut_off(tmp_path):
    """The shipped bag of a reach, one cut off in its middle, and a folder that holds none."""
    for name in ("whole", "cut"):
        shutil.copytree(REACH / "episode_000000", tmp_path / "bags" / name)
    file = next((tmp_path / "bags" / "cut").glob("*.mcap"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return tmp_path / "bags"


def test_everything_is_measured_and_written(result):
    found = read_replay(result)
    (episode,) = found.episodes
    assert (episode.name, episode.task, episode.steps) == ("episode_000000", "reach", 11)
    assert episode.frames == list(range(11))
    assert [len(row) for row in episode.prediction.model] == [10, 9, 8, 7]
    assert episode.plan.steps == [0, 4, 8]
    assert episode.clocks.frame_period == pytest.approx(0.25, abs=1e-6)
    assert episode.clocks.stamped == episode.clocks.nominal
    assert len(episode.tracking.turn_deg) == 10
    assert found.settings.planner["samples"] == 8
    assert found.figures == pytest.approx(episode.figures)
    assert found.figures["prediction.1.ratio_to_copy_last"] < 1


def test_bits_do_not_depend_on_who_does_the_work(result, tmp_path):
    """Two processes, each with its own weights, and this one."""
    shutil.copytree(REACH, tmp_path / "bags" / "b")
    shutil.copytree(REACH, tmp_path / "bags" / "a")
    again = tmp_path / "again.json"
    assert run(tmp_path / "bags", *FAST, "--workers", 2, "--json", again) == 0
    (alone,) = read_replay(result).episodes
    both = read_replay(again).episodes
    assert [one.name for one in both] == ["a/episode_000000", "b/episode_000000"]
    for one in both:
        assert (one.prediction, one.plan, one.figures) == (
            alone.prediction,
            alone.plan,
            alone.figures,
        )


def test_broken_bags_are_named_and_the_others_scored(cut_off, tmp_path, capsys):
    out = tmp_path / "out.json"
    assert run(cut_off, "--no-plan", "--workers", 1, "--json", out) == 2
    found = read_replay(out)
    assert [episode.name for episode in found.episodes] == ["whole"]
    assert [broken.name for broken in found.broken] == ["cut"]
    assert str(cut_off / "cut") in found.broken[0].reason
    printed = capsys.readouterr().out
    assert "1 could not be scored" in printed
    assert f"BROKEN  {cut_off / 'cut'}: " in printed


def test_a_folder_without_recordings_is_broken_too(tmp_path, capsys):
    assert run(tmp_path, "--no-plan", "--workers", 1) == 2
    assert "expected an .npz, a bag" in capsys.readouterr().out


def test_outside_the_gate_is_exit_1_and_says_where(cut_off, tmp_path, capsys):
    gate = tmp_path / "gate.yaml"
    gate.write_text("episode: {prediction.1.error: {max: 0.0001}}")
    assert run(cut_off, "--no-plan", "--workers", 1, "--gate", gate) == 1  # though one is broken
    printed = capsys.readouterr().out
    assert "OUTSIDE whole, step " in printed
    assert "prediction.1.error of the episode is 0." in printed
    assert "bound max 0.0001" in printed


def test_a_run_keeps_the_gate_that_it_wrote(tmp_path, capsys):
    gate = tmp_path / "gate.yaml"
    words = (REACH, "--no-plan", "--workers", 1)
    assert run(*words, "--write-gate", gate) == 0
    assert run(*words, "--gate", gate) == 0
    assert f"inside every bound of {gate}" in capsys.readouterr().out


def test_another_step_period_takes_other_frames(tmp_path):
    out = tmp_path / "out.json"
    words = (REACH, "--no-plan", "--workers", 1, "--json", out, "--step-period", 0.5)
    assert run(*words) == 0
    (episode,) = read_replay(out).episodes
    assert episode.frames == [0, 2, 4, 6, 8, 10]
    assert (episode.clocks.stamped.steps, episode.clocks.nominal.steps) == (5, 10)
    assert episode.clocks.stamped.step_cm > episode.clocks.nominal.step_cm

    assert run(*words, "--clock", "nominal") == 0
    assert read_replay(out).episodes[0].frames == list(range(11))


def test_two_runs_are_told_apart(result, tmp_path, capsys):
    before = read_replay(result)
    worse = json.loads(before.to_json())
    for row in worse["episodes"][0]["prediction"]["model"]:
        row[:] = [1.5 * error for error in row]
    worse["settings"]["seed"] = 9
    after = tmp_path / "after.json"
    after.write_text(Replay.from_json(json.dumps(worse)).to_json())
    assert run("diff", result, after) == 0
    printed = capsys.readouterr().out
    assert "seed: 0 -> 9" in printed
    assert "1 episodes in both" in printed
    assert "WORSE" in next(line for line in printed.splitlines() if "prediction.1.error" in line)

    gate = tmp_path / "gate.yaml"
    gate.write_text("diff: {prediction.1.error: {max: 0.0}}")
    assert run("diff", result, after, "--gate", gate) == 1
    assert "OUTSIDE prediction.1.error moved by +0." in capsys.readouterr().out
    assert run("diff", result, result, "--gate", gate) == 0
    gate.write_text("diff: {surprise.outliers: {max: 0.0}, plan.gripper_moves_agreement: {min: 0}}")
    assert run("diff", result, result, "--gate", gate) == 1  # nothing moved the fingers here
    gate.write_text("run: {prediction.1.error: {max: 0.0}}")
    with pytest.raises(UserError, match="found no section `diff`"):
        run("diff", result, result, "--gate", gate)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--weights", "nowhere.safetensors"), "nowhere.safetensors: .*No such file"),
        (("--workers", 0), r"--workers is 0, expected a whole number in \[1, "),
        (("--plan-every", 0), "--plan-every is 0, expected a whole number of at least 1"),
        (("--step-period", 0), "--step-period is 0, expected a number in"),
        (("--seed=-1",), "--seed is -1, expected a whole number of at least 0"),
        (("--ahead", 9), "ahead is 9, but tiny-[0-9a-f]+ was trained for 4"),
        (("--horizon", 9), "^horizon is 9, but tiny"),
        (("--plan-horizon", 9), "--plan-horizon is unknown, expected --horizon"),
        (("--json", "no/such/folder/out.json"), "--json .*expected a file in a folder"),
        (("--pictures", "here"), "--pictures does nothing without --html"),
        (("--no-plan", "--samples", 9), "--samples does nothing beside --no-plan"),
        (("--rate", 2), "--rate does nothing without --graph"),
        (("--gate", "nowhere.yaml"), "nowhere.yaml: "),
        (("--axes", "nowhere.yaml"), "nowhere.yaml: cannot be read: No such file"),
        (("--planner", "paper", "--samples", 5), "elites"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_replayed(words, complaint):
    with pytest.raises(UserError, match=complaint):
        run(REACH, *words)


def test_axes_of_other_weights_are_refused(tmp_path):
    about = {"residual": 0.0, "r2": 1.0, "robot": "sim", "camera": "camera", "date": "today"}
    axes = Axes(matrix=((1.0, 0.0), (0.0, 1.0)), moves=40, weights="other-0", **about)
    write_axes(tmp_path / "axes.yaml", axes)
    with pytest.raises(UserError, match="axes were found with the weights other-0"):
        run(REACH, "--axes", tmp_path / "axes.yaml")


def test_a_diff_needs_two_results(tmp_path):
    with pytest.raises(UserError, match="found 1 results, expected BEFORE and AFTER"):
        run("diff", "a.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(UserError, match=r"a\.json: no result of a replay"):
        run("diff", tmp_path / "a.json", tmp_path / "a.json")


def test_names_are_paths_below_what_the_sources_share(tmp_path):
    reach, grasp = REACH / "episode_000000", BAGS / "grasp"
    assert list(named_episodes([REACH]).values()) == ["episode_000000"]
    assert list(named_episodes([reach]).values()) == ["episode_000000"]
    assert list(named_episodes([reach, grasp]).values()) == [
        "reach/episode_000000",
        "grasp/episode_000000",
        "grasp/episode_000001",
    ]
    assert named_episodes([grasp, grasp]) == named_episodes([grasp])
    assert list(named_episodes([tmp_path / "nothing"]).values()) == ["nothing"]


def test_no_ros_is_needed():
    """Nor the simulation: a machine of a CI has neither."""
    code = (
        "import sys\n"
        "for name in ('rclpy', 'vjepa_sim', 'pybullet'): sys.modules[name] = None\n"
        "from vjepa_ros.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = ("replay", str(REACH), "--no-plan", "--workers", "1", "--ahead", "1")
    found = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, env=os.environ
    )
    assert found.returncode == 0, found.stderr
    assert "1 episodes, 11 steps" in found.stdout


@pytest.mark.skipif(not REAL_PAIR.exists(), reason=f"{REAL_PAIR} is not here")
def test_the_real_pair_replays(tmp_path):
    out = tmp_path / "pair.json"
    assert run(REAL_PAIR, *FAST, "--json", out) == 0
    (episode,) = read_replay(out).episodes
    assert (episode.steps, episode.plan.steps, episode.tracking) == (2, [0], None)
    assert episode.clocks.stamped.step_cm == pytest.approx(12.88, abs=0.01)


def test_the_planner_is_the_one_that_the_weights_name(small_weights, tmp_path):
    out, quick = tmp_path / "out.json", ("--samples", 10, "--iterations", 1, "--workers", 1)
    named, unnamed = small_weights(planner="paper"), small_weights(planner=None)
    assert planner_of(open_checkpoint(unnamed), "cpu") != "tiny"
    for path, name in ((named, "paper"), (unnamed, planner_of(open_checkpoint(unnamed), "cpu"))):
        assert run(REACH, "--weights", path, *quick, "--json", out) == 0
        expected = replace(PLANNERS[name], samples=10, iterations=1)
        found = read_replay(out).settings.planner
        assert found == json.loads(json.dumps({"name": name, **asdict(expected)}))
        assert found["rules"] == []


OFFLINE = sorted(set(settings_of(OfflineReplay)) - set(settings_of(AnyReplay)))


def values(names):
    """Each with another value than it has, as words."""
    known = settings_of(Settings)
    for name in names:
        if known[name].hint is bool:
            yield name, option(name if not known[name].default else f"no_{name}")
        else:
            yield name, f"{option(name)}={known[name].choices[-1] if known[name].choices else 2}"


@pytest.mark.parametrize(("name", "word"), list(values(OFFLINE)))
def test_what_only_the_offline_replay_does_is_refused_beside_graph(name, word):
    told = word.partition("=")[0].replace("--no-plan", "--plan")
    with pytest.raises(UserError, match=f"^{told} does nothing beside --graph"):
        run(REACH, "--graph", word)


def test_what_is_told_reaches_the_graph(monkeypatch):
    got = []
    monkeypatch.setattr(replay_graph, "run", lambda args: got.append(args) or 0)
    words = ("--planner", "paper", "--horizon", 2, "--max-step", 0.05, "--rules", "none")
    assert run(REACH, "--graph", "--rate", 0, "--composed", *words) == 0
    (args,) = got
    assert (args.sources, args.rate, args.composed, args.seed) == ((REACH,), 0, True, 0)
    assert (args.planner, args.weights) == ("paper", SHIPPED_WEIGHTS)
    given = {"horizon": 2, "max_step": 0.05, "rules": ()}
    assert read_options(PlannerConfig, args) == given
