import pytest
import torch

from vjepa_ros.training.masks import LARGE_BLOCKS, SMALL_BLOCKS, draw_mask


@pytest.mark.parametrize("kind", [SMALL_BLOCKS, LARGE_BLOCKS])
@pytest.mark.parametrize("grid", [4, 8, 16])
def test_every_patch_is_either_seen_or_hidden(kind, grid: int):
    seen, hidden = draw_mask(5, 2, grid, kind, torch.Generator().manual_seed(0))
    both = torch.cat((seen, hidden), 1).sort(1).values
    assert torch.equal(both, torch.arange(2 * grid * grid).expand(5, -1))
    assert min(seen.shape[1], hidden.shape[1]) > 0


def test_what_is_hidden_is_hidden_throughout_the_clip():
    _, hidden = draw_mask(5, 3, 8, SMALL_BLOCKS, torch.Generator().manual_seed(0))
    cells = hidden.view(5, 3, -1) - 64 * torch.arange(3)[None, :, None]
    assert torch.equal(cells[:, 0], cells[:, 1])
    assert torch.equal(cells[:, 0], cells[:, 2])


def test_large_blocks_hide_more_than_small_ones():
    def share(kind) -> float:
        return draw_mask(64, 1, 16, kind, torch.Generator().manual_seed(0))[1].shape[1] / 256

    assert 0.3 < share(SMALL_BLOCKS) < 0.9
    assert share(LARGE_BLOCKS) > 0.65


def test_hidden_cells_lie_together():
    _, hidden = draw_mask(1, 1, 16, LARGE_BLOCKS, torch.Generator().manual_seed(3))
    picture = torch.zeros(256).index_fill(0, hidden[0], 1.0).view(16, 16)
    neighbours = (picture[:, 1:] == picture[:, :-1]).float().mean()
    assert neighbours > 0.85  # as many for single cells drawn at random: about 0.6


def test_a_generator_in_the_same_state_draws_the_same():
    draws = [draw_mask(3, 2, 8, SMALL_BLOCKS, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(draws[0][1], draws[1][1])
