"""The planner serves ReachGoal with encoder and predictor beside it, or in its process."""

import math
import pathlib
import threading
import time

import numpy as np
import pytest
import torch
from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import DiagnosticStatus
from planner_client import PATIENCE, SEARCH, Client, Result
from std_srvs.srv import Trigger

from vjepa_gate.conventions import ACTION_NAMES
from vjepa_gate.errors import UserError
from vjepa_gate.ros.memory import resident
from vjepa_gate.ros.spinning import ask
from vjepa_gate.ros.stamps import seconds
from vjepa_ros.images import compressed_to_rgb
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.world_model import Context, Goal


@pytest.fixture
def client(bench, camera, picture):
    bench.gate = "planner"
    client = Client(bench, camera, picture)
    yield client
    client.action.destroy()


@pytest.fixture(params=["composed", "separate"])
def start_planner(request, start_nodes):
    def start(**parameters):
        if request.param == "composed":
            return start_nodes("encoder", "predictor", "planner", **SEARCH | parameters)[-1]
        start_nodes("encoder")
        start_nodes("predictor")
        return start_nodes("planner", **SEARCH | parameters)[0]

    return start


def test_a_task_with_all_that_is_told_of_it(client, start_planner, wait_until):
    start_planner()
    handle = client.ask()
    assert handle.accepted
    status, result = client.result(handle)
    assert status == GoalStatus.STATUS_ABORTED
    assert (result.outcome, result.steps) == (Result.OUT_OF_STEPS, 2), result.message
    wait_until(lambda: len(client.plans) == len(client.paths) == 2, "two plans")
    assert [delta.sequence for delta in client.deltas] == [1, 2]
    told = (message for message in client.feedback if not message.message.startswith("waiting"))
    assert [message.step for message in told] == [0, 1, 2]
    (goal,) = client.goals
    assert goal.header.frame_id == "sub-goal 1 of 1"
    np.testing.assert_array_equal(compressed_to_rgb(goal), client.picture(2))

    plan, delta = client.plans[0], client.deltas[0]
    assert delta.header.frame_id == plan.header.frame_id == "base"
    assert delta.image_stamp == plan.image_stamp
    assert delta.duration == pytest.approx(0.25)
    assert (plan.samples, plan.iterations, plan.horizon) == (16, 2, 2)
    assert plan.weights.startswith("small-")
    assert len(plan.elite_mean) == 2 * 2 * 7
    assert len(plan.end_points) == len(plan.end_point_energies) == 16
    assert np.all(np.array(plan.energy_best) <= np.array(plan.energy_elites))
    assert np.all(np.array(plan.energy_elites) <= np.array(plan.energy_mean))
    first = plan.path[0].position
    assert (first.x, first.y, first.z) == pytest.approx(
        np.array([0.5, 0.0, 0.3]) + plan.actions[:3], abs=1e-4
    )
    assert [pose.pose for pose in client.paths[0].poses] == plan.path
    assert len(client.markers[-1].markers[0].colors) == 16


@pytest.mark.parametrize("overlap", [False, True])
def test_separate_and_composed_plan_alike(client, start_nodes, wait_until, overlap):
    """Two sub-goals, a step each: on the way to the second the goal before it matters, too."""
    ways = SEARCH | {"planner": "tiny", "goal_steps": [1], "overlap": overlap}
    start_nodes("encoder", "predictor", "planner", **ways)
    client.result(client.ask(2, 3))
    start_nodes.stop()
    for name in ("encoder", "predictor", "planner"):
        start_nodes(name, **ways)
    client.result(client.ask(2, 3))
    wait_until(lambda: len(client.plans) == 4, "four plans")
    for composed, over_services in zip(client.plans[:2], client.plans[2:], strict=True):
        assert composed.seed == over_services.seed
        assert composed.subgoal == over_services.subgoal
        assert composed.energy_now == pytest.approx(over_services.energy_now, rel=1e-3)
        np.testing.assert_allclose(composed.actions, over_services.actions, atol=2e-3)
    assert [plan.subgoal for plan in client.plans] == [0, 1, 0, 1]


