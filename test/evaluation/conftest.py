"""Stand-ins: a world model that is always right, and one with random weights."""

import pytest
import torch

from vjepa_ros.conventions import GRIPPER, POSITION, apply_action
from vjepa_ros.model.checkpoints import save_weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.model.presets import PRESETS

sensing = pytest.importorskip("vjepa_ros.episodes.sensing", reason="vjepa_sim is not here")
Scene = pytest.importorskip("vjepa_sim.scene").Scene


class RightWorld:
    """Its latents [4, 1] are the tool's position in decimetres and the closedness."""

    def look(self, observation):
        return self._latents(sensing.state_of(observation))

    def cost(self, context, goal, objective):
        def energies(actions):
            state = context.states[-1].expand(len(actions), 7)
            for action in actions.unbind(1):
                state = apply_action(state, action)
            return objective.distance(self._latents(state), goal.latents)

        return energies

    def _latents(self, state):
        state = state.float()
        return torch.cat((10 * state[..., POSITION], state[..., GRIPPER:]), -1)[..., None]


@pytest.fixture
def right_world():
    return RightWorld()


@pytest.fixture(scope="session")
def scene():
    with Scene() as scene:
        yield scene


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """The tiny preset, untrained."""
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    config = PRESETS["tiny"]
    torch.manual_seed(0)
    assert config.predictor is not None
    metadata = {"planner": "tiny"}
    save_weights(
        path, config, Encoder(config.encoder), Predictor(config.predictor), metadata=metadata
    )
    return path
