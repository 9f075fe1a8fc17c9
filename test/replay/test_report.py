"""The page of a replay: all there, the worst first, arrows where the camera sees the tool go."""

import dataclasses
import html
import re
from pathlib import Path

import numpy as np
import pytest

from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.images import decode_picture
from vjepa_ros.model.decoder import Decoder, DecoderConfig
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.replay import pictures
from vjepa_ros.replay.report import worst_episodes, worst_steps, write_report
from vjepa_ros.replay.results import Broken
from vjepa_ros.replay.runs import ReplayConfig, replay

ROOT = Path(__file__).parents[2]
BAG = ROOT / "test/data/bags/reach"
PLANNED, RECORDED = (255, 159, 28), (47, 191, 113)


def text_of(path):
    """Of a page, which must need nothing from elsewhere."""
    page = path.read_text()
    links = re.findall(r'(?:src|href|srcset)="([^"]*)"', page)
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "<script" not in page
    text = html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL))
    return " ".join(text.split())


@pytest.fixture(scope="module")
def weights(small_weights):
    return small_weights()


@pytest.fixture(scope="module")
def found(weights):
    config = ReplayConfig(
        weights=weights,
        ahead=3,
        planner=PlannerConfig(samples=8, iterations=2, elites=4),
        samples_ranked=8,
        plan_every=2,
    )
    return replay(config, [BAG], workers=1)


def changed(found, **values):
    """The replay with other values of its episode's surprise, plan, …"""
    (episode,) = found.episodes
    return dataclasses.replace(
        episode,
        **{
            name: dataclasses.replace(getattr(episode, name), **fields)
            for name, fields in values.items()
        },
    )


def test_the_page_shows_it_all_in_one_file(found, weights, tmp_path):
    broken = Broken(name="cut", path="cut", reason="cut.mcap: bag: found <half> of a bag")
    write_report(
        dataclasses.replace(found, broken=[broken]),
        tmp_path / "out" / "page.html",
        load_world_model(weights).world_model,
        failures=["reach step 3: plan.error_cm is 9.1, above 5"],
        folder=tmp_path / "pictures",
        decoder=Decoder(DecoderConfig(latent_width=48, grid=4, size=64, width=16)),
    )
    path = tmp_path / "out" / "page.html"
    text = text_of(path)
    for said in (
        "Replay of 1 recording",
        found.settings.weights,
        "plan.error_cm is 9.1, above 5",
        "found <half> of a bag",
        "Worst steps first",
        "Prediction error by horizon",
        "the goal",
        "Landscape of step",
        "the same drawn from its latents; what was imagined",
        "planned",
    ):
        assert said in text, said
    assert path.stat().st_size < 3e6

    names = {path.stem for path in (tmp_path / "pictures").iterdir()}
    for kind in ("energy", "surprise", "landscape", "imagined", "frame_0", "prediction_by_horizon"):
        assert any(kind in name for name in names), (kind, names)
    sheets = [path for path in (tmp_path / "pictures").iterdir() if "imagined" in path.stem]
    shapes = {decode_picture(path.read_bytes()).shape for path in sheets}
    assert (3 * 64, 3 * 64, 3) in shapes  # three rows, three steps
    for path in (tmp_path / "pictures").iterdir():
        assert decode_picture(path.read_bytes()).size > 0


def test_without_plans_there_are_no_arrows_and_no_landscapes(found, weights, tmp_path):
    (episode,) = found.episodes
    bare = dataclasses.replace(found, episodes=[dataclasses.replace(episode, plan=None)])
    write_report(bare, tmp_path / "page.html", load_world_model(weights).world_model, failures=[])
    text = text_of(tmp_path / "page.html")
    assert "every bound holds" in text
    assert "Landscape of step" not in text


def test_a_run_of_broken_recordings_alone_is_a_page_too(found, weights, tmp_path):
    broken = [Broken(name="a", path="a", reason="a: empty")]
    nothing = dataclasses.replace(found, episodes=[], broken=broken, figures={})
    write_report(nothing, tmp_path / "page.html", load_world_model(weights).world_model)
    text = text_of(tmp_path / "page.html")
    assert "a: empty" in text
    assert "1 recording cannot be read" in text


