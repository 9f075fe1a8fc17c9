"""Which planner belongs to which weights, and how old an image behind its plans may be."""

from dataclasses import replace

import pytest
import torch

from vjepa_ros.model.checkpoints import open_checkpoint
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.choice import (
    longest_image_age,
    planner_of,
    planning_seconds,
    why,
)
from vjepa_ros.planning.config import PLANNERS, PUBLISHED, choose_planner
from vjepa_ros.planning.loading import load_world_model

SHIPPED = open_checkpoint(SHIPPED_WEIGHTS)


def foreign(preset, **changes):
    return replace(SHIPPED, metadata={}, config=replace(PRESETS[preset], **changes))


def test_the_shipped_weights_name_their_planner_in_their_header():
    assert planner_of(SHIPPED, "cpu") == planner_of(SHIPPED, "cuda") == "tiny"
    assert load_world_model(SHIPPED_WEIGHTS).planner == "tiny"
    assert "as the weights name it" in why(SHIPPED, "cpu")


@pytest.mark.parametrize("preset", ["tiny", "ac_vitg"])
def test_weights_that_name_none_get_the_papers_on_a_gpu(preset):
    assert planner_of(foreign(preset), "cuda:0") == "paper"


@pytest.mark.parametrize(
    ("preset", "name"), [("tiny", "jepa_wms"), ("ac_vitg", "notebook")], ids=["small", "full size"]
)
def test_on_a_cpu_they_get_the_largest_published_one_that_is_quick_enough(preset, name):
    """For the full model none is: then the smallest."""
    assert planner_of(foreign(preset), "cpu") == name
    reason = why(foreign(preset), "cpu")
    assert name in reason
    assert "s are aimed at" in reason


def test_no_planner_looks_further_ahead_than_the_weights_were_trained_for():
    checkpoint = foreign("tiny", trained_horizon=1)
    assert planner_of(checkpoint, "cpu") == "paper"
    assert PLANNERS["paper"].horizon == 1 < PLANNERS["jepa_wms"].horizon


def test_a_name_that_this_version_does_not_know_counts_as_none():
    checkpoint = replace(SHIPPED, metadata={"planner": "of tomorrow"})
    assert planner_of(checkpoint, "cuda") in PUBLISHED


def test_a_planner_of_ones_own_choice_with_changes():
    assert choose_planner("tiny") == PLANNERS["tiny"]
    chosen = choose_planner("paper", {"samples": 50, "axis": "z=0"})
    assert chosen == replace(PLANNERS["paper"], samples=50, axis="z=0")
    with pytest.raises(ValueError, match="planner 'papre' is unknown"):
        choose_planner("papre")
    with pytest.raises(ValueError, match="planner paper: elites is 10"):
        choose_planner("paper", {"samples": 5})


def test_a_plan_is_in_time_at_the_planners_own_pace():
    cpu = torch.device("cpu")
    tiny, paper = (planning_seconds(SHIPPED, PLANNERS[name], cpu) for name in ("tiny", "paper"))
    assert 0 < tiny < paper
    for seconds in (0.01, 1.0, 16.0):
        assert longest_image_age(seconds) >= max(2.0, 2 * seconds + 1)
