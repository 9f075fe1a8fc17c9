from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_ros import conventions
from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.episodes.episode import EpisodeReader, steps_every


def reader_of(episode):
    return EpisodeReader(
        path="memory",
        trajectory=episode,
        decode=lambda steps: (episode.frames[step] for step in steps),
    )


def test_actions_are_the_difference_of_states(episode):
    expected = conventions.actions_of(torch.from_numpy(episode.states)).numpy()
    np.testing.assert_array_equal(episode.actions, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"states": np.zeros((5, 6))}, r"states are float64 \[5, 6\], expected float64 \[5, 7\]"),
        ({"states": np.zeros((5, 7), np.float32)}, "states are float32"),
        ({"states": np.full((5, 7), 400.0)}, "expected metres"),
        ({"stamps": np.array([0, 1, 2, 2, 3.0])}, "stamp 3 is 2 s after 2 s"),
        ({"stamps": np.array([0, 1, np.nan, 3, 4.0])}, "NaN"),
        ({"stamps": np.zeros(4)}, r"stamps are float64 \[4\]"),
        ({"commanded": np.zeros((5, 7))}, r"commanded are float64 \[5, 7\]"),
        ({"frames": np.zeros((4, 8, 8, 3), np.uint8)}, "4 frames, expected 5"),
        ({"frames": np.zeros((5, 8, 8, 3))}, "frames are float64"),
        ({"truth": {"cube": np.zeros((3, 3))}}, "truth 'cube'"),
    ],
)
def test_what_does_not_add_up_is_refused(episode, change, message):
    with pytest.raises(ValueError, match=message):
        replace(episode, **change)


def test_one_step_is_no_episode(episode):
    with pytest.raises(ValueError, match="1 steps, expected at least 2"):
        episode.select([0])


def test_selected_steps_keep_their_frames_and_last_target(episode):
    """The command over a longer step ends where the last command inside it pointed."""
    half = episode.select([0, 2, 4])
    np.testing.assert_array_equal(half.frames, episode.frames[::2])
    states, commanded = torch.from_numpy(episode.states), torch.from_numpy(episode.commanded)
    target = conventions.apply_action(states[1], commanded[1])
    expected = conventions.action_between(states[0], target)
    np.testing.assert_allclose(half.commanded[0], expected, atol=1e-12)


def test_a_reader_of_some_steps_decodes_those(episode):
    reader = reader_of(episode).select([1, 3, 4]).select([0, 2])
    np.testing.assert_array_equal(list(reader.frames()), episode.frames[[1, 4]])
    np.testing.assert_array_equal(reader.trajectory.stamps, episode.stamps[[1, 4]])
    np.testing.assert_array_equal(list(reader.frames(1, 2)), episode.frames[[4]])


def test_every_fourth_second_of_a_camera_at_15_hz():
    stamps = 10 + np.arange(61) / 15
    steps = steps_every(stamps, 0.25)
    np.testing.assert_allclose(stamps[steps], 10 + 0.25 * np.arange(17), atol=1 / 30)
    assert set(np.diff(steps)) == {3, 4}


def test_a_jittering_clock_finds_the_nearest_frame():
    rng = np.random.default_rng(1)
    stamps = np.sort(np.arange(200) / 30 + rng.uniform(0, 0.02, 200))
    steps = steps_every(stamps, 0.5)
    for grid, step in enumerate(steps):
        away = np.abs(stamps - stamps[0] - 0.5 * grid)
        assert away[step] == away.min()


@pytest.mark.parametrize(
    "stamps", [np.array([0, 0.25, 0.5, 1.5, 1.75]), np.arange(5) * 1.0, np.arange(9) * 0.3]
)
def test_a_gap_or_too_slow_a_camera_is_refused(stamps):
    with pytest.raises(ValueError, match=r"expected one every 0\.25 s"):
        steps_every(stamps, 0.25)


def test_projection_puts_the_optical_axis_at_the_principal_point(episode):
    calibration: Calibration = episode.calibration
    ahead = calibration.camera_to_base[:3, 3] + 0.8 * calibration.camera_to_base[:3, 2]
    behind = calibration.camera_to_base[:3, 3] - 0.8 * calibration.camera_to_base[:3, 2]
    right = ahead + 0.1 * calibration.camera_to_base[:3, 0]
    pixels = calibration.project(np.stack((ahead, behind, right)))
    np.testing.assert_allclose(pixels[0], [32, 24], atol=1e-9)
    assert np.isnan(pixels[1]).all()
    np.testing.assert_allclose(pixels[2], [32 + 80 * 0.1 / 0.8, 24], atol=1e-9)
