"""A proposer learns the way from recordings alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vjepa_ros.model.reader import UNIT, hands_of
from vjepa_ros.planning.subgoals.bank import Bank
from vjepa_ros.planning.subgoals.proposer import ProposerSource
from vjepa_ros.training.subgoals import (
    Learning,
    Scenes,
    SubGoalConfig,
    draw_pairs,
    usable_episodes,
)


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Picking at one place and placing at another; latents are the state and the thing's place."""
    rng = np.random.default_rng(0)
    states, latents, lengths = [], [], []
    for _ in range(60):
        (x, y), (u, v) = rng.uniform((0.4, -0.2), (0.6, 0.2), (2, 2))
        poses = [(*rng.uniform((0.4, -0.1, 0.25), (0.5, 0.1, 0.35)), 0.0)]
        for place, before, after in (((x, y), 0.0, 0.5), ((u, v), 0.5, 0.2)):
            heights = ((0.17, before), (0.02, before), (0.02, after), (0.17, after))
            poses += [(*place, z, c) for z, c in heights]
        way = np.repeat(np.array(poses), 2, axis=0)
        lengths.append(len(way))
        state = np.zeros((len(way), 7))
        state[:, [0, 1, 2, 6]] = way
        held = state[:, 6] == 0.5
        thing = np.where(held[:, None], way[:, :2], (x, y))
        thing[len(way) - 3 :] = u, v
        states.append(state)
        numbers = (way[:, :3] * 5, 2 * way[:, 3:] - 1, thing * 5, held[:, None])
        latents.append(np.concatenate(numbers, 1))
    return Bank(
        latents=np.concatenate(latents).astype(np.float16)[:, None],
        pictures=np.full((sum(lengths), 64, 64, 3), 100, np.uint8),
        states=np.concatenate(states),
        lengths=np.array(lengths),
        weights="known",
    )


def test_pairs_are_ordered_and_know_their_way(bank: Bank):
    keys, episodes = bank.key_table(8), usable_episodes(bank, 2)
    pairs = draw_pairs(bank, episodes, keys, 500, np.random.default_rng(0), last=0.5)
    assert (pairs.now < pairs.goal).all()
    assert set(pairs.moves) == {0, 1, 2}
    assert not pairs.counted[pairs.moves == 0].any()
    assert not pairs.counted[pairs.moves == 1][:, 4:].any()
    ahead = np.take_along_axis(pairs.frames, np.minimum(pairs.phase, 7)[:, None], 1)[:, 0]
    on_the_way = pairs.phase < 4 * pairs.moves
    assert (ahead > pairs.now)[on_the_way].all()


def test_the_way_is_learnt(bank: Bank):
    learning = Learning(bank, SubGoalConfig(steps=600, batch=128, noise=0.0))
    before = learning.errors()
    learning.run()
    after = learning.errors()
    assert after["key frame 0, cm"] < 0.3 * before["key frame 0, cm"]
    assert after["key frame 5, cm"] < 0.3 * before["key frame 5, cm"]
    assert after["phase"] > 0.6  # of two frames alike, one is before its key frame, one is it
    assert after["moves"] > 0.9


def test_what_asks_for_no_way_is_learnt_too(bank: Bank):
    """As for a reach: the tool is elsewhere, the thing is where it was."""
    reaching = replace(
        bank, states=bank.states.copy(), latents=bank.latents.copy(), lengths=bank.lengths.copy()
    )
    first = bank.first_steps[30:]
    for start, length in zip(first, bank.lengths[30:], strict=True):
        steps = slice(start, start + length)
        reaching.states[steps, 6] = 0.0
        reaching.latents[steps, 0, 3] = -1
        reaching.latents[steps, 0, 4:7] = reaching.latents[start, 0, 4:7]
    learning = Learning(reaching, SubGoalConfig(steps=400, batch=128, noise=0.0))
    learning.run()
    assert learning.errors()["moves"] > 0.9


def test_latents_are_painted_as_they_looked(bank: Bank):
    seen = replace(bank, pictures=bank.pictures.copy())
    bright = (20 * seen.latents[:, 0, 0]).astype(np.uint8)  # as the tool's x has it
    seen.pictures[:] = bright[:, None, None, None]
    source = ProposerSource(net=Learning(seen, SubGoalConfig()).net.eval())
    painted = source.picture(torch.from_numpy(seen.latents[0]).float())
    assert painted.shape == (64, 64, 3)
    assert painted.mean() == pytest.approx(bright[0], abs=2)


def test_too_few_demonstrations_are_refused(bank: Bank):
    one = Bank(
        latents=bank.latents[:18],
        pictures=bank.pictures[:18],
        states=bank.states[:18],
        lengths=bank.lengths[:1],
        weights="",
    )
    with pytest.raises(ValueError, match="found 1 episodes whose fingers move once or twice"):
        Learning(one, SubGoalConfig())
    still = replace(bank, states=np.zeros_like(bank.states))
    with pytest.raises(ValueError, match="found 0 episodes whose fingers move once or twice"):
        Learning(still, SubGoalConfig())


def test_scenes_teach_to_read_and_that_is_kept(bank: Bank):
    thing, held = bank.latents[:, 0, 4:6].astype(np.float64) / 5, bank.latents[:, 0, 6]
    objects = np.column_stack((thing, np.full(len(thing), 0.02), held))
    scenes = Scenes(bank, objects)
    config = SubGoalConfig(steps=3, reading_steps=300, batch=128, noise=0.0)
    learning = Learning(bank, config, scenes)
    learning.run()
    states = torch.from_numpy(bank.states).float()
    latents = torch.from_numpy(bank.latents).float()
    truth = torch.from_numpy(objects[:, :2]).float() - states[:, :2]
    with torch.no_grad():
        told, blind = (learning.net.look(latents, hands) for hands in (hands_of(states), None))
    for read in (told, blind):
        assert (UNIT * read[:, 4:6] - truth).norm(dim=1).median() < 0.02
    assert not any(one.requires_grad for one in learning.net.look.parameters())


def test_scenes_that_tell_no_object_are_refused(bank: Bank):
    scenes = Scenes(bank, np.full((len(bank.states), 4), np.nan))
    with pytest.raises(ValueError, match="do not tell where any object is"):
        Learning(bank, SubGoalConfig(), scenes).run()
