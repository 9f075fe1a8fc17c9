import cv2
import numpy as np
import pytest

from vjepa_sim.__main__ import main


def test_tasks_are_listed_with_their_tolerance(capsys):
    assert main(["tasks"]) == 0
    output = capsys.readouterr().out
    assert "pick_place cup bowl" in output
    assert "within 5 cm" in output
    assert "closed, above_place, released" in output


def test_show_writes_one_picture_of_all_cameras(tmp_path, capsys):
    out = tmp_path / "scene.png"
    cameras = ["exterior", "wrist"]
    assert main(["show", "--camera", *cameras, "--size", "64", "--out", str(out)]) == 0
    picture = cv2.imread(str(out))
    assert picture.shape == (64, 128, 3)
    assert picture.std() > 10
    assert "128 × 64" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["gif", "mp4"])
def test_expert_is_filmed(tmp_path, capsys, suffix):
    out = tmp_path / f"grasp.{suffix}"
    assert main(["expert", "--task", "grasp", "--size", "64", "--out", str(out)]) == 0
    assert "grasp cube: done" in capsys.readouterr().out
    film = cv2.VideoCapture(str(out))
    frames = []
    while (read := film.read())[0]:
        frames.append(read[1])
    assert len(frames) > 6
    assert frames[0].shape == (64, 64, 3)
    assert np.abs(frames[0].astype(int) - frames[-1]).max() > 50


def test_goals_and_truth(tmp_path, capsys):
    out = tmp_path / "goals.png"
    assert main(["goals", "--schedule", "paper", "--size", "32", "--out", str(out)]) == 0
    assert cv2.imread(str(out)).shape == (32, 96, 3)
    assert "closed, above_place, released" in capsys.readouterr().out
    assert main(["truth", "--object", "cup", "--place", "bowl"]) == 0
    output = capsys.readouterr().out
    assert "bowl" in output
    assert "touches table" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "--out", "scene.jpg"], "--out scene.jpg: expected a file ending in .png"),
        (["show", "--out", "nowhere/scene.png"], "there is no folder nowhere"),
        (["show", "--camera", "left", "--out", "scene.png"], "no 'left'"),
        (["show", "--objects", "spoon", "--out", "scene.png"], "no 'spoon'"),
        (["truth", "--task", "juggle"], "no task 'juggle'"),
        (["goals", "--schedule", "loose", "--out", "goals.png"], "no schedule 'loose'"),
        (["truth", "--distractors", "60"], "ask for fewer objects"),
    ],
)
def test_mistakes_are_named(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
