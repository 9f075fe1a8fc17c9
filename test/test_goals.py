"""Goals as users give them: a picture, a folder, a list in YAML."""

import numpy as np
import pytest

from vjepa_gate.errors import UserError
from vjepa_ros.goals import read_goal, read_subgoals
from vjepa_ros.images import encode_png


@pytest.fixture
def folder(tmp_path):
    for name in ("2_lift.png", "1_grasp.png"):
        (tmp_path / name).write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    return tmp_path


def listed(folder, text):
    path = folder / "list.yaml"
    path.write_text(text)
    return path


def test_one_picture(folder):
    goals = read_goal(folder / "1_grasp.png")
    assert [path.name for path in goals.pictures] == ["1_grasp.png"]
    assert (goals.max_steps, goals.energy) == (0, 0)


def test_a_folder_in_the_order_of_names(folder):
    assert [path.name for path in read_subgoals(folder).pictures] == ["1_grasp.png", "2_lift.png"]


def test_a_list_in_its_own_order_and_with_what_it_says(folder):
    text = "pictures: [2_lift.png, 1_grasp.png, 2_lift.png]\nmax_steps: 30\nenergy: 0.25\n"
    goals = read_subgoals(listed(folder, text))
    assert [path.name for path in goals.pictures] == ["2_lift.png", "1_grasp.png", "2_lift.png"]
    assert all(path.is_absolute() for path in goals.pictures)
    assert (goals.max_steps, goals.energy) == (30, 0.25)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1_grasp.png]", "list.yaml: the file is .*, expected keys and values"),
        ("picture: [a.png]", "list.yaml: picture is unknown, expected pictures"),
        ("max_steps: 3", "list.yaml: pictures is missing, expected a list of files, the goal last"),
        ("pictures: 1_grasp.png", "pictures is '1_grasp.png', expected a list of one or more"),
        ("pictures: [1_grasp.png, 7]", r"list.yaml: pictures\[1\] is 7, expected a path"),
        ("pictures: [1_grasp.png]\npictures: [2_lift.png]", "pictures is given twice"),
        ("pictures: [none.png]", r"pictures\[0\]: .*none.png cannot be read: No such file"),
        ("pictures: [list.yaml]", r"pictures\[0\]: .*list.yaml is not an image"),
        ("pictures: [1_grasp.png]\nmax_steps: 2.5", "max_steps is 2.5, expected a whole number"),
        ("pictures: [1_grasp.png]\nenergy: -1", "energy is -1, expected a number of at least 0"),
        ("pictures: [1_grasp.png]\nenergy: .nan", "energy is nan, expected a number"),
        ("pictures: [", "list.yaml: not YAML"),
    ],
)
def test_what_is_wrong_in_a_list_names_file_and_key(folder, text, complaint):
    with pytest.raises(UserError, match=complaint) as error:
        read_subgoals(listed(folder, text))
    assert "\n" not in str(error.value)


def test_no_such_list(tmp_path):
    with pytest.raises(UserError, match=r"none.yaml: cannot be read: No such file"):
        read_subgoals(tmp_path / "none.yaml")
