"""Seconds per planned action: the published algorithm, ours exact and ours fast, side by side.

    python benchmarks/planning.py --preset cpu --json planning.json
    python benchmarks/planning.py --preset full --device cuda --compile --realtime

A floor is the operations that the sizes call for at the rate of a matrix product, measured in
the same run. All three search with the same weights, goal, seed, samples and iterations. `exact` is
float32; `fast` is the dtype that the device likes best, compiled on request. The weights are
random, but made to heed actions as a trained model does: see `make_predictor`.

On a machine that others use, run with --threads 1 and compare the seconds of CPU time.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import operations
import reference
import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from vjepa_ros.conventions import POSITION
from vjepa_ros.model.freed_memory import keep_freed_memory
from vjepa_ros.model.operations import cached_operations, matmul_rate, plain_operations
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.solvers import CEM, ICEM
from vjepa_ros.planning.world_model import Context, Goal, WorldModel

MAX_STEP = 0.075  # metres
PERIOD = 0.25  # seconds that the real-time search may take for an action


@dataclass(frozen=True, kw_only=True)
class Case:
    predictor: PredictorConfig
    horizon: int
    samples: int
    iterations: int
    elites: int = 10

    @property
    def candidates(self) -> int:
        return self.samples * self.iterations

    def search(self) -> dict[str, int]:
        names = ("horizon", "samples", "iterations", "elites")
        return {name: getattr(self, name) for name in names}


CASES = {
    # The published algorithm knows no residual predictor.
    "tiny": Case(
        predictor=PRESETS["ac_tiny"].predictor,
        horizon=2,
        samples=64,
        iterations=3,
    ),
    "cpu": Case(
        predictor=PredictorConfig(latent_width=1024, width=512, depth=12, heads=8),
        horizon=2,
        samples=64,
        iterations=3,
    ),
    # The planner `notebook`, with what `train posttrain --preset vitb` makes.
    "vitb": Case(predictor=PRESETS["ac_vitb_2_1"].predictor, horizon=2, samples=25, iterations=2),
    "full": Case(predictor=PRESETS["ac_vitg"].predictor, horizon=1, samples=800, iterations=10),
}


@dataclass(frozen=True)
class Problem:
    predictor: Predictor
    context: Context
    goal: Tensor


@dataclass(frozen=True)
class Run:
    """One way's search, and what it took."""

    actions: Tensor  # [H, 7]
    energies: Tensor  # [iterations, samples]
    seconds: float
    cpu_seconds: float
    peak_memory: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=CASES, default="cpu")
    parser.add_argument("--samples", type=int, help="instead of the preset's")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="of the CPU; all by default")
    parser.add_argument("--paper", action="store_true", help="count operations, and run nothing")
    parser.add_argument("--compile", action="store_true", help="compile the fast way")
    parser.add_argument("--realtime", action="store_true", help="also search at 4 actions a second")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()

    if args.threads:
        torch.set_num_threads(args.threads)
    case, device = CASES[args.preset], torch.device(args.device)
    if args.samples:
        case = replace(case, samples=args.samples)
    if args.paper:
        count(case, torch.bfloat16)
        return
    with torch.no_grad():
        figures = {"preset": args.preset, **benchmark(case, device, args)}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def benchmark(case: Case, device: torch.device, args: argparse.Namespace) -> dict[str, object]:
    seed = args.seed
    problem = make_problem(case, device, seed)
    exact = WorldModel(None, problem.predictor, dtype=torch.float32)
    fast = WorldModel(None, problem.predictor, compile=args.compile)
    dtypes = {"plain": torch.float32, "exact": torch.float32, "fast": fast.dtype}
    measured = {dtype: matmul_rate(dtype, device) for dtype in dict.fromkeys(dtypes.values())}
    rates = {way: measured[dtype] for way, dtype in dtypes.items()}

    warm_up = args.compile or device.type == "cuda"
    runs = {"plain": measure(device, lambda: search_plainly(case, problem, seed), warm_up)}
    keep_freed_memory()  # as all that loads weights does
    runs["exact"] = measure(device, lambda: search(case, problem, exact, seed), warm_up)
    runs["fast"] = measure(device, lambda: search(case, problem, fast, seed), warm_up)
    figures = report(case, runs, count(case, fast.dtype), rates)
    if args.realtime:
        figures["realtime"] = search_in_time(case, problem, exact, fast, runs["fast"], seed)
    return figures


