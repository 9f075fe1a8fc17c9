"""Key frames as actions and as imagined latents, and the choice between proposals."""

from dataclasses import replace

import pytest
import torch
from table_world import (
    HIGH,
    LOW,
    KnowsTheWay,
    TableWorld,
    WhetherItIsLetGo,
    goal_picture,
    held_picture,
    way,
    work,
)

from vjepa_ros.planning.subgoals.choice import choose
from vjepa_ros.planning.subgoals.source import (
    Moving,
    Proposal,
    imagine,
    key_frame_actions,
    led_to_the_hand,
)


def test_a_key_frame_is_reached_in_equal_strides_and_the_fingers_move_last():
    actions = key_frame_actions(torch.zeros(7), torch.tensor((0.2, 0.0, -0.1)), 0.6, 0.075, most=4)
    assert actions.shape == (3, 7)
    assert actions[:, :3].sum(0).tolist() == pytest.approx([0.2, 0.0, -0.1])
    assert actions[:, 6].tolist() == pytest.approx([0, 0, 0.6])
    assert actions[:, :3].abs().max() <= 0.075


def test_a_far_key_frame_takes_no_more_steps_than_the_model_was_trained_for():
    actions = key_frame_actions(torch.zeros(7), torch.tensor((0.6, 0.0, 0.0)), 0.0, 0.075, most=4)
    assert len(actions) == 4


def test_each_key_frame_is_imagined_from_the_one_before():
    world = TableWorld()
    context = world.context()
    [proposal] = KnowsTheWay().propose(context.latents[-1], goal_picture(), context.states[-1])
    imagined = imagine(world, context, proposal, 0.075, count=4)
    assert imagined.shape == (4, 1, 8)
    assert imagined[3, 0, 6] == pytest.approx(HIGH)  # the thing went up with the hand
    assert imagined[3, 0, 7] == 1


def test_a_proposal_has_a_position_for_each_closedness():
    with pytest.raises(ValueError, match=r"positions \[2, 3\], closedness \[3\]"):
        Proposal(phase=0, positions=torch.zeros(2, 3), closedness=torch.zeros(3), confidence=1.0)


def test_the_proposal_that_imagination_bears_out_is_taken():
    world, source = TableWorld(), KnowsTheWay()
    context, goal = world.context(), goal_picture()
    [right] = source.propose(context.latents[-1], goal, context.states[-1])
    aside = replace(right, positions=right.positions + torch.tensor((0.05, 0.0, 0.0)))
    for proposals in ([aside, right], [right, aside]):
        assert choose(proposals, source, world, context, goal, 0.075).proposal is right


def kinds(world, goal, trust):
    """Straight to where the hand is in the picture, so trusted, and the way that is right."""
    context = world.context()
    [right] = KnowsTheWay().propose(context.latents[-1], goal, context.states[-1])
    straight = Proposal(
        phase=0,
        positions=torch.empty(0, 3),
        closedness=torch.empty(0),
        confidence=trust,
        hand=goal[0, :3],
    )
    return straight, replace(right, confidence=1 - trust)


def test_a_picture_that_is_taken_for_that_of_a_reach_is_none_where_imagination_says_so():
    """The hand would be where the picture has it, and the thing would not."""
    world, goal = TableWorld(), goal_picture()
    straight, right = kinds(world, goal, trust=0.9)
    chosen, _ = choose((straight, right), KnowsTheWay(), world, world.context(), goal, 0.075)
    assert chosen.end == right.end
    assert chosen.confidence > 0.9


def test_a_picture_of_a_reach_is_gone_to_straight():
    world = TableWorld()
    now = world.context().latents[-1]
    goal = now.clone()
    goal[0, :3] += torch.tensor((0.1, 0.05, 0.05))
    straight, _ = kinds(world, goal, trust=0.1)
    _, other = kinds(TableWorld(), goal_picture(), trust=0.1)
    chosen, _ = choose((other, straight), KnowsTheWay(), world, world.context(), goal, 0.075)
    assert not len(chosen)


def test_ways_that_move_no_finger_do_not_count_where_some_have_to():
    class Both(KnowsTheWay):
        def propose(self, now, goal, state):
            return list(kinds(TableWorld(), goal, trust=0.9))

    context, goal = TableWorld().context(), goal_picture()
    moving = Moving(Both())
    [only] = moving.propose(context.latents[-1], goal, context.states[-1])
    assert only.end == 8
    assert moving.disagreement(goal, goal) == 0


def grasp(hand):
    """The way of a grasp at y = 0 as it is led to a hand, as it is known, and the state [7]."""
    frames = work(torch.tensor((0.5, 0.0, LOW)), 0.0, 0.5)
    known = way(0, torch.stack([place for place, _ in frames]), torch.tensor([0.0, 0, 0.5, 0.5]))
    state = TableWorld().context().states[-1]
    return led_to_the_hand(replace(known, hand=torch.tensor(hand)), state), known, state


def test_a_way_ends_where_the_hand_is_in_the_picture():
    led, known, _ = grasp((0.51, 0.0, HIGH))
    assert led.positions.equal(known.positions)  # as nearly as a hand is seen in a picture
    led, known, _ = grasp((0.6, 0.2, 0.15))
    assert (led.end, led.phase) == (5, 0)
    assert led.positions[:4].equal(known.positions)
    assert led.positions[4].tolist() == pytest.approx([0.6, 0.2, 0.15])
    assert led.closedness.tolist() == [0, 0, 0.5, 0.5, 0.5]


def test_a_hand_that_is_seen_where_its_fingers_work_does_not_go_away_from_there():
    led, known, _ = grasp((0.5, 0.01, LOW))
    assert led.end == 4
    assert led.positions[:3].equal(known.positions[:3])
    assert led.positions[3].tolist() == pytest.approx([0.5, 0.01, LOW])


def test_a_way_that_has_no_key_frame_ahead_goes_on_with_what_the_fingers_have():
    _, known, state = grasp((0.5, 0.0, HIGH))
    state[6] = 0.4
    done = replace(known, phase=4, positions=torch.empty(0, 3), closedness=torch.empty(0))
    led = led_to_the_hand(replace(done, hand=torch.tensor((0.6, 0.2, 0.15))), state)
    assert led.positions.tolist() == [pytest.approx([0.6, 0.2, 0.15])]
    assert led.closedness.tolist() == [pytest.approx(0.4)]
    assert led_to_the_hand(replace(done, hand=state[:3]), state).end == 4


def test_what_is_held_in_the_picture_is_not_let_go():
    """Where it is held elsewhere than it was lifted, too."""
    world, source, goal = TableWorld(), WhetherItIsLetGo(), held_picture((0.55, 0.15, HIGH))
    context = world.context()
    proposals = source.propose(context.latents[-1], goal, context.states[-1])
    assert [one.end for one in proposals] == [8, 5]
    assert choose(proposals, source, world, context, goal, 0.075).proposal.end == 5
