import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vjepa_ros.conventions import GRIPPER, POSITION, ROTATION
from vjepa_ros.planning.limits import ActionLimits, Ball, Box
from vjepa_ros.planning.solvers import (
    CEM,
    ICEM,
    MPPI,
    SOLVERS,
    Gradient,
    PlanningError,
    shifted,
)
from vjepa_ros.planning.solvers.icem import coloured

every_solver = pytest.mark.parametrize("name", SOLVERS)


def quadratic(target, horizon=1):
    """Distance to a target action, in units of a centimetre, a radian / 10, closedness / 4."""
    units = torch.tensor([0.01] * 3 + [0.1] * 3 + [0.25])
    target = torch.tensor(target).expand(horizon, 7)
    return lambda actions: ((actions - target) / units).square().sum(-1).mean(-1)


def valley(actions):
    """Narrow: the steps should move 5 cm each, and to differ from one another costs more."""
    x = actions[..., 0] * 100
    mean = x.mean(-1, keepdim=True)
    return (mean[:, 0] - 5).square() + 10 * (x - mean).square().sum(-1)


# --- they find the optimum ---------------------------------------------------------------


@every_solver
@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("shape", [Box, Ball])
@pytest.mark.parametrize(
    "target",
    [[0.02, -0.03, 0.05, 0, 0, 0, 0.5], [0.20, -0.03, 0.05, 0, 0, 0, -2.0]],
    ids=["inside", "on the limits"],
)
def test_the_best_allowed_action_is_found(name, horizon, shape, target):
    limits = ActionLimits(translation=shape(0.075))
    cost = quadratic(target, horizon)
    solver = SOLVERS[name](horizon=horizon, limits=limits, samples=256, iterations=30)
    solution = solver.solve(cost)

    # Within 2 % of the way from staying to the optimum, 2 cm and 0.1 closedness.
    optimum = limits.project(torch.tensor(target)).expand(horizon, 7)
    least, staying = cost(torch.stack((optimum, torch.zeros_like(optimum))))
    assert least - 1e-3 <= solution.energy <= least + 0.02 * (staying - least)
    error = (solution.actions - optimum).abs()
    assert error[:, POSITION].max() < 0.02
    assert error[:, GRIPPER].max() < 0.1
    assert solution.energy == pytest.approx(float(cost(solution.actions[None])))


@every_solver
def test_rotation_is_found_on_request(name):
    target = [0.0, 0, 0, 0.1, -0.2, 0.05, 0]
    limits = ActionLimits(rotation=Box(0.3))
    solution = SOLVERS[name](limits=limits, samples=256, iterations=20).solve(quadratic(target))
    torch.testing.assert_close(
        solution.actions[0, ROTATION], torch.tensor(target)[ROTATION], rtol=0, atol=0.02
    )
    assert not SOLVERS[name]().solve(quadratic(target)).actions[:, ROTATION].any()


@pytest.mark.parametrize("name", ["icem", "mppi"])
def test_a_narrow_valley_is_followed_further_than_by_plain_cem(name):
    def energies(name):
        solver = SOLVERS[name](horizon=4, samples=256, elites=30, iterations=30)
        return [solver.solve(valley, seed=seed).energy for seed in range(4)]

    assert max(energies(name)) < 0.5 * min(energies("cem"))


def test_correlated_steps_follow_the_valley_where_white_noise_does_not():
    def energies(beta):
        solver = ICEM(horizon=4, samples=256, elites=30, iterations=30, beta=beta)
        return sum(solver.solve(valley, seed=seed).energy for seed in range(4))

    assert energies(beta=2.0) < 0.5 * energies(beta=0.0)


def test_few_samples_of_several_scales_find_a_goal_that_is_near():
    near = [0.006, -0.004, 0.003, 0, 0, 0, 0]

    def energies(scale):
        solver = MPPI(samples=32, iterations=2, elites=5, min_scale=scale)
        return [solver.solve(quadratic(near), seed=seed).energy for seed in range(20)]

    assert sum(energies(0.2)) < 0.5 * sum(energies(1.0))


# --- seeds -------------------------------------------------------------------------------


@every_solver
def test_the_same_seed_gives_the_same_bits(name):
    cost = quadratic([0.02, -0.03, 0.05, 0, 0, 0, 0.5], horizon=2)
    solver = SOLVERS[name](horizon=2)
    plans = [solver.solve(cost, seed=seed) for seed in (5, 6, 7)]
    assert [plan.seed for plan in plans] == [5, 6, 7]
    assert not torch.equal(plans[0].statistics.energies, plans[1].statistics.energies)

    global_state = torch.get_rng_state()
    torch.manual_seed(0)
    again = [SOLVERS[name](horizon=2).solve(cost, seed=seed) for seed in (5, 6, 7)]
    torch.set_rng_state(global_state)
    for one, other in zip(plans, again, strict=True):
        assert torch.equal(one.actions, other.actions)
        torch.testing.assert_close(
            one.statistics.energies, other.statistics.energies, rtol=0, atol=0, equal_nan=True
        )
    with pytest.raises(ValueError, match="seed is -1"):
        solver.solve(cost, seed=-1)


