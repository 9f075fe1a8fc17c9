import pytest
import torch
from torch import Tensor

from vjepa_ros.conventions import actions_of, apply_action
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.model.reader import readings_of
from vjepa_ros.training.losses import (
    InverseDynamics,
    Readout,
    narrowness,
    prediction_error,
    rolled_out,
    teacher_forced,
)


@pytest.fixture
def predictor(small: ModelConfig) -> Predictor:
    predictor = Predictor(small.predictor)
    torch.nn.init.normal_(predictor.predictor_proj.weight, std=0.3)
    torch.nn.init.normal_(predictor.action_encoder.weight, std=1.0)
    return predictor


@pytest.fixture
def window() -> tuple[Tensor, Tensor, Tensor]:
    """Latents [B, T, patches, width], actions and states of 3 windows of 5 frames."""
    torch.manual_seed(1)
    latents = torch.nn.functional.layer_norm(torch.randn(3, 5, 16, 32), (32,))
    states = torch.randn(3, 5, 7) * 0.1
    states[..., 6] = torch.rand(3, 5)
    return latents, actions_of(states), states


def plain_rollout(predictor: Predictor, first: Tensor, actions: Tensor, states: Tensor) -> Tensor:
    """Every step predicts the whole sequence anew, with all that was predicted before it."""
    frames = first[:, None]
    for step in range(actions.shape[1]):
        predicted = predictor(frames, actions[:, : step + 1], states[:, : step + 1])
        frames = torch.cat((frames, predicted[:, -1:]), 1)
    return frames[:, 1:]


def test_a_rollout_feeds_back_its_own_predictions(predictor, window):
    latents, actions, states = window
    expected = plain_rollout(predictor, latents[:, 0], actions, states)
    assert torch.allclose(
        rolled_out(predictor, latents[:, 0], actions, states[:, 0]), expected, atol=1e-4
    )


def test_a_rollout_is_not_that_of_the_original_release(predictor, window):
    """There z3 was predicted from z1 and the teacher-forced guess of z3, made with z2 in sight."""
    latents, actions, states = window
    forced = teacher_forced(predictor, latents, actions, states)
    flawed = predictor(
        torch.stack((latents[:, 0], forced[:, 1]), 1), actions[:, :2], states[:, :2]
    )[:, -1]
    ours = rolled_out(predictor, latents[:, 0], actions[:, :2], states[:, 0])[:, -1]
    right = predictor(torch.stack((latents[:, 0], forced[:, 0]), 1), actions[:, :2], states[:, :2])[
        :, -1
    ]
    assert torch.allclose(ours, right, atol=1e-4)
    assert (ours - flawed).abs().mean() > 0.01


def test_a_rollout_steps_the_states_as_the_planner_does(predictor, window):
    latents, actions, states = window
    commanded = actions + 0.05
    integrated = [states[:, 0]]
    for action in commanded.unbind(1):
        integrated.append(apply_action(integrated[-1], action))
    expected = plain_rollout(predictor, latents[:, 0], commanded, torch.stack(integrated, 1))
    ours = rolled_out(predictor, latents[:, 0], commanded, states[:, 0])
    assert torch.allclose(ours, expected, atol=1e-4)


def test_gradients_of_a_rollout_reach_through_all_steps(predictor, window):
    latents, actions, states = window
    first = latents[:, 0].requires_grad_()
    rolled_out(predictor, first, actions, states[:, 0])[:, -1].square().sum().backward()
    assert first.grad is not None
    assert first.grad.abs().sum() > 0


def test_teacher_forcing_never_looks_ahead(predictor, window):
    latents, actions, states = window
    changed = latents.clone()
    changed[:, 2:] = torch.randn_like(changed[:, 2:])
    before, after = (teacher_forced(predictor, z, actions, states) for z in (latents, changed))
    assert torch.allclose(before[:, :2], after[:, :2], atol=1e-5)
    assert not torch.allclose(before[:, 2], after[:, 2], atol=1e-2)


def test_the_prediction_error_is_the_mean_difference():
    assert prediction_error(torch.zeros(1, 2, 3, 4), torch.full((1, 2, 3, 4), 0.5)) == 0.5


def test_latents_that_use_their_width_are_not_narrow():
    torch.manual_seed(0)
    wide = torch.randn(4, 500, 16, 8) * 1.5
    alike = wide[..., :1].expand_as(wide)  # all channels tell the same
    assert narrowness(wide) < 0.05
    assert narrowness(torch.full_like(wide, 3.0)) == pytest.approx(0.99)
    assert narrowness(alike) > narrowness(wide) + 0.5


def test_unknown_objects_do_not_count():
    torch.manual_seed(0)
    readout = Readout(32, 16, gripper_weight=3.0, object_weight=1.0)
    latents, states = torch.randn(2, 3, 16, 32), torch.rand(2, 3, 7)
    objects = torch.rand(2, 3, 4)
    without = torch.full_like(objects, torch.nan)
    known, unknown = readout(latents, states, objects), readout(latents, states, without)
    assert unknown.isfinite()
    assert unknown < known


def test_all_tokens_together_tell_where_the_object_is_from_the_tool():
    """So a camera that is moved, which shifts both alike, is no matter to them."""
    torch.manual_seed(0)
    readout = Readout(32, 16, gripper_weight=0.0, object_weight=1.0)
    readout.weights[:3] = 0
    latents, states, objects = torch.randn(1, 1, 16, 32), torch.rand(1, 1, 7), torch.rand(1, 1, 4)
    torch.nn.init.zeros_(readout.each.weight)
    torch.nn.init.zeros_(readout.each.bias)
    shifted = torch.tensor([0.1, -0.2, 0.05])
    before = readout._error(
        readout.together(latents), readings_of(states, objects, states[..., :3])
    )
    states[..., :3] += shifted
    objects[..., :3] += shifted
    after = readout._error(readout.together(latents), readings_of(states, objects, states[..., :3]))
    assert torch.allclose(before, after, atol=1e-6)


@pytest.mark.parametrize("head", ["inverse", "readout"])
def test_what_latents_tell_is_learnt_from_them(head: str):
    torch.manual_seed(0)
    states = torch.rand(64, 2, 7) * 0.2
    actions, objects = actions_of(states), torch.full((64, 2, 4), torch.nan)
    latents = torch.randn(7, 32).expand(16, -1, -1) * 5
    latents = torch.einsum("btc,pcd->btpd", states, latents)
    module = InverseDynamics(32, 16) if head == "inverse" else Readout(32, 16, 3.0, 0.0)
    asked = actions if head == "inverse" else states

    def error() -> Tensor:
        extra = () if head == "inverse" else (objects,)
        return module(latents, asked, *extra)

    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    first = error().item()
    for _ in range(150):
        optimizer.zero_grad()
        error().backward()
        optimizer.step()
    assert error() < 0.1 * first
