"""Planning with the full model on one GPU, against the plain reference algorithm: see gpu.sh.

For horizons 1 and 2: the published algorithm as it stands, in float32 and under bf16 autocast, on a
share of the samples (its time is linear in them); ours exact, on the same share, in bf16, with FP8
products, and replayed as a CUDA graph. All draw the same first population, of whose elites each
way's agreement with the published algorithm is told. Then a whole plan of the preset `paper`, the
search that fits a quarter of a second, and ours compiled. A way that fails is told with its error;
the rest goes on.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import planning
import torch
from planning import PERIOD, Case, Problem, Run
from torch import Tensor, nn

from vjepa_ros.model.predictor import Predictor
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.solvers import CEM, Cost
from vjepa_ros.planning.world_model import Context, Goal, WorldModel

CASES = {  # tiny: so little that a CPU without bf16 does it in a minute
    "full": planning.CASES["full"],
    "tiny": replace(planning.CASES["tiny"], samples=24, iterations=2),
}
PLAIN_SAMPLES = 80  # of each iteration, for the published algorithm
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=("full", "tiny"), default="full")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    args = parser.parse_args()
    started, device = time.monotonic(), torch.device(args.device)
    figures: dict[str, Any] = {
        "preset": args.preset,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "planner": f"{CASES[args.preset].samples}×{CASES[args.preset].iterations}",
    }
    with torch.no_grad():
        for horizon in (1, 2):
            case = replace(CASES[args.preset], horizon=horizon)
            problem = planning.make_problem(case, device, SEED)
            figures[f"horizon_{horizon}"] = compare(case, problem, device)
            args.json.write_text(json.dumps(figures, indent=2) + "\n")  # what there is so far
        case = CASES[args.preset]
        problem = planning.make_problem(case, device, SEED)
        figures["paper_preset"] = attempt(lambda: paper(case, problem, device))
        figures["real_time"] = attempt(lambda: real_time(case, problem, device))
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
        for horizon in (1, 2):  # last, as compiling takes minutes
            case, found = (
                replace(CASES[args.preset], horizon=horizon),
                figures[f"horizon_{horizon}"],
            )
            problem = planning.make_problem(case, device, SEED)
            found["compiled"] = attempt(lambda: compiled(case, problem, device, found))  # noqa: B023
            args.json.write_text(json.dumps(figures, indent=2) + "\n")
    figures["seconds_in_all"] = time.monotonic() - started
    args.json.write_text(json.dumps(figures, indent=2) + "\n")
    print(f"wrote {args.json} after {figures['seconds_in_all']:.0f} s")


def attempt(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it gives, or its error: a GPU is lent for minutes, and one way must not cost them."""
    try:
        return work()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


# --- every way of one search -------------------------------------------------------------


def compare(case: Case, problem: Problem, device: torch.device) -> dict[str, Any]:
    """Each way's figures; those of the published algorithm are for all samples."""
    plain_case = replace(case, samples=min(case.samples, PLAIN_SAMPLES))
    share = plain_case.samples / case.samples
    autocast = torch.autocast(device.type, torch.bfloat16)

    def plainly() -> tuple[Tensor, Tensor]:
        return planning.search_plainly(plain_case, problem, SEED)

    def plainly_in_bf16() -> tuple[Tensor, Tensor]:
        with autocast:
            return plainly()

    plain = planning.measure(device, plainly, warm_up=device.type == "cuda")
    figures: dict[str, Any] = {
        "plain": {
            "seconds": plain.seconds / share,
            "measured_samples": plain_case.samples,
            "peak_memory_bytes": plain.peak_memory,
        }
    }

    def timed(way: str, search: Callable[[Case], tuple[Tensor, Tensor]]) -> dict[str, Any]:
        if way == "exact":  # slow in float32: on the share, as the published algorithm
            run = planning.measure(device, lambda: search(plain_case), warm_up=True)
            seconds = run.seconds / share
            ratio = figures["plain"]["seconds"] / seconds
            return {"seconds": seconds, "ratio": ratio, **agreement(plain_case, run, plain)}
        run = planning.measure(device, lambda: search(case), warm_up=True)
        # The first populations are the same where as many samples are drawn.
        same = replace(run, energies=search(plain_case)[1]) if share < 1 else run
        return {
            "seconds": run.seconds,
            "ratio": figures["plain"]["seconds"] / run.seconds,
            "peak_memory_bytes": run.peak_memory,
            **agreement(plain_case, same, plain),
        }

    ways = {
        "plain_bf16": lambda: {
            "seconds": planning.measure(device, plainly_in_bf16, warm_up=True).seconds / share
        },
        **{
            way: lambda way=way, make=make: timed(way, searcher(make(), problem))
            for way, make in makers(problem, device).items()
        },
    }
    for way, work in ways.items():
        figures[way] = attempt(work)
        if device.type == "cuda":
            torch.cuda.empty_cache()
        told = figures[way].get("seconds", figures[way].get("error"))
        print(f"horizon {case.horizon}  {way:12} {told}", flush=True)
    return figures


