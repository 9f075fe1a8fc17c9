"""Rollouts and energies of the world model against the predictor run in the open."""

import dataclasses
import weakref

import pytest
import torch
from torch.nn.functional import layer_norm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vjepa_ros.conventions import apply_action
from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.planning.objectives import L1, L2
from vjepa_ros.planning.world_model import BUDGETS, Context, Goal, WorldModel

CONFIG = PredictorConfig(latent_width=24, grid=3, width=64, depth=3, heads=2, max_frames=11)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_predictor(config=CONFIG):
    """Weights large enough that actions matter."""
    predictor = Predictor(config)
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return predictor.requires_grad_(False)


def make_model(config=CONFIG, dtype=torch.float32, **options):
    return WorldModel(None, make_predictor(config), dtype=dtype, **options)


def make_latents(*shape, config=CONFIG):
    channels = config.latent_width
    return layer_norm(torch.randn(*shape, config.patches, channels), (channels,))


def make_context(frames=1, config=CONFIG, **changes):
    states = 0.3 * torch.randn(frames, 7)
    states[:, 6] = torch.rand(frames)
    fields = {
        "latents": make_latents(frames, config=config),
        "states": states,
        "actions": 0.1 * torch.randn(frames - 1, 7),
    }
    return Context(**{**fields, **changes})


def make_actions(candidates, horizon):
    return 0.2 * torch.randn(candidates, horizon, 7)


def uncached_rollout(predictor, context, actions, extrinsics=None):
    """Every step runs the whole sequence of one candidate again, with nothing shared."""
    rollouts = []
    for candidate in actions:
        latents, states, taken = context.latents, context.states, context.actions
        for action in candidate:
            taken = torch.cat((taken, action[None]))
            camera = None if extrinsics is None else extrinsics.expand(1, len(states), 6)
            predicted = predictor(latents[None], taken[None], states[None], camera)[0, -1]
            latents = torch.cat((latents, predicted[None]))
            states = torch.cat((states, apply_action(states[-1], action)[None]))
        rollouts.append(latents[-len(candidate) :])
    return torch.stack(rollouts)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("horizon", range(1, 9))
