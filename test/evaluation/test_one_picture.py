"""What ships for one picture: the weights `objects` and the proposer beside them."""

from collections.abc import Iterable

import pytest

pytest.importorskip("vjepa_sim.scene", reason="vjepa_sim is not here")

from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.evaluation.conditions import CONDITIONS
from vjepa_ros.evaluation.runs import Evaluation, evaluate
from vjepa_ros.evaluation.trials import look_with
from vjepa_ros.model.shipped import OBJECTS, shipped
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.subgoals.choice import choose
from vjepa_ros.planning.subgoals.loading import source_of
from vjepa_ros.planning.world_model import Context
from vjepa_sim.scene import Scene

WEIGHTS = shipped(OBJECTS)


def test_straight_along_what_is_proposed_the_cube_gets_to_its_place():
    """By servo, which takes seconds; scenes that were tuned on."""
    about = Evaluation(
        task="pick_place", goals="single", driver="servo", weights=WEIGHTS, seed=6700, episodes=2
    )
    report = evaluate(about, workers=1)
    assert [trial.reason for trial in report.trials] == ["placed and released"] * 2
    assert max(report.steps_of_successes) < 40


def key_frames(task: str, thing: str, seeds: Iterable[int]) -> list[tuple[int, int]]:
    """How many the source proposes at the start of each scene, and how many are chosen."""
    loaded = load_world_model(WEIGHTS)
    model = loaded.world_model
    source = source_of("auto", WEIGHTS, lambda: loaded.identity)
    look = look_with(model.encode)
    about = Evaluation(task=task, object=thing, goals="single", weights=WEIGHTS)
    lengths = []
    with Scene() as scene:
        for seed in seeds:
            episode = CONDITIONS["plain"].begin(scene, about.make_task(), seed, "single")
            seen = scene.observe()
            now, goal = look(seen), look(episode.goals[0].observation)
            context = Context(latents=now[None], states=state_of(seen).float()[None])
            proposals = source.propose(now, goal, context.states[-1])
            chosen, _ = choose(proposals, source, model, context, goal, 0.075)
            lengths.append((len(proposals[0]), len(chosen)))
    return lengths


@pytest.mark.parametrize(("task", "expected"), [("reach", 0), ("grasp", 4), ("pick_place", 8)])
def test_the_picture_tells_how_often_the_fingers_move(task: str, expected: int):
    chosen = [one for _, one in key_frames(task, "cube", range(6800, 6808))]
    assert chosen.count(expected) >= 7


def test_where_the_proposer_errs_imagination_tells():
    """Of cups at their place, the picture of one of which it takes for that of a reach."""
    assert key_frames("pick_place", "cup", (6014, 6144)) == [(0, 8), (8, 8)]


def test_where_imagination_errs_the_proposer_tells():
    """Of cubes that are held up, the pictures of which look nearer after letting go in the air."""
    assert key_frames("grasp", "cube", (6100, 6115, 6123, 6135)) == [(4, 4)] * 4


def test_a_cup_in_the_hand_is_no_picture_of_a_reach():
    """As it is to a proposer that has learnt to read from scenes in which nothing is held."""
    assert key_frames("grasp", "cup", (6124, 6144, 6148)) == [(4, 4)] * 3
