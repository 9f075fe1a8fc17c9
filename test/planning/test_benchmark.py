"""The planning benchmark runs, its three ways agree, and its operation counts are right."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vjepa_ros.model.operations import cached_operations, plain_operations
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.world_model import Context, Goal, WorldModel

ROOT = Path(__file__).parents[2]


@pytest.fixture
def reference(monkeypatch):
    """The benchmarks' own module, which lies beside the script."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import reference

    return reference


def test_the_three_ways_agree(tmp_path):
    out = tmp_path / "planning.json"
    command = [sys.executable, "benchmarks/planning.py", "--preset", "tiny", "--samples", "24"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [*command, "--realtime", "--json", str(out)], cwd=ROOT, env=environment, check=True
    )
    figures = json.loads(out.read_text())

    for name in ("seconds", "matmul_gflops", "achieved_gflops", "floor_seconds"):
        assert all(figures[name][way] > 0 for way in ("plain", "exact", "fast"))
    assert {"ratio_fast", "ratio_exact", "realtime"} < set(figures)
    assert figures["energy_error_exact"] < 1e-5
    assert figures["elite_overlap_exact"] == 1
    assert figures["action_distance_m_exact"] < 1e-5
    assert figures["energy_error"] < 0.02
    assert figures["elite_overlap"] >= 0.9


def test_the_script_for_a_gpu_runs_to_its_end(tmp_path):
    out = tmp_path / "gpu.json"
    command = ["benchmarks/gpu.sh", "--preset", "tiny", "--device", "cpu", "--json", str(out)]
    # Compiling for a CPU takes minutes, and is not what the script is for.
    environment = {**os.environ, "PYTHON": sys.executable, "TORCHDYNAMO_DISABLE": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    figures = json.loads(out.read_text())
    for horizon in ("horizon_1", "horizon_2"):
        ways = figures[horizon]
        assert set(ways) == {"plain", "plain_bf16", "exact", "bf16", "compiled", "fp8"}
        assert not [ways[way] for way in ways if "error" in ways[way]]
        assert ways["exact"]["energy_error"] < 1e-5
        assert ways["exact"]["elite_overlap"] == 1
        assert ways["fp8"]["elite_overlap"] > 0.5
    assert figures["paper_preset"]["seconds"] > 0
    assert figures["real_time"].keys() & {"plans_a_second", "candidates"}  # or too few fit here


CONFIG = PredictorConfig(latent_width=96, grid=4, width=64, depth=3, heads=2)


def operations_of_a_packed_product(x, weight, *_, **__):
    return 2 * math.prod(x) * weight[0]  # [..., in] by [out, in]


@pytest.mark.parametrize(("horizon", "window"), [(1, None), (2, None), (4, None), (4, 2)])
def test_operations_of_a_cached_rollout(horizon, window):
    config = replace(CONFIG, window=window)
    # In bf16, where attention is made of products that the counter sees on a CPU too.
    model = WorldModel(None, Predictor(config), dtype=torch.bfloat16, memory_budget=1 << 40)
    context = Context(latents=torch.randn(1, 16, 96), states=torch.zeros(1, 7))
    cost = model.cost(context, Goal(latents=torch.randn(16, 96)), L1())
    packed = {torch.ops.mkldnn._linear_pointwise: operations_of_a_packed_product}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=packed) as counter:
        cost(torch.zeros(10, horizon, 7))
    expected = 10 * sum(cached_operations(config, horizon).values())
    assert counter.get_total_flops() == pytest.approx(expected, rel=0.03)


def test_operations_of_the_plain_algorithm_at_full_size(reference):
    config = PRESETS["ac_vitg"].predictor
    with torch.device("meta"):
        weights = Predictor(config).state_dict()
        frames = torch.empty(1, 2, 256, 1408), torch.empty(1, 2, 7), torch.empty(1, 2, 7)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        reference.predict(weights, config.heads, *frames)
    one, both = (sum(plain_operations(config, horizon).values()) for horizon in (1, 2))
    assert counter.get_total_flops() == pytest.approx(both - one, rel=0.001)
    assert one == pytest.approx(0.163e12, rel=0.01)  # what one step is known to cost
