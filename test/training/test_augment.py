import torch

from vjepa_ros.training.augment import AugmentConfig, augment, either, vary
from vjepa_ros.training.data import EpisodeSet, Share

ALL = AugmentConfig(gain=0.2, offset=0.2, shift=0.1, turn=10, zoom=0.1, commanded=0.5)


def test_without_a_change_pictures_stay_as_they_are():
    pixels = torch.randn(2, 3, 3, 16, 16)
    assert torch.equal(augment(pixels, AugmentConfig(), torch.rand(2, 9)), pixels)


def test_a_shift_moves_the_picture_by_its_share_of_the_width():
    pixels = torch.zeros(1, 1, 3, 16, 16)
    pixels[..., 8, 8] = 1
    draws = torch.zeros(1, 9)
    draws[0, 7] = 1.0  # to the left
    moved = augment(pixels, AugmentConfig(shift=0.25), draws)
    assert moved[0, 0, 0, 8, 4] > 0.99


def test_all_frames_of_a_window_change_alike():
    pixels = torch.randn(4, 1, 3, 16, 16).expand(-1, 3, -1, -1, -1)
    changed = augment(pixels, ALL, torch.rand(4, 9) * 2 - 1)
    assert torch.allclose(changed[:, 0], changed[:, 2])
    assert not torch.allclose(changed[0] - pixels[0], changed[1] - pixels[1], atol=0.1)


def test_two_processes_see_what_one_would(episodes: EpisodeSet):
    def varied(share: Share) -> tuple[torch.Tensor, torch.Tensor]:
        batches = episodes.stream(batch=4, frames=3, seed=0, steps=range(1), share=share)
        return vary(next(iter(batches)), ALL, torch.Generator().manual_seed(1), share)

    halves, whole = [varied(Share(rank, 2)) for rank in range(2)], varied(Share())
    for index in range(2):
        both = torch.cat([half[index] for half in halves])
        assert torch.allclose(both, whole[index], atol=1e-5)


def test_commanded_actions_are_taken_where_they_are_known():
    actions, commanded = torch.zeros(3, 2, 7), torch.ones(3, 2, 7)
    commanded[2] = torch.nan
    chosen = either(actions, commanded, torch.tensor([True, False, True]))
    assert chosen[:, 0, 0].tolist() == [1.0, 0.0, 0.0]