def test_cancel_ends_the_task_and_holds_the_arm(client, start_planner, bench, wait_until):
    held = []

    def hold(_, response):
        held.append(True)
        return response

    service = bench.node.create_service(Trigger, "arm_gate/hold", hold)
    start_planner()
    handle = client.ask(max_steps=1000)
    wait_until(lambda: client.deltas, "an action")
    ask(bench.node, handle.cancel_goal_async, timeout=PATIENCE)
    status, result = client.result(handle)
    assert (status, result.outcome) == (GoalStatus.STATUS_CANCELED, Result.CANCELED)
    wait_until(lambda: held, "held")
    sent = len(client.deltas)
    time.sleep(1)
    assert len(client.deltas) <= sent + 1
    bench.node.destroy_service(service)


def test_what_was_planned_ahead_is_corrected_by_a_newer_image(client, start_planner, wait_until):
    """Whatever it promised; the image of an action is one that was taken after the last action."""
    start_planner(overlap=True, overlap_slack=10.0)
    _, result = client.result(client.ask(max_steps=3))
    assert (result.outcome, result.steps) == (Result.OUT_OF_STEPS, 3), result.message
    wait_until(lambda: len(client.plans) == 3, "three plans")
    assert [plan.iterations for plan in client.plans] == [2, 1, 1]
    assert [delta.sequence for delta in client.deltas] == [1, 2, 3]
    for plan, delta, last in zip(client.plans[1:], client.deltas[1:], client.deltas, strict=False):
        assert plan.image_stamp == delta.image_stamp
        assert seconds(delta.image_stamp) > seconds(last.header.stamp)


def test_an_action_follows_the_one_before_at_once(client, start_nodes):
    """Its image is taken early enough though the camera is slow, and it does not cut that off."""
    ways = SEARCH | {"overlap": True, "overlap_slack": 10.0, "step_period": 0.5}
    start_nodes("encoder", "predictor", "planner", **ways)
    _, result = client.result(client.ask(max_steps=10))
    assert (result.outcome, result.steps) == (Result.OUT_OF_STEPS, 10), result.message
    starts = [seconds(delta.header.stamp) for delta in client.deltas]
    ends = [start + 0.5 for start in starts]
    assert all(next_one >= end - 1e-3 for end, next_one in zip(ends, starts[1:], strict=False))
    seen = [seconds(delta.image_stamp) for delta in client.deltas]
    early = [image < end for end, image in zip(ends, seen[1:], strict=False)]
    assert early[0]  # how long a correction takes is not known there
    assert sum(early) >= len(early) - 1


@pytest.mark.parametrize("late", ["tool", "fingers"])
def test_an_arm_on_its_way_is_not_looked_at(client, start_nodes, bench, late):
    """One that is slower than its actions, as a starved simulation and a soft controller are."""
    start_nodes("encoder", "predictor", "planner", **SEARCH | {"settle": 0.2})
    handle = client.ask(max_steps=2)
    on_the_way = []

    def move():
        if client.deltas and len(on_the_way) < 40:
            on_the_way.append(seconds(bench.node.get_clock().now().to_msg()))
            bench.position[0] += 0.002 * (late == "tool")
            bench.width -= 0.001 * (late == "fingers")

    bench.node.create_timer(0.04, move)
    _, result = client.result(handle)
    assert (result.outcome, result.steps) == (Result.OUT_OF_STEPS, 2), result.message
    first, second = client.deltas
    assert len(on_the_way) == 40
    assert seconds(first.image_stamp) < on_the_way[0]
    assert seconds(second.image_stamp) > on_the_way[-1]


def test_an_arm_that_is_never_at_rest_is_looked_at_all_the_same(client, start_nodes, bench):
    start_nodes("encoder", "predictor", "planner", **SEARCH | {"settle": 0.2})

    def shake():
        bench.position[0] = 0.51 if bench.position[0] < 0.505 else 0.5

    bench.node.create_timer(0.05, shake)
    _, result = client.result(client.ask(max_steps=2))
    assert (result.outcome, result.steps) == (Result.OUT_OF_STEPS, 2), result.message


def test_cancel_ends_what_is_planned_ahead(client, start_nodes, bench, wait_until):
    start_nodes("encoder", "predictor", "planner", **SEARCH | {"overlap": True, "iterations": 400})
    handle = client.ask(max_steps=1000)
    wait_until(lambda: client.deltas, "an action")
    ask(bench.node, handle.cancel_goal_async, timeout=PATIENCE)
    assert client.result(handle)[1].outcome == Result.CANCELED
    assert len(client.deltas) == 1


