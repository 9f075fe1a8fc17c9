"""Bounds on figures: what is refused, what turns red, and what is said then."""

from dataclasses import replace

import pytest

from vjepa_gate.errors import UserError
from vjepa_ros.replay.figures import better, figures_of, names, terms_of
from vjepa_ros.replay.gates import Bound, ReplayGate, check, gate_around, read_gate, write_gate
from vjepa_ros.replay.results import ClockFigures, Clocks, Replay, Tracking

RATIO = "prediction.1.ratio_to_copy_last"


def gate_of(tmp_path, text):
    (tmp_path / "gate.yaml").write_text(text)
    return read_gate(tmp_path / "gate.yaml")


def test_a_gate_is_read(tmp_path):
    text = f"run:\n  {RATIO}: {{max: 0.9}}\nepisode:\n  clock.frame_period: {{min: 0.2, max: 0.3}}"
    gate = gate_of(tmp_path, text)
    assert gate.run == {RATIO: Bound(max=0.9)}
    assert gate.episode == {"clock.frame_period": Bound(min=0.2, max=0.3)}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("runs: {}", "runs is unknown, expected run"),
        (
            "run: {prediction.1.eror: {max: 1}}",
            "prediction.1.eror is unknown",
        ),
        ("run: {prediction.0.error: {max: 1}}", "prediction.0.error is unknown"),
        ("run: {energy.rank: {maximum: 1}}", "energy.rank.maximum is unknown, expected one of min"),
        ("run: {energy.rank: {}}", "energy.rank: has nothing, expected min, max"),
        ("run: {energy.rank: {max: low}}", "max is 'low', expected a number"),
        ("run: {energy.rank: {max: .nan}}", "max is nan, expected a number"),
        ("run: {energy.rank: {min: 2, max: 1}}", "run.energy.rank: min 2 is more than max 1"),
        ("run: {energy.rank: 1}", "energy.rank is 1, expected keys and values"),
        ("run: {energy.rank: {max: 1}, energy.rank: {max: 2}}", "energy.rank is given twice"),
        ("", "the file is None, expected keys and values"),
        ("run: [", "not YAML"),
    ],
)
def test_what_is_no_gate_is_refused(tmp_path, text, complaint):
    with pytest.raises(UserError, match=r"gate\.yaml: ") as refused:
        gate_of(tmp_path, text)
    assert complaint in str(refused.value)


def test_every_figure_that_is_measured_can_have_a_bound(make_episode, make_plan):
    episode = replace(
        make_episode(plan=make_plan([0.01, 0.02, 0.0])),
        tracking=Tracking(error_cm=[0.1] * 3, turn_deg=[0.0] * 3),
        clocks=Clocks(
            frame_period=0.25,
            stamped=ClockFigures(steps=3, step_cm=1.0, ratio_to_copy_last=0.5),
            nominal=ClockFigures(steps=3, step_cm=1.0, ratio_to_copy_last=0.5),
        ),
    )
    measured = terms_of(episode)
    assert all(better(name) for name in measured)
    generic = {name.replace("prediction.1.", "prediction.H.") for name in measured}
    unmeasured = {"plan.angle_deg", "plan.gripper_moves_agreement", "surprise.outliers"}
    assert generic | unmeasured == set(names())


def test_figures_are_sums_over_all_steps(make_episode, make_plan):
    one = make_episode("one", model=(0.5, 0.7), copy_last=(1.0, 2.0), plan=make_plan([0.05, 0.1]))
    two = make_episode("two", model=(0.6,), copy_last=(1.0,))
    assert one.figures[RATIO] == pytest.approx(1.2 / 3)
    assert one.figures["plan.score"] == pytest.approx(800 * (0.1 - 0.075))
    assert one.figures["energy.monotony"] == pytest.approx(1)
    assert figures_of([one, two])[RATIO] == pytest.approx(1.8 / 4)
    assert "plan.score" not in two.figures


