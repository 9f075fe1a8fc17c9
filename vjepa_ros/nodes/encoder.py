"""The encoder: camera images in, latents out.

Publishes `latent` of the newest image: what came while it was busy is skipped. The service
`encode_image` encodes a picture, such as a goal. With `picture`, `~/picture` shows the image
beside the principal components of its latents.
"""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from torch import Tensor
from vjepa_msgs.msg import Latent
from vjepa_msgs.srv import EncodeImage

from vjepa_gate.robots import load_robot
from vjepa_gate.ros import stamps
from vjepa_gate.ros.process import run_node
from vjepa_gate.ros.qos import of_topic
from vjepa_gate.settings import declare_parameters
from vjepa_gate.status import Status
from vjepa_ros.images import compressed_to_rgb, rgb_to_fields, to_rgb
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.latent_picture import LatentPainter
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.nodes.health import Meter, memory
from vjepa_ros.nodes.latents import Frame, to_message
from vjepa_ros.nodes.model_node import ModelNode
from vjepa_ros.nodes.qos import LATENTS, PICTURES
from vjepa_ros.nodes.settings import EncoderSettings
from vjepa_ros.nodes.shelf import Shelf
from vjepa_ros.nodes.weights import load
from vjepa_ros.picture_watch import PictureWatch


class EncoderNode(ModelNode):
    """Encodes the camera's newest image, and pictures on request."""

    def __init__(self, **options: Any) -> None:
        super().__init__("encoder", **options)
        declare_parameters(EncoderSettings, self)
        self._listeners: list[Callable[[Frame], None]] = []

    def listen(self, listener: Callable[[Frame], None], *, first: bool = False) -> None:
        """For nodes in the same process: every frame, without a copy; to the `first` before
        others take their time.
        """
        self._listeners.insert(0 if first else len(self._listeners), listener)

    # --- life ------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Load the encoder, and connect."""
        self._settings = settings = self.settings(EncoderSettings)
        camera = load_robot(settings.robot).topics.camera
        weights, (self._device, *_) = load(self, settings)
        if weights.encoder is None:
            raise ValueError(
                f"weights: {settings.weights} holds no encoder: join one to it with "
                "`vjepa-ros weights convert --encoder FILE`"
            )
        self._encoder: Encoder = weights.encoder
        self._identity, self._crop = weights.identity, weights.config.crop
        self._preprocess = Preprocessor(weights.config.image_size, self._crop)
        self._painter = LatentPainter(self._preprocess) if settings.picture else None
        self._model_lock = threading.Lock()
        self._images: Shelf[None, Image | CompressedImage] = Shelf(1)
        self._image_stamp, self._fault = 0.0, ""
        self._seconds = 0.0  # that the last encoding took
        self._received, self._encoded = Meter(), Meter()

        self._latents = self.publisher(Latent, "latent", LATENTS)
        self._pictures = self.publisher(Image, "~/picture", PICTURES) if self._painter else None
        self._source = self.resolve_topic_name(camera.name)
        self._convert = compressed_to_rgb if camera.compressed else to_rgb
        kind = CompressedImage if camera.compressed else Image
        self.subscribe(kind, camera.name, self._on_image, of_topic(camera))
        self.serve_apart(EncodeImage, "encode_image", self._encode_image)

    def start(self) -> None:
        """Begin to encode, in a thread."""
        self._watch = PictureWatch()
        self._worker = threading.Thread(target=self._work, name="encoder")
        self._worker.start()

    def stop(self) -> None:
        """End the thread."""
        self._worker.join()

    # --- camera ----------------------------------------------------------------------------

    def _on_image(self, image: Image | CompressedImage) -> None:
        self._received.tick()
        self._image_stamp = stamps.seconds(image.header.stamp)
        self._images.put(None, image)

    def _work(self) -> None:
        while self.active:
            image = self._images.take(timeout=0.1)
            if image is not None:
                self._look(image)

    def _look(self, image: Image | CompressedImage) -> None:
        started = time.monotonic()
        try:
            pixels = self._convert(image)
            self._watch.check(pixels)
        except ValueError as error:
            self._fault = f"camera image cannot be used: {error}"
            return
        rgb = torch.from_numpy(pixels)
        frame = self._frame(rgb, image.header, self._source)
        for listener in self._listeners:
            listener(frame)
        if not self._listeners or self._latents.get_subscription_count() > 0:
            self._latents.publish(to_message(frame))
        self._fault, self._seconds = "", time.monotonic() - started
        self._encoded.tick()
        if self._pictures and self._painter:
            picture = self._painter.beside_input(rgb.to(self._device), frame.latents)
            self._pictures.publish(
                Image(header=image.header, **rgb_to_fields(picture.cpu().numpy()))
            )

    def _frame(self, rgb: Tensor, header: Header, source: str) -> Frame:
        with self._model_lock, torch.no_grad():
            pixels = self._preprocess(rgb[None].to(self._device))
            latents = self._encoder.encode(pixels)[0]
        return Frame(
            header=header, latents=latents, weights=self._identity, crop=self._crop, source=source
        )

    # --- goals -----------------------------------------------------------------------------

    def encode_picture(self, rgb: Tensor) -> Frame:
        """Encode a picture [H, W, 3] that no camera has taken now, such as a goal."""
        return self._frame(rgb, Header(stamp=self.get_clock().now().to_msg()), "a picture")

    def _encode_image(
        self, request: EncodeImage.Request, response: EncodeImage.Response
    ) -> EncodeImage.Response:
        try:
            frame = self.encode_picture(torch.from_numpy(to_rgb(request.image)))
        except ValueError as error:
            response.message = str(error)
            return response
        response.latent, response.success = to_message(frame), True
        response.message = f"encoded with {self._identity}"
        return response

    # --- how it is -------------------------------------------------------------------------

    def status(self) -> Status:
        """Say how often it encodes, and what of."""
        age = stamps.now(self) - self._image_stamp
        values = {
            "weights": self._identity,
            "image age (s)": f"{age:.2f}" if self._image_stamp else "never",
            "images per second": f"{self._received.rate():.1f}",
            "latents per second": f"{self._encoded.rate():.1f}",
            "encoding (s)": f"{self._seconds:.3f}",
            **memory(),
        }
        if not self._image_stamp:
            return Status(level="warning", message=f"no image on {self._source}", values=values)
        if self._fault:
            return Status(level="error", message=self._fault, values=values)
        if age > self._settings.max_image_age:
            return Status(
                level="error",
                message=f"the newest image on {self._source} is {age:.1f} s old",
                values=values,
            )
        return Status(level="ok", message="encoding", values=values)


def main() -> int:
    """Run the node until a signal."""
    return run_node(EncoderNode)


if __name__ == "__main__":
    sys.exit(main())
