import pytest
import torch
from torch import Tensor

from vjepa_ros.conventions import actions_of
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.training.lean import add_low_rank, merge_low_rank, recompute_blocks
from vjepa_ros.training.losses import rolled_out, teacher_forced


@pytest.fixture
def predictor(small: ModelConfig) -> Predictor:
    predictor = Predictor(small.predictor)
    torch.nn.init.normal_(predictor.predictor_proj.weight, std=0.3)
    return predictor


def predictions(predictor: Predictor) -> tuple[Tensor, Tensor]:
    """Teacher-forced and rolled out, over three steps."""
    generator = torch.Generator().manual_seed(2)
    latents = torch.randn(2, 4, 16, 32, generator=generator)
    states = torch.rand(2, 4, 7, generator=generator) * 0.3
    actions = actions_of(states)
    forced = teacher_forced(predictor, latents, actions, states)
    return forced, rolled_out(predictor, latents[:, 0], actions, states[:, 0])


def loss(predictor: Predictor) -> Tensor:
    return sum(prediction.square().mean() for prediction in predictions(predictor))


def test_low_rank_updates_change_nothing_at_first(predictor: Predictor):
    before = predictions(predictor)
    add_low_rank(predictor, 4)
    assert all(torch.allclose(*pair) for pair in zip(before, predictions(predictor), strict=True))


def test_only_updates_and_what_is_around_the_blocks_are_trained(predictor: Predictor):
    add_low_rank(predictor, 4)
    before = {name: parameter.clone() for name, parameter in predictor.named_parameters()}
    trained = [parameter for parameter in predictor.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=0.1)
    for _ in range(2):  # the second moves `down`, once `up` is no longer 0
        optimizer.zero_grad()
        loss(predictor).backward()
        optimizer.step()
    changed = {
        name
        for name, parameter in predictor.named_parameters()
        if not torch.equal(parameter, before[name])
    }
    in_blocks = {name for name in changed if name.startswith("predictor_blocks")}
    assert {name.rsplit(".", 1)[1] for name in in_blocks} == {"up", "down"}
    assert "action_encoder.weight" in changed


def test_merged_updates_give_the_same_predictions_and_the_same_names(predictor: Predictor):
    names = set(predictor.state_dict())
    add_low_rank(predictor, 4)
    for name, parameter in predictor.named_parameters():
        if name.endswith(".up"):
            torch.nn.init.normal_(parameter, std=0.1)
    before = predictions(predictor)
    merged = merge_low_rank(predictor)
    assert set(merged.state_dict()) == names
    for expected, found in zip(before, predictions(merged), strict=True):
        assert torch.allclose(expected, found, atol=1e-4)


def test_recomputed_activations_give_the_same_gradients(predictor: Predictor):
    def gradients() -> dict[str, Tensor]:
        predictor.zero_grad()
        loss(predictor).backward()
        return {name: p.grad.clone() for name, p in predictor.named_parameters()}

    plain = gradients()
    recompute_blocks(predictor)
    for name, gradient in gradients().items():
        assert torch.allclose(gradient, plain[name], atol=1e-6), name


def test_recomputed_activations_are_not_kept(predictor: Predictor):
    def kept() -> int:
        sizes = {}

        def pack(tensor: Tensor) -> Tensor:
            sizes[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss(predictor)
        return sum(sizes.values())

    plain = kept()
    recompute_blocks(predictor)
    assert kept() < 0.6 * plain
