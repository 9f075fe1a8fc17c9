import shutil

import cv2
import numpy as np
import pytest

from vjepa_gate.errors import UserError
from vjepa_gate.settings import settings_of
from vjepa_ros import cli
from vjepa_ros.commands import opening
from vjepa_ros.commands.settings.bases import Opening
from vjepa_ros.commands.settings.episodes import Collect, ConvertEpisodes
from vjepa_ros.episodes.bag import read_bag
from vjepa_ros.episodes.droid import write_droid
from vjepa_ros.episodes.episode import Episode
from vjepa_ros.episodes.library import LAYOUTS
from vjepa_ros.episodes.npz import write_npz


def run(*arguments):
    return cli.run(["episodes", *map(str, arguments)])


def make_episode(seed, steps=8):
    rng = np.random.default_rng(seed)
    start = np.array([0.5, 0.1, 0.3, 3.1, 0, 0, 0.5])
    states = start + np.cumsum(rng.normal(0, 0.01, (steps, 7)), 0)
    frames = np.full((steps, 32, 32, 3), rng.integers(40, 200), np.uint8)
    return Episode(frames=frames, states=states, stamps=0.25 * np.arange(steps), task="lift")


@pytest.fixture
def tree(tmp_path):
    """Two labs, three episodes in DROID's layout."""
    for index, name in enumerate(("iris/monday", "iris/tuesday", "rail/monday")):
        episode = make_episode(index)
        write_droid(tmp_path / "tree" / name, episode, episode.frames)
    return tmp_path / "tree"


def damage(folder):
    path = folder / "trajectory.h5"
    path.write_bytes(path.read_bytes()[:1000])


def test_a_tree_becomes_bags_and_a_second_run_adds_only_what_is_missing(tree, tmp_path, capsys):
    out = tmp_path / "bags"
    assert run("convert", "--from", "droid", tree, "--to", "bag", out, "--workers", 2) == 0
    assert "3 episodes written" in capsys.readouterr().out
    bags = sorted(path.parent.relative_to(out) for path in out.rglob("metadata.yaml"))
    assert [str(bag) for bag in bags] == ["iris/monday", "iris/tuesday", "rail/monday"]
    shutil.rmtree(out / "iris" / "tuesday")
    before = (out / "iris" / "monday" / "metadata.yaml").stat().st_mtime_ns
    assert run("convert", tree, "--to", "bag", out, "--workers", 1) == 0
    assert "1 episodes written, 2 were there" in capsys.readouterr().out
    assert (out / "iris" / "monday" / "metadata.yaml").stat().st_mtime_ns == before
    assert read_bag(out / "iris" / "tuesday").trajectory.task == "lift"


def test_one_episode_with_every_option(tree, tmp_path):
    out = tmp_path / "bag"
    options = ("--images", "jpeg", "--storage", "sqlite3", "--step-period", 0.5, "--workers", 1)
    assert run("convert", tree / "iris" / "monday", out, "--to", "bag", *options) == 0
    reader = read_bag(out)
    assert len(reader) == 4
    assert (out / "bag.db3").exists()
    assert reader.load().frames.shape == (4, 32, 32, 3)


def test_topics_by_file_and_by_hand(tree, tmp_path):
    (tmp_path / "topics.yaml").write_text("image: left/image\npose: arm/pose\n")
    run("convert", tree / "iris" / "monday", tmp_path / "a", "--to", "bag", "--workers", 1)
    named = ("--topics", tmp_path / "topics.yaml", "--topic", "pose=/ee")
    with pytest.raises(UserError, match=r"left/image: found no such topic"):
        run("inspect", tmp_path / "a", *named, "--workers", 1)
    told = Opening(topics=tmp_path / "topics.yaml", topic=("pose=/ee", "max_width=0.1"))
    assert opening.topics(told) == {"image": "left/image", "pose": "/ee", "max_width": 0.1}