@every_solver
def test_the_global_generator_is_left_alone(name):
    state = torch.get_rng_state()
    SOLVERS[name]().solve(quadratic([0.0] * 7))
    assert torch.equal(torch.get_rng_state(), state)


# --- warm start and proposals ------------------------------------------------------------


@every_solver
def test_warm_start_and_proposals_are_in_the_first_population(name):
    warm_start = torch.tensor([[0.01, 0.02, 0.03, 0, 0, 0, 0.4], [0.02] * 3 + [0] * 4])
    proposals = torch.zeros(2, 2, 7)
    proposals[:, :, 0] = torch.tensor([[0.05], [-0.05]])
    solver = SOLVERS[name](horizon=2, keep_samples=True)
    solution = solver.solve(quadratic([0.0] * 7, 2), warm_start=warm_start, proposals=proposals)
    first = solution.statistics.samples[0]
    torch.testing.assert_close(first[0], warm_start)
    torch.testing.assert_close(first[1:3], proposals)
    assert len(first) == solver.samples


@pytest.mark.parametrize("name", ["cem", "icem", "mppi"])
def test_the_search_begins_at_the_warm_start(name):
    warm_start = torch.tensor([[0.06, -0.06, 0.03, 0, 0, 0, 0.0]])
    solver = SOLVERS[name](samples=2000, keep_samples=True, limits=ActionLimits(gripper=Box(1)))
    solution = solver.solve(quadratic([0.0] * 7), warm_start=warm_start)
    median = solution.statistics.samples[0].median(0).values
    torch.testing.assert_close(median[:, POSITION], warm_start[:, POSITION], rtol=0, atol=0.01)


@pytest.mark.parametrize("name", ["icem", "gradient"])
def test_a_perfect_proposal_is_the_plan(name):
    target = torch.tensor([0.0712, -0.0433, 0.0277, 0, 0, 0, 0.31])
    solution = SOLVERS[name]().solve(quadratic(target.tolist()), proposals=target[None, None])
    torch.testing.assert_close(solution.actions[0], target, rtol=0, atol=1e-6)
    assert solution.energy < 1e-6


@every_solver
@pytest.mark.parametrize(
    ("given_actions", "message"),
    [
        ({"warm_start": torch.zeros(2, 7)}, r"warm_start has shape \[2, 7\].*\[H, 7\] with H = 1"),
        ({"proposals": torch.zeros(1, 7)}, r"proposals has shape \[1, 7\].*\[P, H, 7\]"),
        ({"warm_start": torch.full((1, 7), torch.nan)}, "warm_start holds NaN"),
        ({"proposals": torch.full((3, 1, 7), 0.08)}, "proposals turns the gripper"),
        ({"proposals": torch.eye(7)[None, :1]}, "proposals reaches 1 in translation"),
        ({"proposals": torch.zeros(64, 1, 7)}, "64 proposals .* population of 64"),
    ],
)
def test_wrong_suggestions_are_refused_not_clamped(name, given_actions, message):
    with pytest.raises(ValueError, match=message):
        SOLVERS[name]().solve(quadratic([0.0] * 7), **given_actions)


def test_a_shifted_plan_ends_with_a_stay():
    plan = torch.arange(21.0).view(3, 7)
    torch.testing.assert_close(shifted(plan), torch.cat((plan[1:], torch.zeros(1, 7))))
    torch.testing.assert_close(shifted(plan.expand(2, 3, 7))[1], shifted(plan))


# --- limits ------------------------------------------------------------------------------


@every_solver
@settings(max_examples=25, deadline=None)
@given(
    translation=st.sampled_from([Box(0.05), Ball(0.03)]),
    rotation=st.sampled_from([None, Box(0.1), Ball(0.2)]),
    target=st.lists(st.floats(-0.5, 0.5), min_size=7, max_size=7),
    seed=st.integers(0, 1000),
)
def test_no_candidate_is_ever_outside_the_limits(name, translation, rotation, target, seed):
    limits = ActionLimits(translation=translation, rotation=rotation)

    def guarded(actions):
        limits.check("candidates", actions)
        return quadratic(target, 2)(actions)

    solver = SOLVERS[name](horizon=2, limits=limits, samples=20, elites=5, iterations=4)
    limits.check("plan", solver.solve(guarded, seed=seed).actions)


