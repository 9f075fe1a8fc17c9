"""How costs grow, in one page: planning, replay and memory against their size, and starting nodes.

    python benchmarks/costs.py --page docs/COSTS.md

Beside each measured figure stands what the law expects, from the first row on. Seconds are of CPU
time on one thread, but for the nodes' starts, which are of a clock. The page and its picture
(images/costs.png beside it) are written whole.
"""

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import operations
import torch
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch.nn.functional import layer_norm

from vjepa_gate.ros.memory import resident
from vjepa_gate.ros.spinning import spinning_node, wait_for
from vjepa_ros.episodes.library import find_episodes
from vjepa_ros.model.operations import cached_operations
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.subgoals.bank import Bank
from vjepa_ros.planning.subgoals.memory import Memory
from vjepa_ros.planning.world_model import Context, Goal, WorldModel
from vjepa_ros.replay.runs import ReplayConfig, replay

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
MODEL = PredictorConfig(latent_width=128, grid=8, width=128, depth=4, heads=2, max_frames=16)
FRAMES = 16  # of an episode in a bank
NODES = ("encoder", "predictor", "planner", "recorder", "arm_gate")
START = 120.0  # seconds that a node may take


@dataclass(frozen=True)
class Curve:
    title: str
    law: str
    unit: str
    sizes: Sequence[int]
    measured: Sequence[float]
    expected: Sequence[float]  # the first measured value times what the law says


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--page", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--episodes", type=int, default=100_000, help="of the largest bank")
    parser.add_argument("--replayed", type=int, default=16, help="episodes of the longest replay")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with torch.no_grad():
        curves = [*planning(), memory_search(args.episodes), replaying(args.replayed)]
    starts = {name: start_up(name) for name in NODES}
    picture = args.page.parent / "images" / f"{args.page.stem.lower()}.png"
    picture.parent.mkdir(exist_ok=True)
    draw(curves, picture)
    args.page.write_text(page(curves, starts, f"images/{picture.name}"))
    print(f"wrote {args.page} and {picture}")


# --- planning ----------------------------------------------------------------------------


def planning() -> list[Curve]:
    """One population's time, each size by itself; and memory against candidates."""
    samples, horizons, grids, contexts = (
        (16, 64, 256, 1024),
        (1, 2, 4, 8),
        (4, 8, 12, 16),
        (1, 2, 4, 8),
    )
    operations_of = {
        horizon: sum(cached_operations(MODEL, horizon).values()) for horizon in horizons
    }
    by_grid = [sum(cached_operations(replace(MODEL, grid=grid), 1).values()) for grid in grids]
    return [
        curve("planning time against samples N", "N", "s", samples, list(samples),
              [scoring_time(MODEL, count, 1, 1) for count in samples]),
        curve("planning time against horizon H", "operations with cached keys: H + attention of H²",
              "s", horizons, list(operations_of.values()),
              [scoring_time(MODEL, 64, horizon, 1) for horizon in horizons]),
        curve("planning time against tokens L of a frame", "operations: L + attention of L²", "s",
              [grid**2 for grid in grids], by_grid,
              [scoring_time(replace(MODEL, grid=grid), 64, 1, 1) for grid in grids]),
        curve("planning time against frames of context T",
              "operations: a frame, whose attention sees T", "s", contexts,
              [seeing(frames) for frames in contexts],
              [scoring_time(MODEL, 64, 1, frames) for frames in contexts]),
        curve("memory of planning against samples N", "constant: a CPU imagines 8 at once",
              "MB", samples, [1] * len(samples), [scoring_memory(count) for count in samples]),
    ]  # fmt: skip


def curve(
    title: str, law: str, unit: str, sizes: Sequence[int], growth: Sequence[float],
    measured: Sequence[float],
) -> Curve:  # fmt: skip
    expected = [measured[0] * one / growth[0] for one in growth]
    return Curve(title, law, unit, sizes, measured, expected)


def seeing(frames: int) -> float:
    """Operations of one predicted frame whose attention sees so many."""
    parts = cached_operations(MODEL, 1)
    return sum(parts.values()) + parts["attention"] * (frames - 1)


def scoring(
    config: PredictorConfig, samples: int, horizon: int, frames: int
) -> Callable[[], object]:
    model = WorldModel(None, Predictor(config), dtype=torch.float32)
    latents = layer_norm(
        torch.randn(frames + 1, config.patches, config.latent_width), (config.latent_width,)
    )
    context = Context(
        latents=latents[:-1],
        states=torch.tensor([[0.5, 0.0, 0.3, 3.1, 0.0, 0.0, 0.0]]).repeat(frames, 1),
        actions=torch.zeros(frames - 1, 7),
    )
    cost = model.cost(context, Goal(latents=latents[-1]), L1())
    actions = 0.05 * torch.randn(samples, horizon, 7)
    return lambda: cost(actions)


def scoring_time(config: PredictorConfig, samples: int, horizon: int, frames: int) -> float:
    return fastest(scoring(config, samples, horizon, frames))


