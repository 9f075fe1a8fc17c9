"""The hand: what it is told, how often, and what is said when it fails."""

import dataclasses

import pytest

from vjepa_gate.hand import HandResult, make_hand

SUCCEEDED, ABORTED = HandResult(outcome="succeeded"), HandResult(outcome="aborted")
STALLED = HandResult(outcome="succeeded", stalled=True)
OBJECT = 0.05  # metres


class Rig:
    """A hand, and fingers that stop at an object if there is one."""

    def __init__(self, gripper):
        self.hand = make_hand(gripper)
        self.now, self.goals = 0.0, []
        self.hand.observe(gripper.max_width)

    def plan(self, change):
        self.now += 1.0
        closedness = min(max(self.hand.closedness + change, 0.0), 1.0)
        goal = self.hand.plan(change, closedness, self.now)
        if goal is not None:
            self.goals.append(goal)
        return goal

    def end(self, result=SUCCEEDED, width=None):
        if width is not None:
            self.hand.observe(width)
        self.hand.finished(self.goals[-1], result)

    def kinds(self):
        return [goal.kind for goal in self.goals]


@pytest.fixture
def franka(robot):
    return Rig(dataclasses.replace(robot.gripper, kind="franka_hand"))


@pytest.fixture
def position(robot):
    return Rig(robot.gripper)


# --- franka_gripper's own actions -------------------------------------------------------------


def test_five_planned_closings_grasp_once_and_an_opening_lets_go(franka):
    """A second grasp on what is held hangs, or loses it (libfranka issues 93 and 108)."""
    franka.plan(0.6)
    franka.end(width=OBJECT)
    for change in (0.5, 0.3, 1.0, 0.6, 0.25):
        assert franka.plan(change) is None
    assert franka.hand.doing() == "holding 50 mm"
    goal = franka.plan(-0.3)
    assert (goal.kind, goal.width, goal.stop_first) == ("open", 0.08, True)
    franka.end(width=0.08)
    assert franka.kinds() == ["grasp", "open"]
    assert franka.hand.trouble(franka.now) == ""


def test_a_grasp_closes_on_whatever_there_is(franka, robot):
    goal = franka.plan(0.3)
    assert (goal.kind, goal.width, goal.closing, goal.stop_first) == ("grasp", 0.0, True, False)
    assert robot.gripper.epsilon >= robot.gripper.max_width


@pytest.mark.parametrize("change", [0.2, -0.2, 0.0])
def test_small_changes_leave_it_alone_open_or_holding(franka, change):
    assert franka.plan(change) is None
    franka.plan(0.5)
    assert franka.plan(change) is None  # on its way
    franka.end(width=OBJECT)
    assert franka.plan(change) is None


@pytest.mark.parametrize("change", [-0.15, -0.12, -0.06])
def test_what_is_almost_as_wide_as_the_hand_is_let_go_by_opening_wholly(franka, change):
    franka.plan(0.5)
    franka.end(width=0.068)
    goal = franka.plan(change)
    assert (goal and goal.kind) == ("open" if change < -0.1 else None)


def test_an_open_hand_is_not_opened(franka):
    assert franka.plan(-0.5) is None


def test_a_hand_that_changes_its_mind_is_stopped_first(franka):
    franka.plan(0.5)
    franka.hand.observe(0.07)
    assert franka.plan(-0.5).stop_first
    franka.end(HandResult(outcome="canceled"), width=0.07)


def test_an_aborted_grasp_is_told_and_asked_again_by_the_next_closing(franka):
    franka.plan(0.6)
    franka.end(HandResult(outcome="aborted", why="libfranka: no"), width=OBJECT)
    told = "closing was aborted, the fingers are at 50 mm: libfranka: no"
    assert franka.hand.trouble(franka.now) == told
    assert franka.plan(0.1) is None
    assert franka.plan(0.5).kind == "grasp"
    franka.end(width=OBJECT)
    assert franka.hand.trouble(franka.now) == ""


def test_a_hand_that_was_not_homed_aborts_every_opening_and_it_is_told(franka):
    franka.plan(0.6)
    franka.end(width=0.0)
    for _ in range(3):
        assert franka.plan(-0.6).kind == "open"
        franka.end(ABORTED)
        assert "opening was aborted, the fingers are at 0 mm" in franka.hand.trouble(franka.now)
        assert "the hand is not homed: with nothing between" in franka.hand.trouble(franka.now)


def test_a_hand_that_never_answers_is_told(franka):
    franka.plan(0.6)
    franka.now += 11
    assert franka.hand.trouble(franka.now) == "no answer for 11 s to its last goal"
    franka.hand.observe(OBJECT)
    assert franka.plan(0.6) is None  # it may hold
    assert franka.plan(-0.6).stop_first


def test_the_result_of_an_earlier_goal_says_nothing_of_this_one(franka):
    franka.plan(0.6)
    earlier = franka.goals[-1]
    franka.hand.observe(0.06)
    franka.plan(-0.6)
    franka.hand.finished(earlier, ABORTED)
    assert franka.hand.trouble(franka.now) == ""
    assert franka.hand.doing() == "opening"


