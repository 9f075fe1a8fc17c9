"""What goes wrong in laboratories, done to the running graph: the arm holds, all say why, and
when it is over the task goes on, or has ended with a reason."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from vjepa_msgs.action import ReachGoal
from vjepa_msgs.msg import EndEffectorDelta

from vjepa_gate.ros.spinning import spinning_node

MAX_COMMAND_AGE = 0.5  # of the gate
Result = ReachGoal.Result


@pytest.fixture
def on_the_way(lab, wait_until):
    """A task under way, and the arm with it."""
    moves = lab.moves()
    handle = lab.head_for()
    wait_until(moves, "moving", lambda: lab.feedback[-1:])
    return handle


@pytest.fixture
def goes_on(lab, wait_until):
    def goes_on(handle):
        wait_until(lab.moves(), "moving again", lambda: lab.feedback[-1:])
        assert lab.cancel(handle).outcome == Result.CANCELED

    return goes_on


# --- killed in mid-motion ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why"), [("encoder", "no new latents"), ("predictor", "the predictor")]
)
def test_a_task_outlives_a_killed_model(lab, on_the_way, goes_on, wait_until, name, why):
    waits = lab.waits_because(why)
    with lab.killed(name):
        wait_until(lab.stands(), "standing")
        assert lab.late_targets() < MAX_COMMAND_AGE + 0.3
        wait_until(waits, "waiting")
        lab.watcher.wait_until_told("planner", why)
    goes_on(on_the_way)


def test_a_killed_planner_is_back_for_the_next_goal(lab, on_the_way, wait_until):
    with lab.killed("planner"):
        wait_until(lab.stands(), "standing")
        assert lab.late_targets() < MAX_COMMAND_AGE + 0.3
        lab.watcher.wait_until_told("arm_gate", "holding: no action for")
        lab.forget(on_the_way)
    lab.watcher.wait_until_told("planner", "waiting for a goal")
    moves = lab.moves()
    lab.head_for_anew()
    wait_until(moves, "moving to the next goal", lambda: lab.feedback[-1:])


def test_while_the_gate_hangs_no_step_is_counted(lab, on_the_way, goes_on, wait_until):
    waits = lab.waits_because("arm_gate: it has said nothing")
    gate = lab.pids()["arm_gate"]
    os.kill(gate, signal.SIGSTOP)
    try:
        wait_until(waits, "waiting", lambda: lab.feedback[-1:])
        sent = len(lab.deltas)
        time.sleep(1.0)
        assert len(lab.deltas) == sent
    finally:
        os.kill(gate, signal.SIGCONT)
    goes_on(on_the_way)


# --- camera, states, gripper ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "who", "why"),
    [
        ({"camera_freeze": True}, "arm_gate", "camera image has not changed while the tool moved"),
        ({"camera_black": True}, "encoder", "it shows nothing (contrast 0.0 of 255"),
        ({"camera_wrong_size": True}, "encoder", "it is 32×32, the first one was 64×64"),
        ({"camera_drop": 1.0}, "arm_gate", "newest camera image is"),
        ({"camera_delay": 5.0}, "arm_gate", "newest camera image is"),
        ({"state_stop": True}, "arm_gate", "stopped: newest measured pose is"),
    ],
    ids=["frozen", "black", "wrong size", "silent", "5 s late", "states stop"],
)
def test_the_arm_holds_until_the_senses_are_back(
    lab, on_the_way, goes_on, wait_until, fault, who, why
):
    waits = lab.waits_because(why.removeprefix("stopped: "))
    lab.inflict(**fault)
    lab.watcher.wait_until_told(who, why)
    wait_until(lab.stands(), "standing")
    wait_until(waits, "waiting", lambda: lab.feedback[-1:])
    lab.heal()
    goes_on(on_the_way)


def test_a_gripper_that_refuses_is_told_and_asked_again(lab, wait_until):
    def sends_and_reads(refused):
        send(dclosedness=1.0)
        time.sleep(0.2)
        return refused == ("gripper: closing was refused" in lab.watcher.told("arm_gate"))

    with lab.in_place_of_the_planner() as send:
        lab.inflict(gripper_refuse=True)
        wait_until(lambda: sends_and_reads(refused=True), "refused")
        lab.heal()
        wait_until(lambda: sends_and_reads(refused=False), "taken")


# --- too many masters ----------------------------------------------------------------------


def test_a_second_planner_stops_both_while_it_is_there(lab, on_the_way, goes_on, wait_until):
    why = "2 nodes publish actions, expected one"
    waits = lab.waits_because(why)
    with spinning_node("second_planner") as second:
        second.create_publisher(EndEffectorDelta, "ee_delta", 10)
        lab.watcher.wait_until_told("arm_gate", f"holding: {why}")
        wait_until(lab.stands(), "standing")
        wait_until(waits, "waiting")
    goes_on(on_the_way)


def test_of_two_goals_at_once_one_is_headed_for(lab, goes_on, wait_until):
    with ThreadPoolExecutor() as threads:
        handles = list(threads.map(lambda _: lab.head_for(), range(2)))
    wait_until(lambda: any(lab.has_ended(handle) for handle in handles), "one taken over")
    over, headed_for = sorted(handles, key=lab.has_ended, reverse=True)
    result = lab.result(over)
    assert (result.outcome, result.message) == (Result.PREEMPTED, "a new goal took over")
    goes_on(headed_for)


# --- cancel --------------------------------------------------------------------------------


def test_cancel_at_any_moment(lab, wait_until):
    for delay in (0.0, 0.03, 0.1, 0.25, 0.5, 0.8):
        handle = lab.head_for()
        time.sleep(delay)
        result = lab.cancel(handle)
        assert (result.outcome, result.message) == (Result.CANCELED, "canceled: the arm holds")
        wait_until(lab.stands(0.3), "standing")
        sent = len(lab.deltas)
        time.sleep(0.3)
        assert len(lab.deltas) == sent


def test_cancel_while_it_waits(lab, on_the_way, wait_until):
    waits = lab.waits_because("newest camera image is")
    lab.inflict(camera_drop=1.0)
    wait_until(waits, "waiting")
    assert lab.cancel(on_the_way).outcome == Result.CANCELED


# --- goals, weights, parameters ------------------------------------------------------------


@pytest.mark.parametrize("size", [(48, 64), (480, 640), (16, 16)])
def test_a_goal_of_another_resolution(lab, draw, size):
    result = lab.result(lab.head_for(images=[draw(2, size)], max_steps=1))
    assert (result.outcome, result.steps) == (Result.OUT_OF_STEPS, 1)


def test_a_goal_that_is_no_image(lab, tmp_path):
    path = tmp_path / "goal.png"
    path.write_text("no picture")
    sent = len(lab.deltas)
    result = lab.result(lab.head_for(images=[], files=[str(path)]))
    assert result.outcome == Result.FAILED
    assert str(path) in result.message
    assert "expected a JPEG or PNG" in result.message
    lab.watcher.wait_until_told("planner", "expected a JPEG or PNG")
    assert len(lab.deltas) == sent


def test_weights_of_another_model(lab, on_the_way, goes_on, wait_until, make_weights):
    waits = lab.waits_because("give both nodes the same weights")
    lab.reconfigure("predictor", weights=make_weights(1))
    lab.watcher.wait_until_told("predictor", "give both nodes the same weights")
    wait_until(waits, "waiting")
    wait_until(lab.stands(), "standing")
    lab.reconfigure("predictor", weights=make_weights(0))
    goes_on(on_the_way)


@pytest.mark.parametrize(
    ("name", "parameter", "value", "bounds"),
    [
        ("arm_gate", "max_image_age", 4000.0, "Min: 0.05, Max: 3600.0"),
        ("encoder", "max_image_age", 0.0, "Min: 0.05, Max: 3600.0"),
        ("predictor", "surprise_deviations", 0.5, "Min: 1.0, Max: 10.0"),
        ("planner", "samples", -1, "Min: 2, Max: 100000"),
        ("planner", "max_step", float("nan"), "Min: 0.001, Max: 3.0"),
    ],
)
def test_a_parameter_out_of_range(lab, name, parameter, value, bounds):
    refusal = lab.watcher.set(name, **{parameter: value})
    assert parameter in refusal
    assert bounds in refusal


# --- a gate that hangs -----------------------------------------------------------------------


def test_what_a_stopped_gate_did_not_do_is_no_step(lab, wait_until):
    """Not for long enough to be missed: of what came meanwhile it takes the last."""
    before, process = _accepted(lab), lab.pids()["arm_gate"]
    moves = lab.moves()
    handle = lab.head_for()
    wait_until(moves, "moving", lambda: lab.feedback[-1:])
    for _ in range(3):
        os.kill(process, signal.SIGSTOP)
        time.sleep(2.0)
        os.kill(process, signal.SIGCONT)
        wait_until(lab.moves(), "moving again", lambda: lab.feedback[-1:])
    steps = lab.cancel(handle).steps
    assert steps > 3
    assert steps <= _accepted(lab) - before + 1  # the last one was perhaps not told yet


def _accepted(lab):
    """As the gate tells it now; it does so once a second."""
    lab.watcher.diagnostics.clear()
    while "arm_gate" not in lab.watcher.diagnostics:
        time.sleep(0.1)
    values = lab.watcher.diagnostics["arm_gate"].values
    return int({value.key: value.value for value in values}["accepted"])
