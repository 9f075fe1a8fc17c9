"""Banks of latents on disk, and the segments that are found in them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from table_world import HIGH, LOW, demonstration, write_demonstrations

from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.planning.subgoals.bank import Bank, build_bank, demonstrations, load_bank
from vjepa_ros.planning.subgoals.memory import Memory


def mean_colour(rgb: torch.Tensor) -> torch.Tensor:
    """Latents that are the mean colour alone."""
    return rgb.float().mean((1, 2))[:, None]


@pytest.fixture
def bank() -> Bank:
    demonstrations = [demonstration(thing, 0.2) for thing in (-0.2, -0.1, 0.0, 0.1)]
    return Bank(
        latents=np.concatenate([latents for _, latents in demonstrations]).astype(np.float16),
        states=np.concatenate([states for states, _ in demonstrations]),
        pictures=np.zeros((sum(len(states) for states, _ in demonstrations), 64, 64, 3), np.uint8),
        lengths=np.array([len(states) for states, _ in demonstrations]),
        weights="table",
    )


def test_the_segment_that_begins_and_ends_alike_is_found(bank: Bank):
    _, latents = demonstration(-0.09, 0.2)
    now, goal = (torch.from_numpy(latents[step]) for step in (0, -1))
    best, *others = Memory(bank=bank).search(now, goal)
    assert best.episode == 1
    assert best.begin <= bank.first_steps[1] + 1
    assert best.end == bank.first_steps[1] + bank.lengths[1] - 2  # the first of two alike
    assert all(best.distance <= other.distance for other in others)


def test_what_is_proposed_is_what_was_done_then(bank: Bank):
    _, latents = demonstration(-0.1, 0.2)
    goal = torch.from_numpy(latents[-1])
    first, *_ = Memory(bank=bank).propose(torch.from_numpy(latents[0]), goal, torch.zeros(7))
    assert (first.phase, len(first)) == (0, 8)
    assert first.positions[1].tolist() == pytest.approx([0.5, -0.1, LOW])
    assert first.closedness[2] == 0.5
    midway, *_ = Memory(bank=bank).propose(torch.from_numpy(latents[9]), goal, torch.zeros(7))
    assert midway.phase in (3, 4)  # it is held, and goes up
    assert midway.positions[-1].tolist() == pytest.approx([0.5, 0.2, HIGH])


def test_what_stands_for_latents_is_the_frame_most_like_them(bank: Bank):
    bank.pictures[20] = 7
    picture = Memory(bank=bank).picture(torch.from_numpy(bank.latents[20]))
    assert (picture == 7).all()


def test_a_goal_on_the_way_ends_the_way_there(bank: Bank):
    _, latents = demonstration(-0.1, 0.2)
    lifted = torch.from_numpy(latents[8])
    first, *_ = Memory(bank=bank).propose(torch.from_numpy(latents[0]), lifted, torch.zeros(7))
    assert len(first) == 4


def test_a_bank_is_built_from_demonstrations_that_succeeded(tmp_path: Path):
    write_demonstrations(tmp_path / "data", [True, False, None], size=8)
    episodes = demonstrations(tmp_path / "data", 0.25)
    assert [one.path.stem for one in episodes] == ["0", "2"]

    bank = build_bank(
        episodes, tmp_path / "bank", mean_colour, crop="square", weights="mean", step_period=0.25
    )
    again = load_bank(tmp_path / "bank")
    assert again.weights == "mean"
    assert isinstance(again.latents, np.memmap)
    assert again.latents.shape == (2 * bank.lengths[0], 1, 3)
    assert again.latents[bank.lengths[0] :].min() == 2
    assert again.pictures.shape == (2 * bank.lengths[0], 64, 64, 3)
    assert again.pictures[bank.lengths[0] :].min() == 2
    states, _ = demonstration(-0.1, 0.2)
    assert again.states == pytest.approx(np.tile(states, (2, 1)))
    assert [len(steps) for steps in again.key_steps] == [8, 8]


def test_a_folder_without_a_bank_is_named(tmp_path: Path):
    with pytest.raises(EpisodeError, match="memory build"):
        load_bank(tmp_path)