def test_a_new_goal_takes_over(client, start_nodes, wait_until):
    start_nodes("encoder", "predictor", "planner", **SEARCH)
    first = client.ask(max_steps=1000)
    wait_until(lambda: client.deltas, "an action")
    second = client.ask(3, max_steps=1)
    assert client.result(first)[1].outcome == Result.PREEMPTED
    assert client.result(second)[1].outcome == Result.OUT_OF_STEPS
    sequence = [delta.sequence for delta in client.deltas]
    assert sequence == sorted(set(sequence))


def test_a_goal_that_is_seen_is_reached(client, start_nodes):
    start_nodes("encoder", "predictor", "planner", **SEARCH | {"planner": "tiny"})
    status, result = client.result(client.ask(1, energy_threshold=0.0))
    assert (status, result.outcome) == (GoalStatus.STATUS_SUCCEEDED, Result.REACHED)
    assert (result.steps, result.subgoals_reached) == (0, 1)
    assert result.final_energy == pytest.approx(0, abs=1e-3)


def test_a_goal_that_is_no_picture_fails_with_its_name(client, start_nodes, tmp_path):
    start_nodes("encoder", "predictor", "planner", **SEARCH)
    path = tmp_path / "goal.png"
    path.write_text("no picture")
    failed = client.result(client.ask(images=[], files=[str(path)]))[1]
    assert failed.outcome == Result.FAILED
    assert str(path) in failed.message
    missing = client.result(client.ask(images=[], files=[str(tmp_path / "none.png")]))[1]
    assert "No such file" in missing.message
    assert "one of the two" in client.result(client.ask(images=[]))[1].message
    assert client.deltas == []


def test_a_plan_that_was_thrown_away_is_as_if_it_had_never_been_made(
    client, camera, start_nodes, wait_until
):
    """The search goes on with the same numbers, and the fingers with what they may do."""
    tiny = SEARCH | {"planner": "tiny", "seed": 5, "max_image_age": 0.65}
    start_nodes("encoder", "predictor", "planner", **tiny)
    camera.delay = 0.7
    handle = client.ask(max_steps=1)
    late = "thrown away"
    wait_until(lambda: any(late in said.message for said in client.feedback), late)
    camera.delay = 0.0
    assert client.result(handle)[1].outcome == Result.OUT_OF_STEPS
    client.result(client.ask(max_steps=1))  # without a late image
    wait_until(lambda: len(client.plans) == 2, "two plans")
    after_late, undisturbed = client.plans
    assert after_late.seed == undisturbed.seed == 5
    np.testing.assert_allclose(after_late.actions, undisturbed.actions, atol=1e-3)


def test_what_a_client_asks_for_is_checked(client, start_nodes):
    start_nodes("encoder", "predictor", "planner", **SEARCH)
    for name, value in (
        ("energy_threshold", -1.0),
        ("energy_threshold", math.nan),
        ("max_seconds", math.nan),
        ("max_seconds", -1.0),
    ):
        result = client.result(client.ask(**{name: value}))[1]
        assert result.outcome == Result.FAILED
        assert f"{name} is {value:g}, expected a number of at least 0" in result.message
    assert client.deltas == []


@pytest.mark.parametrize("planner", ["tiny", "plain"])
def test_what_is_planned_is_published_and_done(client, start_nodes, model, wait_until, planner):
    """Plan, path and action say the same numbers, after all hand rules; the energy is theirs."""
    start_nodes("encoder", "predictor", "planner", **SEARCH | {"planner": planner})
    client.result(client.ask(max_steps=3))
    sent = (client.deltas, client.plans, client.paths)
    wait_until(lambda: all(len(inbox) == 3 for inbox in sent), "three plans")
    with torch.no_grad():
        seen, goal = model.encode(torch.from_numpy(np.stack([client.picture(n) for n in (1, 2)])))
    state = torch.tensor([[0.5, 0.0, 0.3, math.pi, 0.0, 0.0, 0.0]])
    context = Context(latents=seen[None], states=state)
    for delta, plan, path in zip(*sent, strict=True):
        done = [getattr(delta, name) for name in ACTION_NAMES]
        np.testing.assert_allclose(plan.actions[:7], done, atol=1e-6)
        actions = torch.tensor(plan.actions).reshape(1, -1, 7)
        energy = model.energies(context, actions, Goal(latents=goal, name="goal"), L1())
        assert delta.energy == pytest.approx(float(energy), rel=1e-3)
        assert [pose.pose for pose in path.poses] == plan.path
        first = plan.path[0].position
        moved = np.array([first.x, first.y, first.z]) - [0.5, 0.0, 0.3]
        np.testing.assert_allclose(moved, done[:3], atol=1e-4)