# --- energies that are not finite --------------------------------------------------------


@every_solver
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_candidates_without_a_finite_energy_are_dropped_and_counted(name, bad):
    cost, calls = quadratic([0.03, 0, 0, 0, 0, 0, 0]), []

    def broken_on_the_left(actions):
        energies = cost(actions)
        left = actions[:, 0, 0] < 0
        calls.append(int(left.sum()))
        return torch.where(left, energies * bad, energies)

    solution = SOLVERS[name](samples=64, iterations=15).solve(broken_on_the_left)
    assert solution.dropped == sum(calls) > 0
    assert solution.statistics.energies.isinf().sum() == sum(calls)
    assert math.isfinite(solution.energy)
    assert solution.actions[0, 0] == pytest.approx(0.03, abs=0.01)
    assert (solution.elites[:, 0, 0] >= 0).all()


@every_solver
def test_a_search_without_any_finite_energy_fails_and_says_so(name):
    def broken(actions):
        return actions.sum((1, 2)) * torch.nan

    with pytest.raises(PlanningError, match="each of the 64 candidates of iteration 1 is NaN"):
        SOLVERS[name]().solve(broken)


@pytest.mark.parametrize("name", ["cem", "mppi"])
def test_a_mean_without_a_finite_energy_is_no_plan(name):
    def broken_for_one(actions):
        return actions.square().sum((1, 2)) * (1.0 if len(actions) > 1 else torch.nan)

    with pytest.raises(PlanningError, match="the energy of the plan is NaN"):
        SOLVERS[name]().solve(broken_for_one)


@every_solver
def test_a_single_finite_candidate_is_enough(name):
    def one_good(actions):
        energies = actions.square().sum((1, 2))
        return torch.where(torch.arange(len(energies)) == 0, energies, torch.nan)

    solution = SOLVERS[name](iterations=3).solve(one_good)
    assert solution.actions.isfinite().all()
    keeps = issubclass(SOLVERS[name], ICEM)  # those of earlier iterations
    assert len(solution.elites) == 1 or keeps


@every_solver
def test_a_cost_of_the_wrong_shape_is_named(name):
    with pytest.raises(ValueError, match=r"cost returned energies of shape \[64, 1\]"):
        SOLVERS[name]().solve(lambda actions: actions.square().sum(-1))


# --- statistics and confidence -----------------------------------------------------------


@every_solver
def test_statistics_are_those_of_the_samples(name):
    target = [0.02, -0.03, 0.05, 0, 0, 0, 0.5]
    solver = SOLVERS[name](horizon=2, samples=32, iterations=5, elites=4, keep_samples=True)
    solution = solver.solve(quadratic(target, 2))
    statistics = solution.statistics
    assert statistics.energies.shape == (5, 32)
    assert statistics.elite_mean.shape == statistics.elite_std.shape == (5, 2, 7)
    assert statistics.end_points.shape == (5, 32, 3)

    for samples, energies in zip(statistics.samples, statistics.energies, strict=True):
        drawn = energies.isfinite()
        torch.testing.assert_close(energies[drawn], quadratic(target, 2)(samples[drawn]))
    travelled = statistics.samples[0, 0, 0, POSITION] + statistics.samples[0, 0, 1, POSITION]
    torch.testing.assert_close(statistics.end_points[0, 0], travelled)
    assert SOLVERS[name]().solve(quadratic([0.0] * 7)).statistics.samples is None


@pytest.mark.parametrize("name", ["cem", "icem", "gradient"])
def test_the_spread_of_elites_is_unbiased(name):
    solver = SOLVERS[name](samples=32, iterations=1, elites=4, keep_samples=True)
    statistics = solver.solve(quadratic([0.02, 0, 0, 0, 0, 0, 0])).statistics
    elites = statistics.samples[0][statistics.energies[0].argsort()[:4]]
    mean = elites.sum(0) / 4
    torch.testing.assert_close(statistics.elite_mean[0], mean)
    torch.testing.assert_close(
        statistics.elite_std[0], ((elites - mean).square().sum(0) / 3).sqrt()
    )


@every_solver
def test_confidence_tells_a_settled_search_from_a_blind_one(name):
    noise = torch.Generator().manual_seed(0)

    def flat(actions):
        return 0 * actions.sum((1, 2)) + torch.rand(len(actions), generator=noise)

    options = {"samples": 128, "iterations": 5}
    settled = SOLVERS[name](**options).solve(quadratic([0.02, 0, 0, 0, 0, 0, 0.3]))
    blind = SOLVERS[name](**options).solve(flat)
    assert 0 <= blind.confidence < settled.confidence <= 1


