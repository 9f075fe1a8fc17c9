"""Every test process has a ROS domain of its own, on this machine alone, and one torch thread."""

import dataclasses
import os

import pytest

os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
# rclpy takes a wrong field type for garbage unless it is told to look.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
# Small models gain nothing from a second thread, and two that wait for each other lose much.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory):
    """A function that writes weights which nobody trained, of a model small enough for any test;
    with what is given as fields of its ModelConfig.
    """
    import torch  # not before the lines above

    from vjepa_ros.model.checkpoints import save_weights
    from vjepa_ros.model.encoder import Encoder, EncoderConfig
    from vjepa_ros.model.predictor import Predictor, PredictorConfig
    from vjepa_ros.model.presets import ModelConfig

    small = ModelConfig(
        preset="small",
        encoder=EncoderConfig(width=48, depth=1, heads=2),
        predictor=PredictorConfig(latent_width=48, grid=4, width=48, depth=1, heads=2),
        image_size=64,
    )

    def write(seed=0, **changes):
        config = dataclasses.replace(small, **changes)
        torch.manual_seed(seed)
        encoder = Encoder(config.encoder)
        predictor = Predictor(config.predictor) if config.predictor else None
        path = tmp_path_factory.mktemp("weights") / f"small_{seed}.safetensors"
        save_weights(path, config, encoder, predictor)
        return path

    return write
