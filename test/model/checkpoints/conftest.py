import pytest
import torch

from checkpoint_files import SMALL, SMALL_2_1, SMALL_384, SMALL_AC, SMALL_STATELESS
from vjepa_ros.model.presets import PRESETS


@pytest.fixture(autouse=True)
def _small_presets(monkeypatch):
    torch.manual_seed(0)
    for model in (SMALL, SMALL_2_1, SMALL_384, SMALL_AC, SMALL_STATELESS):
        monkeypatch.setitem(PRESETS, model.preset, model)


@pytest.fixture
def saved(tmp_path):
    def save(content, name="model.pt"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save