def compiled(
    case: Case, problem: Problem, device: torch.device, others: dict[str, Any]
) -> dict[str, Any]:
    """In bf16, compiled for whole populations; the plan alone is scored as it stands."""
    goal = Goal(latents=problem.goal)
    plain, fast = (
        WorldModel(None, problem.predictor, dtype=torch.bfloat16, compile=one).cost(
            problem.context, goal, L1()
        )
        for one in (False, True)
    )

    def cost(actions: Tensor) -> Tensor:
        return (fast if len(actions) == case.samples else plain)(actions)

    search = searcher(lambda: cost, problem)
    began = time.monotonic()
    search(case)
    first = time.monotonic() - began
    run = planning.measure(device, lambda: search(case), warm_up=False)
    return {
        "seconds": run.seconds,
        "ratio": others["plain"]["seconds"] / run.seconds,
        "peak_memory_bytes": run.peak_memory,
        "seconds_to_compile": first - run.seconds,
    }


def agreement(case: Case, ours: Run, plain: Run) -> dict[str, float]:
    found = planning.agreement(case, ours, plain, "")
    return {name: found[name] for name in ("energy_error", "elite_overlap")}


def makers(problem: Problem, device: torch.device) -> dict[str, Callable[[], Callable[[], Cost]]]:
    """Ways by name; each makes a world model, and gives what makes a cost for this problem."""
    predictor, goal = problem.predictor, Goal(latents=problem.goal)

    def plain_cost(model: WorldModel) -> Callable[[], Cost]:
        return lambda: model.cost(problem.context, goal, L1())

    def bf16() -> WorldModel:
        return WorldModel(None, predictor, dtype=torch.bfloat16)

    ways = {
        "exact": lambda: plain_cost(WorldModel(None, predictor, dtype=torch.float32)),
        "bf16": lambda: plain_cost(bf16()),
        "fp8": lambda: plain_cost(WorldModel(None, in_fp8(predictor), dtype=torch.bfloat16)),
    }
    if device.type == "cuda":
        ways["cuda_graph"] = lambda: lambda: Replayed(bf16(), problem)
        if torch.cuda.get_device_capability() < (8, 9):
            del ways["fp8"]  # no such products in the hardware
    return ways


def searcher(make_cost: Callable[[], Cost], problem: Problem) -> Callable[[Case], Any]:
    cost = make_cost()

    def search(case: Case) -> tuple[Tensor, Tensor]:
        solver = CEM(**case.search(), device=problem.goal.device)
        solution = solver.solve(cost, seed=SEED)
        return solution.actions, solution.statistics.energies

    return search


