"""The encoder over its topics and services."""

import gc
import time
import weakref

import numpy as np
import pytest
import torch
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from vjepa_msgs.srv import EncodeImage

from vjepa_ros.images import rgb_to_fields, to_rgb
from vjepa_ros.nodes.latents import to_frame


@pytest.fixture(autouse=True)
def _watched(bench):
    bench.gate = "encoder"


def encode(bench, **fields):
    return bench.call(EncodeImage, "encode_image", EncodeImage.Request(**fields))


def test_latents_are_those_of_the_model_and_carry_the_image(
    bench, camera, start_nodes, model, picture, wait_until
):
    start_nodes("encoder")
    rgb = picture(1)
    latent = camera.show_until_encoded(rgb)

    assert latent.header.frame_id == "camera_optical_frame"
    assert (latent.rows, latent.cols, latent.width) == (4, 4, 48)
    assert latent.weights.startswith("small-")
    assert latent.crop == "square"
    assert latent.source == "/camera/image_raw"
    expected = model.encode(torch.from_numpy(rgb)[None])[0]
    torch.testing.assert_close(to_frame(latent).latents, expected, atol=1e-4, rtol=1e-4)
    camera.stream(rgb)
    bench.wait_for_status("encoding")
    wait_until(lambda: float(bench.values()["image age (s)"]) < 2, "new", bench.status)


def test_the_latest_image_wins(camera, start_nodes, picture, wait_until):
    (node,) = start_nodes("encoder")
    camera.show_until_encoded(picture(1))
    with node._model_lock:  # a model that takes its time
        shown = [camera.show(picture(number)) for number in range(10)]

        def waits():
            waiting = node._images.newest()
            if waiting is not None and waiting.header.stamp == shown[-1]:
                return True
            time.sleep(0.2)
            shown.append(camera.show(picture(9)))  # a busy machine may lose one
            return False

        wait_until(waits, "the last one")
    wait_until(lambda: camera.latents[-1].header.stamp == shown[-1], "encoded")
    encoded = [latent for latent in camera.latents if latent.header.stamp in shown]
    assert len(encoded) <= 2  # the one that was being encoded, and the last


def test_a_picture_is_encoded_and_what_is_none_is_refused(bench, start_nodes, model, picture):
    start_nodes("encoder")
    rgb = picture(2)
    answer = encode(bench, image=Image(**rgb_to_fields(rgb)))
    assert answer.success, answer.message
    expected = model.encode(torch.from_numpy(rgb)[None])[0]
    torch.testing.assert_close(to_frame(answer.latent).latents, expected, atol=1e-4, rtol=1e-4)
    refused = encode(bench, image=Image(**(rgb_to_fields(rgb) | {"encoding": "16UC1"})))
    assert not refused.success
    assert "16UC1" in refused.message
    assert not encode(bench).success


def test_an_image_that_cannot_be_used_is_said_and_survived(bench, camera, start_nodes, picture):
    start_nodes("encoder")
    camera.show_until_encoded(picture(1))
    camera.show(picture(1), encoding="16UC1")
    bench.wait_for_status("16UC1")
    camera.stream(picture(4))
    bench.wait_for_status("encoding")


def test_picture_shows_input_beside_components(bench, camera, start_nodes, picture, wait_until):
    start_nodes("encoder", picture=True)
    pictures = []
    bench.node.create_subscription(Image, "/encoder/picture", pictures.append, 1)
    rgb = picture(5, (64, 64))

    def seen():
        camera.show(rgb)
        return pictures

    wait_until(seen, "a picture")
    shown = to_rgb(pictures[0])
    assert shown.shape == (64, 128, 3)
    np.testing.assert_array_equal(shown[:, :64], rgb)
    assert len(np.unique(shown[:, 64:].reshape(-1, 3), axis=0)) > 8


def test_missing_weights_fail_configure_until_they_are_there(bench, start_nodes, weights, tmp_path):
    missing = tmp_path / "none.safetensors"
    start_nodes("encoder", up=False, weights=str(missing))
    assert not bench.change_state("configure")
    bench.wait_for_status(f"no file {missing}")
    parameter = Parameter("weights", value=str(weights)).to_parameter_msg()
    request = SetParameters.Request(parameters=[parameter])
    assert bench.call(SetParameters, "/encoder/set_parameters", request).results[0].successful
    assert bench.change_state("configure")
    bench.wait_for_status("not active")


def test_a_parameter_out_of_range_or_too_late_is_refused(bench, start_nodes):
    start_nodes("encoder", up=False)

    def change(value):
        parameter = Parameter("max_image_age", value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        return bench.call(SetParameters, "/encoder/set_parameters", request).results[0]

    refused = change(9999.0)
    assert not refused.successful
    assert "3600" in refused.reason
    assert change(5.0).successful
    assert bench.change_state("configure")
    assert "clean up" in change(6.0).reason


def test_cleanup_frees_the_model(bench, start_nodes):
    (node,) = start_nodes("encoder")
    model = weakref.ref(node._encoder)
    assert bench.change_state("deactivate")
    assert bench.change_state("cleanup")
    gc.collect()
    assert model() is None
    assert bench.change_state("configure")
    assert bench.change_state("activate")