def scoring_memory(samples: int) -> float:
    """Megabytes that a population adds at its peak to a process that has scored but one."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
        return fresh.submit(memory_added, samples).result()


@torch.no_grad()
def memory_added(samples: int) -> float:
    torch.set_num_threads(1)
    scoring(MODEL, 1, 1, 1)()
    work = scoring(MODEL, samples, 1, 1)
    before = resident()
    operations.forget_peak_memory(CPU)
    work()
    return max(operations.peak_memory(CPU) - before, 1) / 1e6


def fastest(work: Callable[[], object], times: int = 3) -> float:
    work()
    seconds = []
    for _ in range(times):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return min(seconds)


# --- episodes ----------------------------------------------------------------------------


def memory_search(most: int) -> Curve:
    """Looking sub-goals up: the codes of all frames are compared."""
    counts = [count for count in (100, 1000, 10_000, 100_000) if count <= most]
    seconds = [search_time(count) for count in counts]
    return curve("memory search against episodes E", "E", "s", counts, counts, seconds)


def search_time(episodes: int) -> float:
    frames = episodes * FRAMES
    bank = Bank(
        latents=np.zeros((1, 4, 8), np.float16),
        states=np.zeros((frames, 7)),
        lengths=np.full(episodes, FRAMES),
        weights="",
        pictures=np.zeros((0, 8, 8, 3), np.uint8),
    )
    memory = Memory(bank=bank)
    codes = np.random.default_rng(0).standard_normal((frames, 128), np.float32)
    vars(memory)["_codes"] = codes  # what a bank of so many frames would come to
    now, goal = torch.randn(2, 4, 8)
    return fastest(lambda: memory.search(now, goal), times=2)


def replaying(most: int) -> Curve:
    """The shipped recording so many times, in one process, without planning."""
    counts, seconds = sorted({1, max(1, most // 4), max(1, most // 2), most}), []
    recording = sorted(find_episodes(ROOT / "test" / "data" / "bags"))[0]
    config = ReplayConfig(weights=SHIPPED_WEIGHTS, plan_every=None)
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            copies = Path(folder, str(count))
            for copy in range(count):
                shutil.copytree(recording, copies / str(copy))
            replay(config, [copies], workers=1)  # reads the weights, too
            began = time.process_time()
            replay(config, [copies], workers=1)
            seconds.append(time.process_time() - began)
    return curve("replay against episodes E", "E", "s", counts, counts, seconds)


# --- nodes -------------------------------------------------------------------------------


def start_up(name: str) -> float:
    """Seconds until a process of this node alone is active."""
    words = ["-m", "vjepa_ros.nodes.composed", name]
    if name == "arm_gate":
        words = ["-m", "vjepa_gate.arm_gate", "--autostart"]
    with tempfile.TemporaryDirectory() as folder, spinning_node("costs") as node:
        if name == "recorder":
            words += ["--ros-args", "-p", f"folder:={folder}/bag"]
        asking = node.create_client(GetState, f"{name}/get_state")
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            while time.monotonic() - began < START:
                if asking.wait_for_service(timeout_sec=0.1):
                    answer = wait_for(asking.call_async(GetState.Request()), START)
                    if answer.current_state.id == State.PRIMARY_STATE_ACTIVE:
                        return time.monotonic() - began
            raise SystemExit(f"{name} was not active after {START:g} s")
        finally:
            process.terminate()
            process.wait()


# --- the page ----------------------------------------------------------------------------


def page(curves: Sequence[Curve], starts: dict[str, float], picture: str) -> str:
    lines = [
        "# How costs grow",
        "",
        "    python benchmarks/costs.py --page docs/COSTS.md",
        "",
        f"This page is what that command wrote. The model is of the tiny preset's size "
        f"({MODEL.depth} blocks × {MODEL.width}, {MODEL.patches} patches), with random weights; "
        "64 candidates, horizon 1 and one frame of context where nothing else is said; episodes of "
        f"a bank have {FRAMES} frames. CPU seconds of one thread; *expected* is the first row "
        "times what the law says.",
        "",
        f"![Measured and expected]({picture})",
    ]
    for one in curves:
        lines += [
            "",
            f"## {one.title[0].upper()}{one.title[1:]}",
            "",
            f"Law: {one.law}.",
            "",
            f"| | measured ({one.unit}) | expected ({one.unit}) |",
            "|---|---|---|",
        ]
        rows = zip(one.sizes, one.measured, one.expected, strict=True)
        lines += [f"| {size} | {found:.3g} | {law:.3g} |" for size, found, law in rows]
    lines += [
        "",
        "## Starting a node",
        "",
        "Seconds from the start of its process until it is active, each alone, with the shipped "
        "weights. Law: the imports (torch for those that hold a model), then the weights' bytes.",
        "",
        "| node | seconds |",
        "|---|---|",
        *(f"| {name} | {seconds:.1f} |" for name, seconds in starts.items()),
    ]
    return "\n".join(lines) + "\n"


def draw(curves: Sequence[Curve], path: Path) -> None:
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    axes = list(figure.subplots(2, 4).flat)
    for one, ax in zip(curves, axes, strict=False):
        ax.plot(one.sizes, one.measured, "o-", label="measured")
        ax.plot(one.sizes, one.expected, "--", label="expected")
        ax.set(title=one.title, xscale="log", yscale="log", ylabel=one.unit)
        ax.set_xticks(one.sizes, [f"{size:g}" for size in one.sizes])
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
        ax.title.set_size("small")
        ax.legend(fontsize="small")
    for ax in axes[len(curves) :]:
        ax.set_axis_off()
    FigureCanvasAgg(figure).print_png(str(path))


if __name__ == "__main__":
    main()