@pytest.mark.parametrize(
    ("topic", "complaint"),
    [
        ("imge=x", "--topic imge is unknown, expected image"),
        ("x", "--topic x: expected KEY=NAME"),
        ("clock=wall", "--topic clock is 'wall', expected one of header, recorder"),
        ("max_width=8", "--topic max_width is 8, expected a number in"),
    ],
)
def test_a_topic_that_cannot_be_is_refused(tmp_path, topic, complaint):
    with pytest.raises(UserError, match=complaint):
        run("check", tmp_path, "--topic", topic)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("imge: x", "topics.yaml: imge is unknown, expected image"),
        ("image: a\nimage: b", "topics.yaml: line 2: image is given twice"),
        ("max_width: 80", "topics.yaml: max_width is 80, expected a number in"),
        ("[a]", "topics.yaml: the file is .*, expected keys and values"),
    ],
)
def test_a_file_of_topics_that_cannot_be_is_refused(tmp_path, text, complaint):
    (tmp_path / "topics.yaml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        run("check", tmp_path, "--topics", tmp_path / "topics.yaml")


def test_bad_episodes_stop_the_run_or_are_skipped_counted_and_listed(tree, tmp_path, capsys):
    damage(tree / "iris" / "tuesday")
    with pytest.raises(UserError, match=r"iris/tuesday/trajectory\.h5: checksum"):
        run("convert", tree, tmp_path / "stopped", "--to", "npz", "--workers", 1)
    arguments = ("convert", tree, tmp_path / "npz", "--to", "npz", "--skip-bad", "--workers", 1)
    assert run(*arguments) == 0
    printed = capsys.readouterr().out
    assert "2 episodes written" in printed
    assert "1 bad episodes skipped:" in printed
    assert "iris/tuesday/trajectory.h5: checksum" in printed
    assert len(list((tmp_path / "npz").rglob("*.npz"))) == 2


def test_check_names_every_bad_one_and_exits_with_2(tree, tmp_path, capsys):
    assert run("check", tree, "--workers", 1) == 0
    assert "3 good, 0 bad" in capsys.readouterr().out
    damage(tree / "iris" / "tuesday")
    (tree / "rail" / "cut.npz").write_bytes(b"PK\x03\x04")
    assert run("check", tree, tmp_path / "nowhere.npz", "--workers", 1) == 2
    printed = capsys.readouterr().out
    assert "2 good, 3 bad" in printed
    for name in ("tuesday", "cut.npz", "nowhere.npz"):
        assert any(name in line for line in printed.splitlines() if line.startswith("BAD"))


def test_a_tree_becomes_a_lerobot_set_and_a_set_becomes_bags(tree, tmp_path, capsys):
    damage(tree / "iris" / "tuesday")
    out = tmp_path / "set"
    arguments = ("convert", "--from", "droid", tree, "--to", "lerobot", out)
    with pytest.raises(UserError, match=r"iris/tuesday/trajectory\.h5: checksum"):
        run(*arguments)
    assert not out.exists()
    assert run(*arguments, "--skip-bad") == 0
    assert "2 episodes written" in capsys.readouterr().out
    with pytest.raises(UserError, match="set: found already"):
        run(*arguments)
    with pytest.raises(UserError, match="not in the lerobot layout"):
        run("convert", tree, tmp_path / "other", "--to", "lerobot", "--images", "png")
    assert run("inspect", f"lerobot:{out}", "--workers", 1) == 0
    assert "episodes     2" in capsys.readouterr().out
    back = ("convert", "--from", "lerobot", f"lerobot:{out}", "--to", "bag", tmp_path / "bags")
    assert run(*back, "--workers", 1) == 0
    for number, seed in enumerate((0, 2)):
        trajectory = read_bag(tmp_path / "bags" / f"episode_{number:06d}").trajectory
        np.testing.assert_allclose(trajectory.actions, make_episode(seed).actions, atol=1e-9)
    one = ("convert", out / "episode_000001", "--to", "npz", tmp_path / "one.npz")
    assert run(*one, "--workers", 1) == 0
    assert (tmp_path / "one.npz").exists()


def test_features_of_a_set_are_read_strictly(tree, tmp_path):
    run("convert", tree, "--to", "lerobot", tmp_path / "set")
    file = tmp_path / "features.yaml"
    file.write_text("gripper_open: 0.08\ngripper_closed: 0.0\n")
    with pytest.raises(UserError, match=r"gripper_position: found .* from that of an open hand, 0"):
        run("inspect", tmp_path / "set", "--features", file, "--workers", 1)
    file.write_text("griper: state[6]\n")
    with pytest.raises(UserError, match=r"features\.yaml: griper is unknown, expected gripper"):
        run("check", tmp_path / "set", "--features", file)


def test_inspect_prints_figures_and_draws_pictures(tree, tmp_path, capsys):
    assert run("inspect", tree, "--out", tmp_path / "look", "--workers", 1) == 0
    printed = capsys.readouterr().out
    assert "episodes     3" in printed
    assert "frames       24, 8.0 an episode" in printed
    assert "frame size   32×32 (3)" in printed
    expected = np.concatenate([make_episode(seed).states[:, 0] for seed in range(3)])
    row = next(line for line in printed.splitlines() if line.startswith("x "))
    assert f"{expected.mean():.3f}" in row
    assert f"{expected.max():.3f}" in row
    for name in ("contact_sheet.png", "actions.png"):
        picture = cv2.imread(str(tmp_path / "look" / name))
        assert picture.std() > 5  # not blank


def test_what_cannot_be_converted_is_refused(tree, tmp_path):
    with pytest.raises(UserError, match="found no npz episode"):
        run("convert", "--from", "npz", tree, tmp_path / "out", "--to", "bag")
    with pytest.raises(UserError, match=r"ends in \.npz"):
        run("convert", tree / "iris" / "monday", tmp_path / "out", "--to", "npz")
    with pytest.raises(UserError, match="only bags have one"):
        run("convert", tree, tmp_path / "out", "--to", "npz", "--storage", "mcap")
    with pytest.raises(UserError, match="not in the droid layout"):
        run("convert", tree, tmp_path / "out", "--to", "droid", "--images", "png")
    episode = make_episode(0)
    write_npz(tree / "iris" / "monday.npz", episode, episode.frames)
    with pytest.raises(UserError, match="several episodes would become"):
        run("convert", tree, tmp_path / "out", "--to", "bag")


def test_collect_makes_episodes_that_check_accepts(tmp_path, capsys):
    pytest.importorskip("vjepa_sim.scene")
    small = ("--steps", 4, "--size", 32, "--workers", 1)
    arguments = ("collect", "--task", "random", "--episodes", 2, "--seed", 3, "--out", tmp_path)
    assert run(*arguments, *small) == 0
    assert run("check", tmp_path, "--workers", 1) == 0
    assert "2 good, 0 bad" in capsys.readouterr().out


def test_collect_knows_the_tasks_of_the_collection():
    collection = pytest.importorskip("vjepa_ros.episodes.collection")
    assert settings_of(Collect)["task"].choices == collection.TASKS
    assert settings_of(ConvertEpisodes)["to"].choices == LAYOUTS