def test_cached_rollout_equals_the_uncached(frames, horizon):
    model, context, actions = make_model(), make_context(frames), make_actions(3, horizon)
    expected = uncached_rollout(model._predict, context, actions)
    torch.testing.assert_close(model.rollout(context, actions), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("changes", [{"residual": True}, {"state": False}, {"extrinsics": True}])
def test_cached_rollout_of_the_other_architectures(changes):
    config = dataclasses.replace(CONFIG, **changes)
    extrinsics = torch.randn(6) if config.extrinsics else None
    model, context = make_model(config), make_context(3, extrinsics=extrinsics)
    actions = make_actions(2, 3)
    expected = uncached_rollout(model._predict, context, actions, extrinsics)
    torch.testing.assert_close(model.rollout(context, actions), expected, rtol=1e-3, atol=1e-4)


def uncached_rollout_in_a_window(predictor, context, actions, window):
    """Every step runs the latest frames alone, as if none had been before them."""
    rollouts = []
    for candidate in actions:
        latents, states, taken = context.latents, context.states, context.actions
        for action in candidate:
            taken = torch.cat((taken, action[None]))
            seen = (part[-window:][None] for part in (latents, taken, states))
            latents = torch.cat((latents, predictor(*seen)[0, -1:]))
            states = torch.cat((states, apply_action(states[-1], action)[None]))
        rollouts.append(latents[-len(candidate) :])
    return torch.stack(rollouts)


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize(("frames", "horizon"), [(1, 1), (1, 4), (2, 3), (4, 3)])
def test_a_predictor_with_a_window_sees_the_latest_frames_alone(window, frames, horizon):
    config = dataclasses.replace(CONFIG, state=False, window=window)
    context = make_context(frames)
    torch.manual_seed(1)
    model = make_model(config)
    torch.manual_seed(1)
    unlimited = make_model(dataclasses.replace(config, window=None))
    actions = make_actions(3, horizon)
    expected = uncached_rollout_in_a_window(model._predict, context, actions, window)
    torch.testing.assert_close(model.rollout(context, actions), expected, rtol=1e-3, atol=1e-4)
    whole = unlimited.rollout(context, actions)
    assert torch.allclose(whole, expected, atol=1e-4) == (frames + horizon - 1 <= window)


# --- energies ----------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [L1(), L2(discount=0.5)])
def test_energies_are_the_weighted_distances_along_the_rollout(objective):
    model, context, actions = make_model(), make_context(2), make_actions(5, 3)
    goal = Goal(latents=make_latents())
    rollout = model.rollout(context, actions)
    distances = torch.stack(
        [objective.distance(rollout[:, step], goal.latents) for step in range(3)]
    )
    expected = torch.tensor(objective.step_weights(3)) @ distances
    torch.testing.assert_close(model.energies(context, actions, goal, objective), expected)


def test_frames_of_weight_0_are_never_scored():
    class Counting(L1):
        scored = 0

        def distance(self, latents, goal):
            Counting.scored += 1
            return super().distance(latents, goal)

    model = make_model()
    model.energies(make_context(), make_actions(2, 4), Goal(latents=make_latents()), Counting())
    assert Counting.scored == 1


def test_chunks_do_not_change_the_energies():
    context, actions, goal = make_context(2), make_actions(7, 2), Goal(latents=make_latents())
    predictor = make_predictor()
    roomy = WorldModel(None, predictor, dtype=torch.float32, memory_budget=1 << 40)
    tight = WorldModel(None, predictor, dtype=torch.float32, memory_budget=1)
    assert tight.candidates_at_once(2, 2) == 1 < 7 < roomy.candidates_at_once(2, 2)
    energies = [model.energies(context, actions, goal, L1()) for model in (roomy, tight)]
    torch.testing.assert_close(*energies)


def test_a_cost_remembers_its_context():
    model, goal = make_model(), Goal(latents=make_latents())
    context, actions = make_context(3), make_actions(4, 2)
    cost = model.cost(context, goal, L1())
    expected = model.energies(context, actions, goal, L1())
    torch.testing.assert_close(cost(actions), expected)
    torch.testing.assert_close(cost(actions[1:2]), expected[1:2])


def test_energies_are_differentiable_in_the_actions():
    model, context, goal = make_model(), make_context(2), Goal(latents=make_latents())
    actions = make_actions(2, 2).requires_grad_()
    cost = model.cost(context, goal, L2())
    (gradient,) = torch.autograd.grad(cost(actions).sum(), actions)
    nudge = 1e-2 * gradient / gradient.norm()
    with torch.no_grad():
        slope = (cost(actions + nudge) - cost(actions - nudge)).sum().item() / 2e-2
    assert gradient.norm().item() == pytest.approx(slope, rel=2e-2)


def test_bf16_ranks_candidates_as_float32_does():
    predictor, context = make_predictor(), make_context()
    actions = make_actions(64, 2)
    reached = WorldModel(None, predictor, dtype=torch.float32).rollout(context, actions[:1])
    goal = Goal(latents=reached[0, -1])
    exact, rounded = (
        WorldModel(None, predictor, dtype=dtype).energies(context, actions, goal, L1())
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert rounded.dtype == torch.float32
    ranks = torch.stack([energies.argsort().argsort().double() for energies in (exact, rounded)])
    assert torch.corrcoef(ranks)[0, 1] > 0.95
    assert next(predictor.parameters()).dtype == torch.float32  # the caller's stays as it was


# --- pictures ----------------------------------------------------------------------------


def test_pictures_are_preprocessed_and_encoded():
    encoder = Encoder(EncoderConfig(width=24, depth=1, heads=2)).requires_grad_(False)
    preprocessor = Preprocessor(48)
    rgb = torch.randint(256, (2, 60, 80, 3), dtype=torch.uint8)
    model = WorldModel(encoder, make_predictor(), preprocessor, dtype=torch.float32)
    torch.testing.assert_close(model.encode(rgb), encoder.encode(preprocessor(rgb)))
    with pytest.raises(ValueError, match="no encoder"):
        make_model().encode(rgb)


# --- memory ------------------------------------------------------------------------------


class PeakMemory(TorchDispatchMode):
    """The most bytes that tensors made inside held at once."""

    def __init__(self):
        super().__init__()
        self.held = self.peak = 0
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self._see_all((args, kwargs), made_here=False)
        results = func(*args, **(kwargs or {}))
        self._see_all(results, made_here=True)
        return results

    def _see_all(self, values, made_here):
        for tensor in tree_leaves(values):
            # A packed weight is no candidate's, and shows no storage.
            if isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided:
                self._see(tensor.untyped_storage(), made_here)

    def _see(self, storage, made_here):
        if storage._cdata not in self.seen:
            self.seen.add(storage._cdata)
            size = storage.nbytes() if made_here else 0
            self.held += size
            self.peak = max(self.peak, self.held)
            weakref.finalize(storage, self._release, storage._cdata, size)

    def _release(self, key, size):
        self.seen.discard(key)
        self.held -= size


BUDGET = 8 << 20


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("frames", "horizon"), [(1, 1), (1, 2), (3, 3)])
@pytest.mark.parametrize("changes", [{"latent_width": 512}, {"depth": 12}, {"window": 2}])
def test_candidates_fit_the_memory_budget(frames, horizon, dtype, changes, monkeypatch):
    config = dataclasses.replace(CONFIG, **changes)
    model = make_model(config, dtype=dtype, memory_budget=BUDGET)
    candidates = model.candidates_at_once(frames, horizon)
    monkeypatch.setattr("vjepa_ros.planning.world_model.GRAIN", candidates)  # at once, as a GPU
    goal = Goal(latents=make_latents(config=config))
    cost = model.cost(make_context(frames, config), goal, L1())
    actions = make_actions(candidates, horizon)
    with torch.no_grad(), PeakMemory() as memory:
        cost(actions)
    assert memory.peak < BUDGET
    assert memory.peak > BUDGET / 2  # nor is the estimate so careful that it wastes the budget


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("frames", "horizon"), [(2, 3), (3, 3)])
def test_what_a_candidate_takes_is_not_estimated_low(frames, horizon, dtype, monkeypatch):
    """A latent of an earlier step that nobody looks at again was kept: 3 % of a candidate."""
    config = dataclasses.replace(CONFIG, latent_width=128, grid=8, width=128)
    model = make_model(config, dtype=dtype)
    monkeypatch.setattr("vjepa_ros.planning.world_model.GRAIN", 24)  # at once
    cost = model.cost(make_context(frames, config), Goal(latents=make_latents(config=config)), L1())
    peaks = []
    for candidates in (8, 24):
        with torch.no_grad(), PeakMemory() as memory:
            cost(make_actions(candidates, horizon))
        peaks.append(memory.peak)
    taken = (peaks[1] - peaks[0]) / 16
    assert 0.9 < taken / model._candidate_bytes(frames, horizon) < 1.002


