"""What moved between two runs, and whether chance could have done it."""

import numpy as np
import pytest

from vjepa_ros.replay.compare import BLOCK, compare

STEPS = 10 * BLOCK


def change(comparison, name="prediction.1.error"):
    return next(one for one in comparison.changes if one.name == name)


@pytest.fixture
def run(make_episode, make_replay):
    """A run of three episodes whose errors are these, and some noise."""

    def make(errors, seed=0, noise=0.1, names=("one", "two", "three"), **settings):
        random = np.random.default_rng(seed)
        episodes = [
            make_episode(
                name,
                model=(errors + noise * random.standard_normal(STEPS)).tolist(),
                copy_last=[1.0] * STEPS,
            )
            for name in names
        ]
        return make_replay(*episodes, **settings)

    return make


def test_the_same_run_has_not_moved(run):
    comparison = compare(run(0.5), run(0.5))
    assert all(one.low == one.difference == one.high == 0 for one in comparison.changes)
    assert all(one.verdict == "" for one in comparison.changes)
    assert (comparison.episodes, comparison.unpaired, comparison.settings) == (3, [], {})


def test_a_small_change_of_every_step_shows_through_their_noise(run):
    """Paired: the noise of the steps is a hundred times the change, and both runs have it."""
    found = change(compare(run(0.5), run(0.501)))
    assert found.difference == pytest.approx(0.001)
    assert 0 < found.low <= 0.001 <= found.high
    assert found.verdict == "WORSE"
    assert change(compare(run(0.501), run(0.5))).verdict == "better"


def test_chance_alone_is_seldom_taken_for_a_change(run):
    """Intervals of 95 % shut out no change at all in about one of twenty runs."""
    found = [compare(run(0.5, seed), run(0.5, 1000 + seed)) for seed in range(10)]
    assert sum(change(one).verdict != "" for one in found) <= 2


def test_intervals_span_what_the_mean_varies_by(run):
    found = change(compare(run(0.5, 1), run(0.5, 2)))
    expected = 1.96 * 0.1 * np.sqrt(2 / (3 * STEPS))
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.5)
    assert found.blocks == 3 * STEPS // BLOCK


def test_one_block_says_nothing_about_chance(make_episode, make_replay):
    before, after = (make_replay(make_episode(model=(error,) * 3)) for error in (0.5, 0.6))
    found = change(compare(before, after))
    assert found.difference == pytest.approx(0.1)
    assert (found.low, found.high, found.verdict) == (-np.inf, np.inf, "")


def test_only_what_both_runs_have_is_compared(run):
    before = run(0.5, names=("one", "two"))
    after = run(0.5, names=("two", "three"), weights="tiny-1", seed=0)
    comparison = compare(before, after)
    assert comparison.episodes == 1
    assert comparison.unpaired == ["one", "three"]
    assert comparison.settings == {"weights": ("tiny-0", "tiny-1")}
    assert change(comparison).blocks == STEPS // BLOCK


def test_figures_of_one_run_alone_are_left_out(make_episode, make_plan, make_replay):
    planned = make_replay(make_episode(plan=make_plan([0.01] * 3)))
    comparison = compare(planned, make_replay(make_episode()))
    assert not [one for one in comparison.changes if one.name.startswith("plan")]