def test_what_slips_out_of_the_hand_is_told(franka):
    franka.plan(0.6)
    franka.end(width=OBJECT)
    franka.hand.observe(OBJECT - 0.004)
    assert franka.hand.trouble(franka.now) == ""
    franka.hand.observe(0.001)
    assert franka.hand.trouble(franka.now) == (
        "what it held at 50 mm is lost, the fingers are at 1 mm"
    )


def test_a_hand_that_others_opened_is_closed_again(franka):
    franka.plan(0.6)
    franka.end(width=OBJECT)
    franka.hand.observe(0.08)
    assert franka.plan(0.6).kind == "grasp"


def test_a_hand_that_starts_closed_is_stopped_before_anything_else(robot):
    rig = Rig(dataclasses.replace(robot.gripper, kind="franka_hand"))
    rig.hand.observe(OBJECT)
    assert rig.plan(0.5).stop_first
    assert rig.plan(-0.5).stop_first


def test_fingers_that_somebody_else_has_opened_are_closed_again(position):
    """By another program, by hand, or in a scene that was built anew."""
    closing = position.plan(1.0)
    position.end(STALLED, width=OBJECT)
    position.hand.observe(OBJECT + 0.003)  # what it holds gives way
    assert position.plan(1.0) is None
    position.hand.observe(0.08)
    assert position.hand.doing() == "at 80 mm"
    again = position.plan(1.0)
    assert (again.width, again.closing) == (closing.width, True)


def test_fingers_that_somebody_else_has_closed_are_opened_again(position):
    position.plan(1.0)
    position.end(width=0.0)
    opening = position.plan(-1.0)
    position.end(width=0.08)
    position.hand.observe(0.02)
    assert position.plan(-0.75).width == opening.width


# --- homing ------------------------------------------------------------------------------------


@pytest.fixture
def homing(robot):
    rig = Rig(dataclasses.replace(robot.gripper, kind="franka_hand"))
    rig.hand = make_hand(dataclasses.replace(robot.gripper, kind="franka_hand"), home=True)
    return rig


def prepare(rig):
    rig.now += 1.0
    goal = rig.hand.due(rig.now)
    if goal is not None:
        rig.goals.append(goal)
    return goal


def test_nothing_is_done_before_the_fingers_were_seen_open(homing):
    assert prepare(homing) is None
    homing.hand.observe(OBJECT)  # it may hold something
    assert prepare(homing) is None
    assert homing.hand.busy() == ""


def test_a_homed_hand_is_asked_once_and_not_homed(homing):
    homing.hand.observe(0.08)
    assert homing.hand.busy() == "the hand is homed first, if it was not"
    assert (prepare(homing).kind, homing.goals[-1].width) == ("open", pytest.approx(0.079))
    homing.end(width=0.079)
    assert prepare(homing) is None
    assert homing.hand.busy() == ""
    assert homing.plan(0.6).kind == "grasp"


def test_a_homing_that_failed_is_told_and_not_tried_again(homing):
    homing.hand.observe(0.08)
    prepare(homing)
    homing.end(ABORTED)
    assert prepare(homing).kind == "home"
    assert homing.hand.busy() == "the hand is being homed"
    homing.end(ABORTED)
    assert prepare(homing) is None
    assert homing.hand.busy() == ""
    assert "homing was aborted, the fingers are at 80 mm" in homing.hand.trouble(homing.now)
    assert "the hand is not homed" in homing.hand.trouble(homing.now)


def test_a_hand_that_may_not_be_homed_is_told(franka):
    franka.hand.observe(0.08)
    assert prepare(franka).kind == "open"
    assert franka.hand.busy() == ""
    franka.end(ABORTED)
    assert prepare(franka) is None
    franka.plan(0.6)
    franka.end(width=OBJECT)
    assert "the hand is not homed" in franka.hand.trouble(franka.now)
    assert "home_hand:=true" in franka.hand.trouble(franka.now)


def test_a_hand_that_is_not_there_yet_is_asked_again(homing):
    homing.hand.observe(0.08)
    for _ in range(3):
        assert prepare(homing).kind == "open"
        homing.end(HandResult(outcome="refused", why="no action server"))
    assert homing.hand.busy()


# --- control_msgs/GripperCommand --------------------------------------------------------------


def test_a_position_that_holds_is_not_tightened(position):
    """franka_ros2's gripper_action grasps anew for each closing, and lets go meanwhile."""
    position.plan(0.6)
    position.end(STALLED, width=OBJECT)
    for change in (0.7, 0.65, 1.0, 0.8, 0.62):
        assert position.plan(change) is None
    assert position.plan(-0.3).width == pytest.approx(0.074)


def test_a_position_that_was_aborted_is_told_and_asked_again(position):
    position.plan(0.6)
    position.end(ABORTED, width=OBJECT)
    assert "closing was aborted, the fingers are at 50 mm" in position.hand.trouble(position.now)
    assert position.plan(0.6) is not None


def test_an_opening_that_stalls_is_told(position):
    position.plan(1.0)
    position.end(width=0.0)
    position.plan(-1.0)
    position.end(STALLED, width=0.02)
    assert position.hand.trouble(position.now) == "opening was stalled, the fingers are at 20 mm"
