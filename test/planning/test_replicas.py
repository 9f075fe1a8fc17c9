"""Candidates shared out to several replicas: one's numbers, to the bit, whatever happens."""

import threading

import pytest
import torch

from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.loading import load_world_model
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.replicas import Replicas
from vjepa_ros.planning.world_model import GRAIN, Context, Goal

PATIENCE = 60  # seconds


class Lost(RuntimeError):
    """As a node that is gone."""


class Scorer:
    """The sum of the squares, and which candidates were asked for."""

    def __init__(self, work=None):
        self.rows, self.work = [], work

    def __call__(self, actions):
        if self.work is not None:
            self.work()
        self.rows.append(len(actions))
        return actions.square().sum((-1, -2))


@pytest.fixture(autouse=True)
def one_thread():
    """For each replica, as the bits of a sum may depend on how many threads share it."""
    torch.set_num_threads(1)


@pytest.fixture
def actions():
    return torch.randn(64, 2, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def replicas():
    replicas = Replicas(2, failures=Lost)
    yield replicas
    replicas.close()


@pytest.mark.parametrize("count", [1, 7, 8, 9, 15, 16, 17, 40, 64, 300])
def test_two_devices_score_as_one(count):
    one, two = (load_world_model(SHIPPED_WEIGHTS, name).world_model for name in ("cpu", "cpu,cpu"))
    generator = torch.Generator().manual_seed(count)
    context, goal = scene(one, generator)
    actions = 0.05 * torch.randn(count, 2, 7, generator=generator)
    with torch.no_grad():
        energies = [model.cost(context, goal, L1())(actions) for model in (one, two)]
    assert torch.equal(*energies)


@pytest.mark.parametrize("count", [64, 300])
def test_energies_do_not_depend_on_what_else_is_scored(count):
    """Whoever is slower for a moment gets a smaller share."""
    model = load_world_model(SHIPPED_WEIGHTS, "cpu").world_model
    generator = torch.Generator().manual_seed(count)
    score = model.cost(*scene(model, generator), L1())
    actions = 0.05 * torch.randn(count, 2, 7, generator=generator)
    with torch.no_grad():
        whole = score(actions)
        for cut in range(GRAIN, count, GRAIN):
            assert torch.equal(whole, torch.cat([score(actions[:cut]), score(actions[cut:])])), cut


def test_two_devices_plan_as_one():
    generator = torch.Generator().manual_seed(0)
    plans = []
    for device in ("cpu", "cpu,cpu"):
        model = load_world_model(SHIPPED_WEIGHTS, device).world_model
        context, goal = scene(model, generator.manual_seed(0))
        planner = Planner(PLANNERS["tiny"], model)
        _, decision = planner.plan(planner.start(context, [goal], seed=3), context)
        plans.append(decision.solution)
    assert torch.equal(plans[0].actions, plans[1].actions)
    # NaN where iCEM's later populations are smaller.
    energies = [plan.statistics.energies.nan_to_num(-1.0) for plan in plans]
    assert torch.equal(*energies)


def scene(model, generator):
    rgb = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=generator)
    latents = model.encode(rgb)
    state = torch.tensor([[0.5, 0.0, 0.3, 3.1, 0.0, 0.0, 0.0]])
    return Context(latents=latents[:1], states=state), Goal(latents=latents[1])


def test_the_slower_one_gets_less(replicas, actions):
    fast = Scorer(lambda: threading.Event().wait(0.01))
    slow = Scorer(lambda: threading.Event().wait(0.1))
    cost, many = replicas.cost([slow, fast]), actions.repeat(4, 1, 1)
    for _ in range(4):
        assert torch.equal(cost(many), many.square().sum((-1, -2)))
    assert slow.rows[0] == fast.rows[0] == 128
    assert slow.rows[-1] < 64 < 192 < fast.rows[-1]


@pytest.mark.parametrize(
    ("count", "shares"), [(2 * GRAIN, [GRAIN, GRAIN]), (2 * GRAIN - 1, [GRAIN, GRAIN - 1])]
)
def test_a_small_population_is_shared_out(replicas, actions, count, shares):
    scorers = [Scorer(), Scorer()]
    cost = replicas.cost(scorers)
    assert torch.equal(cost(actions[:count]), actions[:count].square().sum((-1, -2)))
    assert [scorer.rows for scorer in scorers] == [[share] for share in shares]


def test_one_that_is_killed_costs_only_its_candidates(replicas, actions):
    gone = threading.Event()

    def work():
        if gone.is_set():
            raise Lost("killed")

    killed, other = Scorer(work), Scorer()
    cost = replicas.cost([killed, other])
    cost(actions)
    killed.rows.clear()
    other.rows.clear()
    gone.set()
    assert torch.equal(cost(actions), actions.square().sum((-1, -2)))
    assert not killed.rows
    assert len(other.rows) == 2
    assert sum(other.rows) == 64

    other.rows.clear()
    cost(actions)
    assert other.rows == [64]  # it is not asked again, in earnest

    gone.clear()
    for _ in range(3):  # asked beside the others, it answers, and is back
        cost(actions)
        replicas._replicas[0].answer.exception(PATIENCE)
    assert max(killed.rows) >= 8


def test_one_that_is_silent_is_not_waited_for(replicas, actions):
    silent = threading.Event()
    hung, other = Scorer(lambda: silent.wait(PATIENCE)), Scorer()
    cost = replicas.cost([hung, other])
    try:
        assert torch.equal(cost(actions), actions.square().sum((-1, -2)))
        assert (hung.rows, other.rows) == ([], [32, 32])
        cost(actions)
        assert other.rows == [32, 32, 64]
    finally:
        silent.set()


def test_nobody_left_is_an_error_and_no_loop(replicas, actions):
    def work():
        raise Lost("killed")

    with pytest.raises(Lost, match="killed"):
        replicas.cost([Scorer(work), Scorer(work)])(actions)
    assert torch.equal(replicas.cost([Scorer(), Scorer()])(actions), actions.square().sum((-1, -2)))


def test_an_error_that_is_no_failure_is_raised(replicas, actions):
    def work():
        raise ValueError("actions are wrong")

    with pytest.raises(ValueError, match="actions are wrong"):
        replicas.cost([Scorer(work), Scorer()])(actions)


def test_energies_are_differentiable(replicas, actions):
    actions.requires_grad_()
    replicas.cost([Scorer(), Scorer()])(actions).sum().backward()
    assert torch.equal(actions.grad, 2 * actions.detach())