# --- the problem -------------------------------------------------------------------------


def make_problem(case: Case, device: torch.device, seed: int) -> Problem:
    """Two hidden actions lead to the goal, up to what a trained model mispredicts."""
    torch.manual_seed(seed)
    predictor = make_predictor(case.predictor).to(device)
    patches, channels = case.predictor.patches, case.predictor.latent_width
    context = Context(
        latents=layer_norm(torch.randn(1, patches, channels), (channels,)).to(device),
        states=torch.tensor([[0.4, 0.0, 0.3, 3.1, 0.0, 0.0, 0.2]], device=device),
    )
    hidden = torch.tensor([[0.04, -0.03, 0.02, 0, 0, 0, 0.3], [0.02, 0.03, -0.04, 0, 0, 0, 0.1]])
    exact = WorldModel(None, predictor, dtype=torch.float32)
    reached = exact.rollout(context, hidden[None, : case.horizon])[0, -1]
    missed = 0.04 * torch.randn(patches, channels).to(device)
    return Problem(predictor, context, layer_norm(reached + missed, (channels,)))


def make_predictor(config: PredictorConfig) -> Predictor:
    """Random weights that heed actions.

    Weights as drawn for training spread attention evenly, so that one action token among
    hundreds hardly shows in the output: the energies of all candidates agree to a
    percent and rank by rounding. Here the action's token points its own way, and
    queries look for it. The scale of its weights puts the L1 energies where those of a model
    trained on the simulated arm were: 0.1 for no action, 0.03 for the right ones.
    """
    predictor = Predictor(config).requires_grad_(False)
    for module in predictor.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(std=module.in_features**-0.5)
    direction = torch.randn(config.width).sign()
    predictor.action_encoder.weight.normal_(std=3)
    predictor.action_encoder.bias.copy_(4 * direction)
    for block in predictor.predictor_blocks:
        block.attn.proj.weight /= (2 * config.depth) ** 0.5
        block.mlp.fc2.weight /= (2 * config.depth) ** 0.5
        queries, keys = slice(config.width), slice(config.width, 2 * config.width)
        block.attn.qkv.bias[queries] = block.attn.qkv.weight[keys] @ direction
    return predictor


# --- the three ways ----------------------------------------------------------------------


def search_plainly(case: Case, problem: Problem, seed: int) -> tuple[Tensor, Tensor]:
    actions, energies = reference.plan(
        problem.predictor.state_dict(),
        case.predictor.heads,
        problem.context.latents[0],
        problem.context.states[0],
        problem.goal,
        **case.search(),
        max_step=MAX_STEP,
        seed=seed,
    )
    return actions, torch.stack(energies)


def search(case: Case, problem: Problem, model: WorldModel, seed: int) -> tuple[Tensor, Tensor]:
    solver = CEM(**case.search(), device=model.device)
    cost = model.cost(problem.context, Goal(latents=problem.goal), L1())
    solution = solver.solve(cost, seed=seed)
    return solution.actions, solution.statistics.energies


def measure(device: torch.device, work: Callable[[], tuple[Tensor, Tensor]], warm_up: bool) -> Run:
    if warm_up:
        work()
    operations.forget_peak_memory(device)
    operations.synchronize(device)
    start, cpu_start = time.perf_counter(), time.process_time()
    actions, energies = work()
    operations.synchronize(device)
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return Run(actions, energies, seconds, cpu_seconds, operations.peak_memory(device))


