import pytest
import torch

from vjepa_ros.planning.objectives import L1, L2, OBJECTIVES, Cosine, make_objective


@pytest.fixture
def frames() -> tuple[torch.Tensor, torch.Tensor]:
    """Three frames' latents [3, 4, 8] and a goal [4, 8]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 4, 8, generator=generator), torch.randn(4, 8, generator=generator)


def test_distances_are_what_their_names_say(frames):
    latents, goal = frames
    for n in range(3):
        difference = latents[n] - goal
        cosines = torch.stack(
            [a @ b / (a.norm() * b.norm()) for a, b in zip(latents[n], goal, strict=True)]
        )
        torch.testing.assert_close(L1().distance(latents, goal)[n], difference.abs().mean())
        torch.testing.assert_close(L2().distance(latents, goal)[n], (difference**2).mean())
        torch.testing.assert_close(Cosine().distance(latents, goal)[n], 1 - cosines.mean())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_goal_is_at_no_distance_from_itself(name, frames):
    _, goal = frames
    torch.testing.assert_close(make_objective(name).distance(goal[None], goal), torch.zeros(1))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_token_weights_choose_where_to_look(name, frames):
    latents, goal = frames
    second = make_objective(name, token_weights=torch.tensor([0.0, 3.0, 0.0, 0.0]))
    only = make_objective(name).distance(latents[:, 1:2], goal[1:2])
    torch.testing.assert_close(second.distance(latents, goal), only)

    alike = make_objective(name, token_weights=torch.full((4,), 5.0))
    torch.testing.assert_close(
        alike.distance(latents, goal), make_objective(name).distance(latents, goal)
    )


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_half_precision_latents_are_summed_in_float32(name):
    # 4096 equal differences: a sum in bfloat16 would stop growing at 256.
    latents = torch.full((1, 2, 4096), 1.0, dtype=torch.bfloat16)
    distance = make_objective(name).distance(latents, torch.zeros_like(latents[0]))
    assert distance.dtype == torch.float32
    assert distance.item() == 1.0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_distances_are_differentiable(name, frames):
    latents, goal = frames
    latents.requires_grad_()
    make_objective(name).distance(latents, goal).sum().backward()
    assert latents.grad.abs().sum() > 0


def test_discount_weighs_a_frame_against_the_next_one():
    assert L1().step_weights(3) == [0, 0, 1]
    assert L1(discount=1).step_weights(4) == [0.25] * 4
    assert L1(discount=0.5).step_weights(3) == pytest.approx([1 / 7, 2 / 7, 4 / 7])
    assert L1(discount=0.5).step_weights(1) == [1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"discount": 1.5}, "discount is 1.5"),
        ({"discount": float("nan")}, "discount is nan"),
        ({"token_weights": torch.zeros(4)}, "token_weights"),
        ({"token_weights": torch.tensor([1.0, -1.0])}, "token_weights"),
        ({"token_weights": torch.tensor([1.0, torch.nan])}, "token_weights"),
        ({"token_weights": torch.ones(2, 2)}, r"token_weights.*\[2, 2\]"),
        ({"token_weights": torch.ones(4, dtype=torch.int64)}, "token_weights.*int64"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        L1(**options)


def test_wrong_shapes_are_named(frames):
    latents, goal = frames
    with pytest.raises(ValueError, match=r"goal has shape \[3, 8\] and latents \[3, 4, 8\]"):
        L1().distance(latents, goal[:3])
    with pytest.raises(ValueError, match="token_weights has 5 weights for 4 tokens"):
        L1(token_weights=torch.ones(5)).distance(latents, goal)
    with pytest.raises(ValueError, match="horizon is 0"):
        L1().step_weights(0)
    with pytest.raises(ValueError, match="objective 'l3' is unknown, expected one of l1"):
        make_objective("l3")