def test_the_full_model_plans_in_8_gb_of_gpu_memory():
    with torch.device("meta"):
        encoder = Encoder(PRESETS["ac_vitg"].encoder)
        predictor = Predictor(PRESETS["ac_vitg"].predictor)
    model = WorldModel(encoder, predictor, dtype=torch.bfloat16, memory_budget=BUDGETS["cuda"])
    weights = sum(2 * p.numel() for module in (encoder, predictor) for p in module.parameters())
    assert weights + model.memory_budget < 8e9
    assert model.candidates_at_once(context=1, horizon=1) > 100
    assert model.candidates_at_once(context=4, horizon=8) > 4


# --- bad input ---------------------------------------------------------------------------


def bad(values, index, value):
    values = values.clone()
    values[index] = value
    return values


CONTEXT = make_context(2)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("latents", make_latents(3), r"context\.latents .* expected .* \[2, 9, 24\]"),
        ("latents", make_latents(2)[:, :5], r"context\.latents"),
        ("latents", make_latents(2).to(torch.int64), r"context\.latents is torch.int64"),
        ("latents", bad(make_latents(2), (1, 2, 3), torch.nan), r"context\.latents .* NaN"),
        ("latents", bad(make_latents(2), (1, 2, 3), torch.inf), r"context\.latents .* infinite"),
        ("states", torch.zeros(2, 6), r"context\.states .* expected .* \[2, 7\]"),
        ("states", torch.zeros(0, 7), r"context\.states is empty"),
        ("states", torch.full((2, 7), 400.0), r"state position 400 m"),
        ("actions", torch.zeros(2, 7), r"context\.actions .* expected .* \[1, 7\]"),
        ("actions", torch.full((1, 7), 9.0), r"action moves 9 m"),
        ("extrinsics", torch.zeros(6), r"context\.extrinsics .* predictor takes none"),
    ],
)
def test_a_bad_context_is_named(name, value, message):
    context = dataclasses.replace(CONTEXT, **{name: value})
    with pytest.raises(ValueError, match=message):
        make_model().rollout(context, make_actions(1, 1))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (torch.zeros(3, 7), r"actions has shape \[3, 7\], expected candidates \[N, H, 7\]"),
        (torch.zeros(0, 1, 7), "actions has shape"),
        (torch.zeros(2, 0, 7), "actions has shape"),
        (torch.zeros(2, 1, 6), r"expected \[\.\.\., 7\]"),
        (torch.full((2, 1, 7), torch.nan), "action holds NaN"),
        (torch.zeros(2, 11, 7), "horizon of 11, but after 2 frames .* trained for 10"),
    ],
)
def test_bad_candidates_are_named(actions, message):
    with pytest.raises(ValueError, match=message):
        make_model().energies(CONTEXT, actions, Goal(latents=make_latents()), L1())


def test_a_horizon_past_the_trained_one_is_refused():
    model = make_model(trained_horizon=3)
    model.rollout(CONTEXT, make_actions(1, 2))  # two frames of context and one more
    with pytest.raises(ValueError, match=r"horizon of 3, but after 2 frames .* trained for 2"):
        model.rollout(CONTEXT, make_actions(1, 3))


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        (torch.zeros(0, 24), r"goal is .* expected .* \[9, 24\]"),
        (make_latents(1), "goal is"),
        (bad(make_latents(), (0, 0), torch.nan), "goal holds NaN"),
    ],
)
def test_a_bad_goal_is_named(goal, message):
    with pytest.raises(ValueError, match=message):
        make_model().cost(CONTEXT, Goal(latents=goal), L1())
