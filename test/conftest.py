"""Every test process has a ROS domain of its own, on this machine alone, and one torch thread."""

import dataclasses
import os
import signal

import pytest

from vjepa_gate.isolation import isolate

# Tests of what runs in real time, in processes of its own.
REAL_TIME = (
    "gate/test/node/",
    "sim/test/node/",
    "test/commands/test_demo.py",
    "test/commands/test_doctor_robot.py",
    "test/commands/test_run.py",
    "test/nodes/",
    "test/replay/test_graph.py",
)

isolate()
# rclpy takes a wrong field type for garbage unless it is told to look.
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"
# Small models gain nothing from a second thread, and two that wait for each other lose much.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# What tests start inherits what nohup, or a shell's background, has these tests ignore.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Several processes share the tests by files, whose fixtures are dear; of those in real time
    one runs at a time: two would take the processor from each other.
    """
    from xdist.scheduler import LoadFileScheduling

    class InTurns(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return "real time" if nodeid.startswith(REAL_TIME) else super()._split_scope(nodeid)

    return InTurns(config, log)


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory):
    """A function that writes weights which nobody trained, of a model small enough for any test;
    with what is given as fields of its ModelConfig, and the planner that it names.
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

    def write(seed=0, planner="tiny", **changes):
        config = dataclasses.replace(small, **changes)
        torch.manual_seed(seed)
        encoder = Encoder(config.encoder)
        predictor = Predictor(config.predictor) if config.predictor else None
        path = tmp_path_factory.mktemp("weights") / f"small_{seed}.safetensors"
        metadata = {"planner": planner} if planner else {}
        save_weights(path, config, encoder, predictor, metadata=metadata)
        return path

    return write
