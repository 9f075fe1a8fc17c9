"""The predictor over its topics and services."""

import array
import time

import pytest
import torch
from sensor_msgs.msg import Image
from std_msgs.msg import Float32
from vjepa_msgs.msg import Latent
from vjepa_msgs.srv import EncodeImage, ScoreActions

from vjepa_ros.images import rgb_to_fields
from vjepa_ros.nodes.latents import to_frame
from vjepa_ros.nodes.qos import GOALS, PICTURES
from vjepa_ros.planning.objectives import L1, L2
from vjepa_ros.planning.world_model import Context, Goal

STATE = (0.5, 0.0, 0.3, 3.1, 0.0, 0.1, 0.0)


@pytest.fixture(autouse=True)
def _watched(bench):
    bench.gate = "predictor"


@pytest.fixture
def actions():
    torch.manual_seed(3)
    return 0.05 * torch.randn(20, 2, 7)


def score(bench, actions, **fields):
    numbers = array.array("f", actions.numpy().tobytes())
    samples, horizon = actions.shape[:2]
    request = ScoreActions.Request(
        **{"samples": samples, "horizon": horizon, "actions": numbers, "state": STATE} | fields
    )
    return bench.call(ScoreActions, "score_actions", request)


def show_until_predicting(bench, camera, rgb):
    def predicting():
        camera.show(rgb)
        return bench.status() and bench.status().message == "predicting"

    camera.wait_until(predicting, "predicting", bench.status)


@pytest.fixture
def latch(bench, picture):
    """A picture as a goal with a name, as a planner publishes it."""
    goals = bench.node.create_publisher(Latent, "goal_latent", GOALS)

    def latch(seed, name):
        request = EncodeImage.Request(image=Image(**rgb_to_fields(picture(seed))))
        latent = bench.call(EncodeImage, "encode_image", request).latent
        latent.source = name
        goals.publish(latent)
        return latent

    return latch


@pytest.fixture
def scene(bench, camera, start_nodes, picture, latch):
    """Encoder and predictor as two processes would be; a picture that is seen, and a goal."""
    start_nodes("encoder")
    start_nodes("predictor")
    goal_latent = latch(2, "home")
    show_until_predicting(bench, camera, picture(1))
    return camera.show_until_encoded(picture(1)), goal_latent


def as_goal(latent):
    return Goal(latents=to_frame(latent).latents, name=latent.source)


@pytest.mark.parametrize(("name", "objective"), [("", L1()), ("l2", L2())])
def test_energies_are_those_of_the_world_model(bench, scene, model, actions, name, objective):
    seen, goal = scene
    stamp = seen.header.stamp
    answer = score(bench, actions, goal="home", image_stamp=stamp, objective=name)
    assert answer.success, answer.message
    assert answer.image_stamp == stamp
    context = Context(latents=to_frame(seen).latents[None], states=torch.tensor([STATE]))
    # As planners ask: for gradients, GELU is rounded otherwise in bf16 on a CPU.
    with torch.no_grad():
        expected = model.energies(context, actions, as_goal(goal), objective)
    torch.testing.assert_close(torch.tensor(answer.energies), expected)


def test_a_goal_is_a_start_like_an_image(bench, scene, model, actions):
    _, goal = scene
    answer = score(bench, actions, goal="home", start_goal="home")
    assert answer.success, answer.message
    assert (answer.image_stamp.sec, answer.image_stamp.nanosec) == (0, 0)
    home = as_goal(goal)
    context = Context(latents=home.latents[None], states=torch.tensor([STATE]))
    with torch.no_grad():
        expected = model.energies(context, actions, home, L1())
    torch.testing.assert_close(torch.tensor(answer.energies), expected)


def test_what_cannot_be_scored_is_refused_with_the_reason(bench, scene, actions):
    stamp = scene[0].header.stamp
    assert "no goal 'away'" in score(bench, actions, goal="away", image_stamp=stamp).message
    assert "no goal 'away'" in score(bench, actions, goal="home", start_goal="away").message
    late = type(stamp)(sec=stamp.sec, nanosec=stamp.nanosec ^ 1)
    assert "no latent of that image" in score(bench, actions, goal="home", image_stamp=late).message
    sizes = score(bench, actions, goal="home", samples=21)
    assert "280 numbers, expected 21 × 2 × 7" in sizes.message
    assert "objective" in score(bench, actions, goal="home", objective="l7").message
    actions[3, 0, 0] = torch.nan
    assert "NaN" in score(bench, actions, goal="home").message
    assert score(bench, actions.nan_to_num(), goal="home").success  # and it goes on


def test_latents_of_other_weights_are_not_scored(
    bench, camera, start_nodes, small_weights, picture, actions
):
    start_nodes("encoder", weights=str(small_weights(1)))
    (predictor,) = start_nodes("predictor")
    camera.stream(picture(1))
    bench.wait_for_status("give both nodes the same weights")
    assert predictor.identity in bench.status().message
    assert not score(bench, actions, goal="home").success


def test_a_goal_that_was_kept_before_it_started_is_known(
    bench, camera, start_nodes, picture, actions, latch
):
    start_nodes("encoder")
    latch(2, "home")
    start_nodes("predictor")
    show_until_predicting(bench, camera, picture(1))
    assert score(bench, actions, goal="home").success


def test_surprise_is_told_for_each_executed_step(bench, camera, scene, model, picture, wait_until):
    surprises, imagined = [], []
    bench.node.create_subscription(Float32, "surprise", surprises.append, 10)
    bench.node.create_subscription(Image, "predictor/imagined", imagined.append, PICTURES)
    for topic in ("surprise", "predictor/imagined"):
        wait_until(lambda topic=topic: bench.node.count_publishers(topic), topic)
    start = scene[0]

    def told():
        """Of a step that is made anew: a busy machine may lose an action or the poses."""
        bench.position = [0.5, 0.0, 0.3]
        seen = camera.show_until_encoded(picture(1))
        bench.send(image_stamp=seen.header.stamp, duration=0.05, dx=0.02)
        bench.position = [0.52, 0.0, 0.3]
        for _ in range(10):
            time.sleep(0.1)
            camera.show(picture(3))
        return surprises and imagined

    wait_until(told, "a surprise, and a picture of what was imagined")
    assert (imagined[0].height, imagined[0].width) == (64, 2 * 64)  # beside what came
    seen = to_frame(start).latents
    with torch.no_grad():
        states = torch.tensor([[*bench_state(0.5)], [*bench_state(0.52)]])
        action = torch.tensor([[[0.02, 0, 0, 0, 0, 0, 0]]])
        predicted = model.rollout(Context(latents=seen[None], states=states[:1]), action)[:, 0]
        after = model.encode(torch.from_numpy(picture(3))[None])
    # The tool may have been seen on its way; the picture says most.
    assert surprises[0].data == pytest.approx(float(L1().distance(predicted, after[0])), rel=0.1)
    wait_until(lambda: "surprise" in bench.values(), "told on /diagnostics")


def bench_state(x):
    return x, 0.0, 0.3, torch.pi, 0.0, 0.0, 0.0