# --- each solver's own -------------------------------------------------------------------


def test_cem_rounds_small_gripper_motions_to_nothing():
    small, large = quadratic([0.02, 0, 0, 0, 0, 0, 0.2]), quadratic([0.02, 0, 0, 0, 0, 0, 0.3])
    assert CEM(samples=128).solve(small).actions[0, GRIPPER] == 0
    assert CEM(samples=128).solve(large).actions[0, GRIPPER] == pytest.approx(0.3, abs=0.02)
    exact = CEM(samples=128, gripper_dead_zone=0).solve(small)
    assert exact.actions[0, GRIPPER] == pytest.approx(0.2, abs=0.02)


def test_cem_counts_the_mean_among_its_candidates_on_request():
    warm_start = torch.tensor([[0.01, 0.02, 0.03, 0, 0, 0, 0.4]])
    solver = CEM(iterations=1, mean_in_population=True, keep_samples=True)
    statistics = solver.solve(quadratic([0.0] * 7), warm_start=warm_start).statistics
    torch.testing.assert_close(statistics.samples[0, -1], warm_start)


@every_solver
def test_what_is_held_is_given_and_not_searched(name):
    limits = ActionLimits(held={2: 0.01, GRIPPER: -0.3})
    solver = SOLVERS[name](limits=limits, horizon=2, samples=20, keep_samples=True)
    solution = solver.solve(quadratic([0.02, -0.03, 0.05, 0, 0, 0, 0.5], 2))
    for actions in (solution.actions, solution.statistics.samples):
        given = actions[actions.isfinite().all(-1)][:, [2, GRIPPER]]
        torch.testing.assert_close(given, torch.tensor([0.01, -0.3]).expand_as(given))


def test_icem_never_loses_its_best_candidate():
    solution = ICEM(horizon=3, samples=40, elites=5).solve(quadratic([0.05] * 3 + [0.0] * 4, 3))
    energies = solution.statistics.energies
    assert solution.energy == energies[energies.isfinite()].min()


def test_icem_populations_shrink_to_twice_the_elites():
    solver = ICEM(samples=40, elites=5, decay=2.0, iterations=4)
    energies = solver.solve(quadratic([0.0] * 7)).statistics.energies
    assert (~energies.isnan()).sum(1).tolist() == [40, 20, 10, 10]


def test_icem_tries_the_mean_in_the_last_population():
    solver = ICEM(iterations=2, samples=64, decay=1.0, keep_samples=True)
    statistics = solver.solve(quadratic([0.03, 0, 0, 0, 0, 0, 0])).statistics
    torch.testing.assert_close(statistics.samples[1, -1], 0.9 * statistics.elite_mean[0])


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("horizon", [1, 2, 3, 8])
def test_coloured_noise_has_unit_variance_and_the_asked_for_colour(horizon, beta):
    white = torch.randn(20000, horizon, 1, generator=torch.Generator().manual_seed(0))
    noise = coloured(white, beta)[..., 0]
    torch.testing.assert_close(noise.var(0), torch.ones(horizon), rtol=0, atol=0.05)
    if beta == 0:
        torch.testing.assert_close(noise, white[..., 0], rtol=0, atol=1e-5)
    if horizon == 8:
        power = torch.fft.rfft(noise).abs().square().mean(0)
        slope = (power[4] / power[1]).log2() / 2  # two octaves apart
        assert slope == pytest.approx(-beta, abs=0.1)


def test_mppi_temperature_runs_from_the_best_elite_to_their_plain_mean():
    cost = quadratic([0.02, -0.03, 0.05, 0, 0, 0, 0.5])
    cold = MPPI(iterations=1, temperature=1e-3).solve(cost)
    torch.testing.assert_close(cold.actions, cold.elites[0])
    warm = MPPI(iterations=1, temperature=1e6).solve(cost)
    torch.testing.assert_close(warm.actions, warm.elites.mean(0))


def test_mppi_keeps_some_spread():
    solver = MPPI(iterations=40, min_std=0.1, keep_samples=True)
    last = solver.solve(quadratic([0.0] * 7)).statistics.samples[-1]
    torch.testing.assert_close(last[:, 0, 0].std().item(), 0.1 * 0.075, rtol=0.3, atol=0)


def test_the_gradient_solver_asks_for_a_gradient():
    with pytest.raises(ValueError, match="cost has no gradient"):
        Gradient().solve(lambda actions: actions.detach().square().sum((1, 2)))
    with torch.no_grad():  # its own affair, not the caller's
        assert Gradient().solve(quadratic([0.0] * 7)).energy < 1e-3
