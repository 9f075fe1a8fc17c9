"""What is usual is learnt, and what is not is said."""

import math

import pytest
import torch

from vjepa_ros.conventions import apply_action
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.surprise import Surprise, Threshold
from vjepa_ros.planning.world_model import Context, WorldModel


def usual(count, seed=0, scale=0.2):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.exp(0.1 * torch.randn(count, generator=generator))).tolist()


def test_threshold_is_the_mean_and_deviations_of_the_logarithm():
    threshold = Threshold(deviations=3, warm_up=50)
    distances = usual(50)
    for distance in distances:
        assert not threshold.judge(distance).surprising  # still learning
    logs = torch.tensor(distances, dtype=torch.float64).log()
    expected = math.exp(logs.mean() + 3 * logs.std(correction=0))
    assert threshold.value == pytest.approx(expected)


def test_a_step_far_off_surprises_and_hardly_moves_the_threshold():
    threshold = Threshold()
    for distance in usual(100):
        threshold.judge(distance)
    before = threshold.value
    verdict = threshold.judge(2.0)
    assert verdict.surprising
    assert verdict.threshold == before
    assert threshold.value < 1.1 * before


def test_few_usual_steps_surprise_and_a_change_for_good_becomes_usual():
    threshold = Threshold(memory=50)
    surprising = [threshold.judge(distance).surprising for distance in usual(500)]
    assert sum(surprising) < 10
    changed = [threshold.judge(distance).surprising for distance in usual(500, seed=1, scale=0.4)]
    assert changed[0]
    assert sum(changed[-100:]) < 5


def test_surprise_is_the_distance_to_the_prediction():
    torch.manual_seed(0)
    config = PredictorConfig(latent_width=16, grid=2, width=24, depth=1, heads=2)
    model = WorldModel(None, Predictor(config).requires_grad_(False))
    before, after = torch.randn(2, 4, 16)
    state = torch.tensor([0.5, 0.0, 0.3, 3.1, 0.0, 0.2, 0.0])
    action = torch.tensor([0.03, 0.0, -0.02, 0.0, 0.0, 0.1, 0.5])
    next_state = apply_action(state, action)
    predicted = model.rollout(Context(latents=before[None], states=state[None]), action[None, None])

    surprise = Surprise(model, L1())
    imagined = surprise.imagine(before, state, next_state)
    verdict = surprise.judge(imagined, after)
    assert verdict.threshold is None
    assert verdict.surprise == pytest.approx(
        float((predicted[0, 0] - after).abs().mean()), rel=1e-2
    )
    as_predicted = Surprise(model, L1()).judge(imagined, predicted[0, 0])
    assert as_predicted.surprise < 0.05 * verdict.surprise