class Replayed:
    """A cost whose kernels are recorded once for each number of candidates, and then replayed."""

    def __init__(self, model: WorldModel, problem: Problem) -> None:
        self._model = model
        self._now = model._remember(problem.context)
        self._goal = problem.goal
        self._recorded: dict[torch.Size, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}

    def __call__(self, actions: Tensor) -> Tensor:
        return torch.cat([self._replay(part) for part in self._model._chunks(self._now, actions)])

    def _replay(self, actions: Tensor) -> Tensor:
        if actions.shape not in self._recorded:
            self._recorded[actions.shape] = self._record(actions)
        graph, taken, energies = self._recorded[actions.shape]
        taken.copy_(actions)
        graph.replay()
        return energies.clone()

    def _record(self, actions: Tensor) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        taken, aside = actions.clone(), torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(2):  # libraries allocate in their first calls
                self._model._energies(self._now, taken, self._goal, L1())
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            energies = self._model._energies(self._now, taken, self._goal, L1())
        return graph, taken, energies


# --- FP8 ---------------------------------------------------------------------------------


class Fp8Linear(nn.Module):
    """Products of e4m3 numbers, scaled by the row; on a CPU their values, not their speed."""

    LARGEST = torch.finfo(torch.float8_e4m3fn).max

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        assert linear.bias is not None
        self.weight, scale = self._rounded(linear.weight.detach())
        self.bias = nn.Parameter(linear.bias.detach().to(torch.bfloat16), requires_grad=False)
        self.scale = scale.T.contiguous()  # [1, out]

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, -2)
        rows, scale = self._rounded(flat)
        if x.device.type == "cuda":
            out = torch._scaled_mm(
                rows,
                self.weight.T,
                scale_a=scale,
                scale_b=self.scale,
                bias=self.bias,
                out_dtype=torch.bfloat16,
            )
        else:
            product = rows.float() @ self.weight.float().T
            out = (product * scale * self.scale + self.bias.float()).bfloat16()
        return out.unflatten(0, x.shape[:-1])

    def _rounded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows in FP8, and what they were divided by [N, 1]."""
        scale = rows.abs().amax(-1, keepdim=True).float().clamp(min=1e-12) / self.LARGEST
        return (rows / scale).to(torch.float8_e4m3fn), scale


def in_fp8(predictor: Predictor) -> Predictor:
    """A copy in bf16 whose blocks multiply in FP8."""
    predictor = copy.deepcopy(predictor).to(torch.bfloat16)
    for block in predictor.predictor_blocks:
        block.attn.qkv, block.attn.proj = Fp8Linear(block.attn.qkv), Fp8Linear(block.attn.proj)
        block.mlp.fc1, block.mlp.fc2 = Fp8Linear(block.mlp.fc1), Fp8Linear(block.mlp.fc2)
    return predictor


# --- whole plans -------------------------------------------------------------------------


def paper(case: Case, problem: Problem, device: torch.device) -> dict[str, Any]:
    """One plan of the preset `paper`, as the nodes make it; smaller where the model is."""
    model = WorldModel(None, problem.predictor)
    config = replace(PLANNERS["paper"], samples=case.samples, iterations=case.iterations)
    context = Context(latents=problem.context.latents, states=problem.context.states)
    planner = Planner(config, model)
    task = planner.start(context, [Goal(latents=problem.goal)], seed=SEED)

    def plan() -> tuple[Tensor, Tensor]:
        solution = planner.plan(task, context)[1].solution
        assert solution is not None
        return solution.actions, solution.statistics.energies

    run = planning.measure(device, plan, warm_up=True)
    return {
        "search": config.describe(),
        "seconds": run.seconds,
        "peak_memory_bytes": run.peak_memory,
        "weights_bytes": sum(p.nbytes for p in problem.predictor.parameters()),
    }


def real_time(case: Case, problem: Problem, device: torch.device) -> dict[str, Any]:
    """The largest search that fits the period, and what of the full search's gain it finds."""
    exact = WorldModel(None, problem.predictor, dtype=torch.float32)
    fast = WorldModel(None, problem.predictor)
    full = planning.measure(
        device, lambda: planning.search(case, problem, fast, SEED), warm_up=True
    )
    found = planning.search_in_time(case, problem, exact, fast, full, SEED)
    seconds = found.get("seconds")
    rate = {"plans_a_second": 1 / seconds} if isinstance(seconds, float) else {}
    return {**found, **rate, "period": PERIOD}


if __name__ == "__main__":
    main()