def test_a_score_is_never_less_than_nothing(make_episode, make_plan):
    episode = make_episode(plan=make_plan([0.2, 0.2, 0.3]))
    assert episode.figures["plan.score"] == 0


def test_frames_that_are_all_alike_have_no_ratio(make_episode):
    still = make_episode(copy_last=(0.0, 0.0, 0.0))
    assert RATIO not in still.figures
    assert still.figures["prediction.1.error"] == pytest.approx(0.5)


def test_a_bound_of_the_run_names_the_worst_episode_and_step(make_episode, make_replay):
    good, bad = make_episode("good"), make_episode("a/bad", model=(0.9, 1.9, 1.0))
    (found,) = check(ReplayGate(run={RATIO: Bound(max=0.8)}), make_replay(good, bad))
    assert str(found) == f"a/bad, step 1 (frame 2): {RATIO} of the run is 0.8833, bound max 0.8"


def test_a_bound_of_episodes_names_each_that_breaks_it(make_episode, make_replay):
    replay = make_replay(make_episode("good"), make_episode("bad", model=(0.9, 1.9, 1.0)))
    (found,) = check(ReplayGate(episode={RATIO: Bound(max=0.9)}), replay)
    assert str(found) == f"bad, step 1 (frame 2): {RATIO} of the episode is 1.267, bound max 0.9"
    assert check(ReplayGate(episode={RATIO: Bound(max=1.3)}), replay) == []


def test_a_figure_too_low_names_the_step_that_pulls_it_down(make_episode, make_plan, make_replay):
    replay = make_replay(make_episode(plan=make_plan([0.0, 0.09, 0.01])))
    (found,) = check(ReplayGate(run={"plan.score": Bound(min=60)}), replay)
    assert (found.step, found.problem) == (1, "of the run is 53.33, bound min 60")


def test_a_bound_on_what_nobody_measured_is_broken(make_episode, make_replay):
    bounds = {"energy.rank": Bound(max=0.5)}
    for gate in (ReplayGate(run=bounds), ReplayGate(episode=bounds)):
        (found,) = check(gate, make_replay(make_episode()))
        assert str(found) == "energy.rank has a bound, but no episode has this figure"
    assert check(ReplayGate(run=bounds), make_replay())


def test_an_interval_breaks_a_bound_only_as_a_whole():
    bound = Bound(max=0.1)
    assert bound.broken_by_interval(0.2, 0.3) == "max 0.1"
    assert bound.broken_by_interval(0.05, 0.3) is None


def test_a_gate_around_a_run_is_kept_by_it_and_not_by_a_worse_one(
    tmp_path, make_episode, make_plan, make_replay
):
    run = make_replay(make_episode(plan=make_plan([0.01] * 3)))
    write_gate(tmp_path / "gate.yaml", gate_around(run), run)
    gate = read_gate(tmp_path / "gate.yaml")
    assert gate == gate_around(run)
    assert check(gate, run) == []
    assert "clock.frame_period" in gate.episode
    assert gate.run["plan.score"].max is None  # better is always welcome

    worse = make_replay(make_episode(model=(0.6, 0.7, 0.5), plan=make_plan([0.03] * 3)))
    broken = {violation.name for violation in check(gate, worse)}
    assert broken >= {RATIO, "prediction.1.error", "plan.error_cm", "plan.score"}


def test_there_is_no_gate_around_nothing(make_replay):
    with pytest.raises(UserError, match="no episode could be scored"):
        gate_around(make_replay())


def test_results_come_back_from_json_as_they_went(make_episode, make_plan, make_replay):
    replay = make_replay(make_episode(plan=make_plan([0.0, 0.09, 0.01])), plan_every=1)
    assert Replay.from_json(replay.to_json()) == replay
    with pytest.raises(ValueError, match="no result of a replay"):
        Replay.from_json('{"format": 1}')
    with pytest.raises(ValueError, match="another format"):
        Replay.from_json('{"format": 0}')