def test_what_surprised_comes_before_what_was_planned_wrong(found):
    (episode,) = found.episodes
    plan, steps = episode.plan, len(episode.surprise.values)
    thresholds = [2 * max(episode.surprise.values)] * steps
    errors = [1.0] * len(plan.steps)
    errors[2] = 20.0
    told = changed(found, surprise={"thresholds": thresholds}, plan={"error_cm": errors})
    assert worst_steps([told], 1)[0].number == plan.steps[2]

    thresholds[5] = episode.surprise.values[5] / 3
    surprised = changed(
        found,
        surprise={"thresholds": thresholds, "outliers": [5]},
        plan={"error_cm": errors},
    )
    first, second = worst_steps([surprised], 2)
    assert (first.number, second.number) == (5, plan.steps[2])
    assert "surprised" in first.describe()
    assert "20.0 cm" in second.describe()


def test_the_worst_predicted_episode_comes_first(found):
    (episode,) = found.episodes
    name = "prediction.1.ratio_to_copy_last"
    good, bad = (
        dataclasses.replace(episode, name=label, figures={name: ratio})
        for label, ratio in (("good", 0.3), ("bad", 0.9))
    )
    run = dataclasses.replace(found, episodes=[good, bad])
    assert [one.name for one in worst_episodes(run)] == ["bad", "good"]


def test_short_episodes_do_not_count_where_they_do_not_reach():
    long, short = [[1.0, 3.0], [4.0]], [[5.0], []]
    assert pictures.horizon_means([long, short]) == [3.0, 4.0]


# --- arrows ------------------------------------------------------------------------------


@pytest.fixture
def above():
    """A camera a metre above the base's origin that looks straight down, x to the right."""
    camera_to_base = np.diag([1.0, -1.0, -1.0, 1.0])
    camera_to_base[2, 3] = 1.0
    intrinsics = np.array([[100.0, 0, 49.5], [0, 100.0, 49.5], [0, 0, 1]])
    return Calibration(width=100, height=100, intrinsics=intrinsics, camera_to_base=camera_to_base)


def where(picture, colour):
    """Mean pixel (x, y) of a colour, as shares of the picture."""
    rows, columns = np.nonzero((np.abs(picture.astype(int) - colour) < 20).all(-1))
    assert len(rows)
    return columns.mean() / picture.shape[1], rows.mean() / picture.shape[0]


def test_arrows_go_where_the_camera_sees_the_tool_go(above):
    blank = np.full((100, 100, 3), 128, np.uint8)
    actions = {"recorded": [0.2, 0, 0, 0, 0, 0, 0], "planned": [0, 0.25, 0, 0, 0, 0, 0]}
    drawn = pictures.with_arrows(blank, above, np.zeros(3), actions)
    # The tool is in the middle of what is shown, 60 pixels of the camera's picture.
    right, level = where(drawn, RECORDED)
    assert 0.5 + 0.05 < right < 0.5 + 20 / 60
    assert abs(level - 0.5) < 0.04
    level, up = where(drawn, PLANNED)  # +y is up in this picture
    assert 0.5 - 25 / 60 < up < 0.5 - 0.05
    assert abs(level - 0.5) < 0.04
    assert (blank == 128).all()  # the frame itself is left alone


def test_a_tool_at_the_edge_is_shown_with_what_is_beside_it(above):
    ramp = np.zeros((100, 100, 3), np.uint8)
    ramp[..., 0] = np.arange(100)
    action = {"planned": [0.0, 0.1, 0, 0, 0, 0, 0]}
    drawn = pictures.with_arrows(ramp, above, np.array([0.48, 0, 0]), action)
    assert drawn[-1, -1, 0] == 99  # up to the right edge, and no further
    assert abs(int(drawn[-1, 0, 0]) - 40) <= 1
    place, _ = where(drawn, PLANNED)
    assert place == pytest.approx((97.5 - 40 + 0.5) / 60, abs=0.04)


@pytest.mark.parametrize("position", [(0, 0, 2.0), (0.8, 0, 0)])
def test_a_tool_that_the_camera_does_not_see_has_no_arrow(above, position):
    blank = np.full((100, 100, 3), 128, np.uint8)
    action = {"planned": [0.1, 0, 0, 0, 0, 0, 0]}
    drawn = pictures.with_arrows(blank, above, np.array(position), action)
    assert (drawn == 128).all()


def test_half_a_calibration_cannot_project(above):
    assert pictures.can_project(above)
    assert not pictures.can_project(dataclasses.replace(above, intrinsics=None))
    assert not pictures.can_project(None)