def search_in_time(
    case: Case, problem: Problem, exact: WorldModel, fast: WorldModel, full: Run, seed: int
) -> dict[str, object]:
    """iCEM with as many samples as the period allows, against the full search's energy."""
    affordable = int(PERIOD * case.candidates / full.seconds)
    iterations, elites = 3, 5
    samples = int(affordable / sum(ICEM.decay**-iteration for iteration in range(iterations)))
    if samples < 2 * elites:
        print(f"\nreal time: only {affordable} candidates fit {PERIOD} s here, too few to search")
        return {"candidates": affordable}
    solver = ICEM(
        horizon=case.horizon,
        samples=samples,
        iterations=iterations,
        elites=elites,
        device=fast.device,
    )
    cost = fast.cost(problem.context, Goal(latents=problem.goal), L1())

    def work() -> tuple[Tensor, Tensor]:
        solution = solver.solve(cost, seed=seed)
        return solution.actions, solution.statistics.energies

    run = measure(fast.device, work, warm_up=True)

    plans = torch.stack((run.actions, full.actions, torch.zeros_like(full.actions)))
    energies = exact.energies(problem.context, plans, Goal(latents=problem.goal), L1()).tolist()
    figures = {
        "samples": samples,
        "iterations": iterations,
        "seconds": run.seconds,
        **dict(zip(("energy", "energy_full", "energy_no_action"), energies, strict=True)),
        "gap": (energies[0] - energies[1]) / (energies[2] - energies[1]),
    }
    print(f"\nreal time: iCEM {samples} × {iterations} took {run.seconds:.3f} s")
    print("energy {:.4f}; full search {:.4f}; no action {:.4f}".format(*energies))
    return figures


# --- prediction and report ---------------------------------------------------------------


def count(case: Case, fast_dtype: torch.dtype) -> dict[str, float]:
    """The operations of each way's search, by what the model's sizes say."""
    config, horizon = case.predictor, case.horizon
    plain = plain_operations(config, horizon)
    cached = cached_operations(config, horizon)
    print(f"{case.samples} samples × {case.iterations} iterations × horizon {horizon}: ", end="")
    print(f"{config.depth} blocks × {config.width}, {config.patches} patches")
    totals = {}
    for way, parts in {"plain": plain, "exact": cached, "fast": cached}.items():
        totals[way] = case.candidates * sum(parts.values())
        listed = ", ".join(f"{name} {flops / 1e9:.2f}" for name, flops in parts.items())
        print(f"  {way:6}{totals[way] / 1e12:9.2f} TFLOP; a candidate's GFLOP: {listed}")
    moved = case.candidates * operations.cached_bytes(config, horizon, fast_dtype.itemsize)
    print(f"  fast moves {moved / 1e12:.2f} TB if no kernel is fused and no cache holds them")
    return totals


def report(
    case: Case,
    runs: dict[str, Run],
    counted: dict[str, float],
    rates: dict[str, float],
) -> dict[str, object]:
    plain = runs["plain"]
    figures: dict[str, object] = {
        "seconds": {way: run.seconds for way, run in runs.items()},
        "cpu_seconds": {way: run.cpu_seconds for way, run in runs.items()},
        "floor_seconds": {way: counted[way] / rates[way] for way in runs},
        "peak_memory_bytes": {way: run.peak_memory for way, run in runs.items()},
        "samples_per_second": {way: case.candidates / run.seconds for way, run in runs.items()},
        "matmul_gflops": {way: rates[way] / 1e9 for way in runs},
        "achieved_gflops": {way: counted[way] / run.seconds / 1e9 for way, run in runs.items()},
        "ratio_exact": plain.seconds / runs["exact"].seconds,
        "ratio_fast": plain.seconds / runs["fast"].seconds,
        **agreement(case, runs["fast"], plain, ""),
        **agreement(case, runs["exact"], plain, "_exact"),
    }
    print(f"{'':24}" + "".join(f"{way:>12}" for way in runs))
    for name, figure in figures.items():
        values = figure.values() if isinstance(figure, dict) else (figure,)
        print(f"{name:24}" + "".join(f"{value:12.4g}" for value in values))
    return figures


def agreement(case: Case, ours: Run, plain: Run, suffix: str) -> dict[str, float]:
    """Energies and elites of the first population, which all ways share; the plan's first step."""
    error = (ours.energies[0] - plain.energies[0]).abs() / plain.energies[0]
    elites = [
        set(run.energies[0].topk(case.elites, largest=False).indices.tolist())
        for run in (ours, plain)
    ]
    distance = (ours.actions - plain.actions)[0, POSITION].norm()
    return {
        f"energy_error{suffix}": error.max().item(),
        f"elite_overlap{suffix}": len(elites[0] & elites[1]) / case.elites,
        f"action_distance_m{suffix}": distance.item(),
    }


if __name__ == "__main__":
    main()
