"""The small policy of our own: cloned from recordings, and served as anybody's would be."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from vjepa_gate.errors import UserError
from vjepa_ros import cli
from vjepa_ros.episodes.episode import Episode
from vjepa_ros.episodes.npz import write_npz
from vjepa_ros.policy.net import PolicyConfig, PolicyNet, load_policy, save_policy
from vjepa_ros.policy.opening import Seen, proposer_of
from vjepa_ros.policy.settings import PolicySettings


def moving_square(seed, steps=12):
    """The tool is where a bright square is, and goes straight on."""
    rng = np.random.default_rng(seed)
    start, way = rng.uniform(0.3, 0.5, 2), rng.uniform(-0.02, 0.02, 2)
    states = np.zeros((steps, 7))
    states[:, :2] = start + way * np.arange(steps)[:, None]
    states[:, 2] = 0.3
    frames = np.zeros((steps, 64, 64, 3), np.uint8)
    for frame, (x, y) in zip(frames, (states[:, :2] * 64).astype(int), strict=True):
        frame[x : x + 8, y : y + 8] = 255
    return Episode(frames=frames, states=states, stamps=0.25 * np.arange(steps))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_weights):
    folder, weights = tmp_path_factory.mktemp("policy"), small_weights()
    for seed in range(8):
        episode = moving_square(seed)
        write_npz(folder / "data" / f"{seed}.npz", episode, episode.frames)
    out = folder / "policy.safetensors"
    arguments = ("--data", folder / "data", "--out", out, "--weights", weights, "--steps", 60)
    assert cli.run(["policy", "train", *map(str, arguments)]) == 0
    return out, weights


def test_latents_of_other_recordings_are_not_cloned(trained, tmp_path: Path):
    out, weights = trained
    episode = moving_square(0, steps=5)
    write_npz(tmp_path / "other.npz", episode, episode.frames)
    arguments = ("--data", tmp_path, "--out", out, "--weights", weights, "--steps", 1)
    with pytest.raises(UserError, match="holds latents of 8 other recordings"):
        cli.run(["policy", "train", *map(str, arguments)])


def test_it_learns_to_go_where_the_goal_is(trained):
    """Better than to stay: the median step of these is 13 mm."""
    path, weights = trained
    from vjepa_ros.planning.loading import load_world_model

    loaded = load_world_model(weights)
    net = load_policy(path, loaded.identity)
    errors, stays = [], []
    for seed in range(8):
        episode = moving_square(seed)
        now, goal = loaded.world_model.encode(torch.from_numpy(episode.frames[[2, 10]])).float()
        state = torch.from_numpy(episode.states[2]).float()
        action = net(now[None], goal[None], state[None])[0, 0].numpy()
        errors.append(np.linalg.norm(action[:3] - episode.actions[2, :3]))
        stays.append(np.linalg.norm(episode.actions[2, :3]))
    assert np.median(errors) < 0.7 * np.median(stays)


def test_served_it_proposes(trained):
    path, weights = trained
    command = [sys.executable, "-m", "vjepa_ros.cli", "policy", "serve", path, "--port", "0"]
    server = subprocess.Popen([*command, "--weights", weights], stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"ws://\S+(?=;)", server.stdout.readline())[0]
        proposer = proposer_of(PolicySettings(policy=url, policy_timeout=60.0), 0.25)
        episode = moving_square(0)
        seen = Seen(
            rgb=episode.frames[2],
            state=torch.from_numpy(episode.states[2]),
            goal=episode.frames[10],
        )
        found = proposer(seen)
        assert found is not None, proposer.trouble
        assert found.shape == (1, 4, 7)
        proposer.close()
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0


def test_other_weights_and_other_files_are_refused(tmp_path):
    net = PolicyNet(PolicyConfig(width=4, tokens=2))
    save_policy(tmp_path / "p.safetensors", net, "tiny-1", {})
    with pytest.raises(UserError, match="was trained on latents of tiny-1, not of tiny-2"):
        load_policy(tmp_path / "p.safetensors", "tiny-2")
    (tmp_path / "q.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="`vjepa-ros policy train` writes"):
        load_policy(tmp_path / "q.safetensors", "tiny-1")
