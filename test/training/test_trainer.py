"""One step after another: schedule, kills and restarts, many processes."""

import contextlib
import csv
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from vjepa_ros.model.presets import ModelConfig
from vjepa_ros.training.data import EpisodeSet
from vjepa_ros.training.pretrain import PretrainConfig, Pretraining
from vjepa_ros.training.trainer import (
    TrainerConfig,
    learning_rate,
    load_checkpoint,
    read_metrics,
    train,
)

PEER = Path(__file__).with_name("peer.py")
CPU = torch.device("cpu")
LOSSES = PretrainConfig(frames=4, masked=1.0, dynamics=1.0, inverse=1.0, readout=1.0)
CONFIG = TrainerConfig(steps=6, batch=4, warmup=2, checkpoint_every=2)
STEPS = 24
PRESET = f"""
model: small
data: {{held_out: 0.2}}
pretrain:
  losses: {{frames: 4, masked: 1.0, dynamics: 1.0, inverse: 1.0, readout: 1.0}}
  trainer: {{steps: {STEPS}, batch: 4, warmup: 3, checkpoint_every: 4, precision: float32}}
posttrain:
  losses: {{}}
  trainer: {{steps: 1}}
"""


def pretrain(folder: Path, out: Path, *launcher: str) -> list[str]:
    """The command that pretrains in a process of its own."""
    out.mkdir(parents=True, exist_ok=True)
    preset = out / "preset.yaml"
    preset.write_text(PRESET)
    command = [sys.executable, *launcher, str(PEER), "pretrain", "--data", str(folder)]
    return [*command, "--out", str(out / "run"), "--preset", str(preset), "--device", "cpu"]


def losses(out: Path) -> list[list[float]]:
    rows = read_metrics(out / "run" / "metrics.csv")
    return [[v for k, v in row.items() if k != "seconds"] for row in rows]


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training in one process that nobody interrupted."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    subprocess.run(pretrain(folder, out), check=True, timeout=120)
    assert len(losses(out)) == STEPS
    return out


def test_killed_at_any_moment_it_goes_on_to_the_same_losses(
    whole: Path, tmp_path: Path, folder: Path
):
    command = pretrain(folder, tmp_path / "killed")
    metrics = tmp_path / "killed" / "run" / "metrics.csv"
    process = subprocess.Popen(command)
    when = np.random.default_rng().integers(5, 15)
    while len(read_metrics(metrics)) < when:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(read_metrics(metrics)) < STEPS
    subprocess.run(command, check=True, timeout=120)
    assert losses(tmp_path / "killed") == losses(whole)
    weights = [out / "run" / "weights.safetensors" for out in (tmp_path / "killed", whole)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_two_processes_train_as_one_does(whole: Path, tmp_path: Path, folder: Path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    command = pretrain(folder, tmp_path / "two", *torchrun)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, timeout=120, env=environment)
    for mine, theirs in zip(losses(tmp_path / "two"), losses(whole), strict=True):
        assert mine == pytest.approx(theirs, rel=5e-3)


def node(folder: Path, out: Path, port: int, host: bool) -> subprocess.Popen[bytes]:
    """One machine's `torchrun` of two processes; the host's keeps the rendezvous."""
    conf = f"is_host={host:d},keep_alive_interval=1,keep_alive_max_attempt=3,last_call_timeout=5"
    torchrun = [
        *("-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=2"),
        *("--max-restarts=3", "--monitor-interval=0.2", "--rdzv-backend=c10d"),
        *(f"--rdzv-endpoint=localhost:{port}", f"--rdzv-conf={conf}", "--local-addr=localhost"),
    ]
    command = pretrain(folder, out, *torchrun)
    # Else one that comes back waits for an address: PyTorch tells it in the first round alone.
    environment = {"OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    return subprocess.Popen(command, env={**os.environ, **environment})


def kill(running: subprocess.Popen[bytes]) -> None:
    """As a machine that loses its power: `torchrun` and what it started."""
    children = psutil.Process(running.pid).children(recursive=True)
    for process in (psutil.Process(running.pid), *children):
        process.send_signal(signal.SIGKILL)
    running.wait()


def test_of_two_nodes_one_is_killed_and_comes_back(whole: Path, tmp_path: Path, folder: Path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    out = tmp_path / "nodes"
    metrics = out / "run" / "metrics.csv"
    with contextlib.ExitStack() as running:

        def start(host: bool = False) -> subprocess.Popen[bytes]:
            process = running.enter_context(node(folder, out, port, host))
            running.callback(lambda: process.poll() is None and kill(process))
            return process

        first, second = start(host=True), start()
        while len(read_metrics(metrics)) < STEPS // 2:
            assert first.poll() is None
            time.sleep(0.005)
        kill(second)
        assert len(read_metrics(metrics)) < STEPS
        assert [process.wait(120) for process in (first, start())] == [0, 0]
    for mine, theirs in zip(losses(out), losses(whole), strict=True):
        assert mine == pytest.approx(theirs, rel=2e-2)


def test_the_rate_warms_up_and_falls_as_a_cosine():
    config = TrainerConfig(steps=110, warmup=10, learning_rate=1.0, final_share=0.1)
    rates = [learning_rate(step, config) for step in range(110)]
    assert rates[0] == 0.1
    assert max(rates) == rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_losses_fall_and_averages_follow(tmp_path: Path, small: ModelConfig, episodes: EpisodeSet):
    stage = Pretraining(small, replace(LOSSES, masked=0.0))
    train(stage, episodes, replace(CONFIG, steps=60, batch=8), tmp_path, CPU)
    rows = read_metrics(tmp_path / "metrics.csv")
    readouts = [row["readout"] for row in rows]
    assert sum(readouts[-10:]) < 0.7 * sum(readouts[:10])
    moved = [
        (live - average).abs().mean()
        for live, average in zip(stage.encoder.parameters(), stage.target.parameters(), strict=True)
    ]
    assert 0 < max(moved) < 0.1


def test_other_settings_are_refused(tmp_path: Path, small: ModelConfig, episodes: EpisodeSet):
    train(Pretraining(small, LOSSES), episodes, CONFIG, tmp_path, CPU)
    other = replace(CONFIG, learning_rate=0.5)
    with pytest.raises(ValueError, match=r"learning_rate 0\.001, now 0\.5"):
        train(Pretraining(small, LOSSES), episodes, other, tmp_path, CPU)


def test_what_is_finished_is_not_trained_again(
    tmp_path: Path, small: ModelConfig, episodes: EpisodeSet
):
    train(Pretraining(small, LOSSES), episodes, CONFIG, tmp_path, CPU)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    again = Pretraining(small, LOSSES)
    train(again, episodes, CONFIG, tmp_path, CPU)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint is not None
    assert torch.equal(checkpoint["stage"]["encoder.norm.weight"], again.encoder.norm.weight)


def test_a_gradient_that_is_not_finite_stops_training(
    tmp_path: Path, small: ModelConfig, episodes: EpisodeSet
):
    stage = Pretraining(small, LOSSES)
    torch.nn.init.constant_(stage.encoder.norm.bias, torch.nan)
    with pytest.raises(FloatingPointError, match="step 0: the gradient is nan"):
        train(stage, episodes, CONFIG, tmp_path, CPU)
    assert load_checkpoint(tmp_path) is None


def test_a_metrics_row_that_a_kill_cut_short_is_left_out(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["step", "loss"], [0, 1.5], [1, 1.25]])
        file.write("2,")
    assert read_metrics(path) == [{"step": 0.0, "loss": 1.5}, {"step": 1.0, "loss": 1.25}]