def test_plans_from_old_images_are_thrown_away(client, bench, camera, start_nodes):
    camera.delay = 0.3
    *_, planner = start_nodes("encoder", "predictor", "planner", **SEARCH | {"max_image_age": 0.1})
    result = client.result(client.ask())[1]
    assert result.outcome == Result.FAILED
    assert "raise max_image_age" in result.message or "camera is late" in result.message
    bench.wait_for_status("max_image_age")
    assert bench.status().level == DiagnosticStatus.WARN
    assert client.deltas == []
    assert any("thrown away" in message.message for message in client.feedback)
    assert planner._sequence == 0


def test_without_latents_it_says_so_and_gives_up(client, start_nodes):
    start_nodes("planner", **SEARCH | {"max_wait": 1.0})
    result = client.result(client.ask())[1]
    assert result.outcome == Result.FAILED
    assert "encoder does not answer" in result.message
    assert any(message.message.startswith("waiting: ") for message in client.feedback)


def test_no_progress_is_hinted_at_and_ends_the_task(client, start_nodes):
    start_nodes("encoder", "predictor", "planner", **SEARCH | {"hint_steps": 1, "patience": 3})
    result = client.result(client.ask(max_steps=0))[1]
    assert result.outcome == Result.STALLED
    assert "sub-goals would help" in result.message
    assert "sub-goals would help" in client.feedback[-2].message


@pytest.mark.parametrize(
    ("parameter", "value", "told"),
    [("solver", "ants", "one of cem"), ("planner", "big", "tiny"), ("objective", "l9", "l1, l2")],
)
def test_unknown_names_are_refused_at_the_start(start_nodes, parameter, value, told):
    with pytest.raises(UserError, match=f"planner: parameter {parameter} is '{value}'.*{told}"):
        start_nodes("planner", up=False, **{parameter: value})


def test_settings_that_do_not_fit_fail_configure(bench, start_nodes):
    bench.gate = "planner"
    start_nodes("planner", up=False, samples=16, elites=20)
    assert not bench.change_state("configure")
    bench.wait_for_status("elites is 20, expected at most samples, 16")


def test_the_planner_is_that_of_the_weights_if_none_is_named(start_nodes, weights, tmp_path):
    (planner,) = start_nodes("planner")
    assert planner._config.rules == PLANNERS["tiny"].rules


def test_without_weights_a_planner_must_be_named(bench, start_nodes, tmp_path):
    bench.gate = "planner"
    missing = str(tmp_path / "none.safetensors")
    start_nodes("planner", up=False, weights=missing)
    assert not bench.change_state("configure")
    bench.wait_for_status(f"no file {missing}, and planner is not set")


def test_deactivating_ends_the_task(client, bench, start_nodes, wait_until):
    start_nodes("encoder", "predictor", "planner", **SEARCH)
    handle = client.ask(max_steps=1000)
    wait_until(lambda: client.deltas, "an action")
    assert bench.change_state("deactivate")
    assert client.result(handle)[1].outcome == Result.FAILED
    assert not client.ask().accepted


def test_the_seed_decides(client, start_nodes, wait_until):
    start_nodes("encoder", "predictor", "planner", seed=5, **SEARCH)
    for _ in range(2):
        client.result(client.ask(max_steps=1))
    wait_until(lambda: len(client.plans) == 2, "two plans")
    assert client.plans[0].seed == client.plans[1].seed == 5
    torch.testing.assert_close(
        torch.tensor(client.plans[0].elite_mean), torch.tensor(client.plans[1].elite_mean)
    )


def test_many_goals_leave_nothing_behind(client, start_nodes):
    start_nodes("encoder", "predictor", "planner", **SEARCH | {"planner": "tiny"})

    def reach(times):
        for _ in range(times):
            result = client.result(client.ask(1, energy_threshold=0.0))[1]
            assert result.outcome == Result.REACHED, result.message

    reach(10)
    threads, memory, segments = threading.active_count(), resident(), shared_memory()
    reach(40)
    assert threading.active_count() - threads < 10  # a pool may still grow to its size
    assert resident() - memory < 10e6
    assert shared_memory() == segments


def shared_memory():
    """Files of it that this process has mapped."""
    lines = pathlib.Path("/proc/self/maps").read_text().splitlines()
    return {line.split()[-1] for line in lines if "/dev/shm/" in line}
