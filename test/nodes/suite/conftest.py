"""Encoder, predictor and planner with a small model, in this process; the bench is the robot."""

import contextlib
import dataclasses
import gc

import numpy as np
import pytest
import torch
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from vjepa_msgs.msg import Latent

from vjepa_gate.ros.process import bring_up
from vjepa_gate.ros.spinning import spinning
from vjepa_ros.images import rgb_to_fields
from vjepa_ros.model.checkpoints import load_weights
from vjepa_ros.model.decoder import Decoder, DecoderConfig, decoder_beside, save_decoder
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.nodes.composed import make_nodes
from vjepa_ros.planning.world_model import WorldModel, fast_dtype


@pytest.fixture(scope="session")
def weights(small_weights):
    """With a decoder beside them."""
    path = small_weights()
    decoder = Decoder(DecoderConfig(latent_width=48, grid=4, size=64, width=16))
    save_decoder(decoder_beside(path), decoder, load_weights(path).identity, {})
    return path


@pytest.fixture(scope="session")
def model(weights):
    """The same weights without any node."""
    loaded = load_weights(weights, dtype=fast_dtype(torch.device("cpu")))
    preprocessor = Preprocessor(loaded.config.image_size, loaded.config.crop)
    return WorldModel(loaded.encoder, loaded.predictor, preprocessor)


@pytest.fixture
def picture():
    def draw(seed, size=(48, 64)):
        return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)

    return draw


@pytest.fixture
def start_nodes(weights, bench):
    """Starts nodes that share a process's memory; `up=False` leaves them unconfigured.

    All in the bench's DDS participant, see start_gate.
    """
    started = contextlib.ExitStack()

    def start(*names, up=True, **parameters):
        values = {"weights": str(weights)} | parameters
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        nodes = started.enter_context(running(names, bench.node.context, overrides))
        for node in nodes if up else ():
            bring_up(node)
        return nodes

    def stop():
        started.close()
        gc.collect()  # rclpy leaves services of a destroyed node in the graph until then

    start.stop = stop
    yield start
    stop()


@contextlib.contextmanager
def running(names, context, overrides):
    nodes = make_nodes(names, context=context, parameter_overrides=overrides)
    with spinning(*nodes):
        yield nodes
    for node in reversed(nodes):
        node.trigger_shutdown()
    for node in nodes:
        node.destroy_node()


@dataclasses.dataclass
class Camera:
    """Shows pictures on the bench, instead of its own."""

    bench: object
    wait_until: object
    delay: float = 0.0  # seconds from the stamp to the message

    def __post_init__(self):
        self.bench.alive.discard("camera")
        self.latents = []
        node = self.bench.node
        node.create_subscription(Latent, "latent", self.latents.append, QoSProfile(depth=20))

    def show(self, rgb, **fields):
        """The stamp."""
        image = Image(**(rgb_to_fields(rgb) | fields))
        taken = self.bench.node.get_clock().now() - Duration(seconds=self.delay)
        image.header.stamp = taken.to_msg()
        image.header.frame_id = "camera_optical_frame"
        self.bench.images.publish(image)
        return image.header.stamp

    def stream(self, rgb):
        """Ten times a second from now on."""
        self.bench.node.create_timer(0.1, lambda: self.show(rgb))

    def show_until_encoded(self, rgb):
        """The latent of a picture, shown again until discovery is through."""
        stamps = set()

        def encoded():
            stamp = self.show(rgb)
            stamps.add((stamp.sec, stamp.nanosec))
            return any(_key(latent) in stamps for latent in self.latents)

        self.wait_until(encoded, "encoded", self.bench.status)
        return next(latent for latent in self.latents if _key(latent) in stamps)


def _key(latent):
    return latent.header.stamp.sec, latent.header.stamp.nanosec


@pytest.fixture
def camera(bench, wait_until):
    return Camera(bench, wait_until)
