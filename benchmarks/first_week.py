"""A lab's first week, rehearsed: record, convert, fine-tune, hold to a gate, close the loop.

    python benchmarks/first_week.py --out week/
    python benchmarks/first_week.py --out week/ --steps convert finetune   # some of them

The lab is `away` of vjepa_sim/labs.py: its camera, table and hand are not those that the shipped
weights know. Every step prints the command that a lab would type, and its minutes and peak memory;
what is done is not done again. The table, as Markdown, is printed at the end.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vjepa_gate.robots import load_robot
from vjepa_gate.share import config_folder
from vjepa_sim.labs import LABS

LAB, PRESET, SHIPPED = "away", "lab", "tiny"
HELD_OUT = 10  # more, for the gate
FRAMES = 32  # of an episode that is collected
SCENE = 6900  # of the calibration; no episode is played in it
ROWS = (("reach", "single"), ("grasp", "dense"))
STEPS = ("record", "collect", "convert", "calibrate", "finetune", "gate", "evaluate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[30, 100, 300], help="episodes to fine-tune on"
    )
    parser.add_argument("--recorded", type=int, default=30, help="episodes of the running graph")
    parser.add_argument("--speed", type=float, default=1.0, help="of it, times real time")
    parser.add_argument("--seed", type=int, default=7500, help="of the first closed loop")
    parser.add_argument("--episodes", type=int, default=20, help="of a row")
    parser.add_argument("--rows", nargs="+", help="as shipped, axes, 30, …; all by default")
    week = Week(parser.parse_args())
    for step in week.args.steps:
        getattr(week, step)()
    print(week.table())


class Week:
    """What is there, in the folder, and what is to be done."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, args.out.absolute()
        self.episodes, self.back = self.out / "episodes", self.out / "back"
        self.robot, self.parameters = self.out / "lab.yaml", self.out / "sim.yaml"
        self.axes, self.gate_file = self.out / "axes.yaml", self.out / "gate.yaml"
        self.results = self.out / "results"
        self.results.mkdir(parents=True, exist_ok=True)

    # --- the steps -------------------------------------------------------------------------

    def record(self) -> None:
        """Teleoperated episodes of the running graph, a bag each."""
        from teleoperation import session

        from vjepa_sim.scene import Scene, SceneConfig

        bags = [self.episodes / f"bags/episode_{i:04d}" for i in range(self.args.recorded)]
        missing = [bag for bag in bags if not (bag / "metadata.yaml").exists()]
        if not missing:
            return
        self._write_lab()
        words = ["run", "--sim", "--record", "--no-models", "--use-sim-time"]
        words += ["--robot", self.robot, "--params-file", self.parameters]
        first = self.out / "first_bag"  # of before the first episode
        shutil.rmtree(first, ignore_errors=True)
        started = time.monotonic()
        graph = subprocess.Popen(_command([*words, "--folder", first]))
        try:
            with session(load_robot(self.robot)) as person, Scene(SceneConfig(lab=LAB)) as twin:
                for bag in missing:
                    shutil.rmtree(bag, ignore_errors=True)
                    bag.parent.mkdir(parents=True, exist_ok=True)
                    person.record(twin, 5000 + bags.index(bag), bag)
                    print(f"recorded {bag}", flush=True)
        finally:
            os.kill(graph.pid, signal.SIGINT)
            _, _, usage = os.wait4(graph.pid, 0)
        self._note("record", words, time.monotonic() - started, usage.ru_maxrss)

    def collect(self) -> None:
        """The rest of the episodes, without the graph: the same lab, four frames a second."""
        count = max(self.args.sizes) + HELD_OUT - self.args.recorded
        options = ["--lab", LAB, "--task", "mix", "--steps", FRAMES, "--seed", 51, "--workers", 1]
        out = self.episodes / "collected"
        self._run("collect", ["episodes", "collect", "--episodes", count, *options, "--out", out])

    def convert(self) -> None:
        """Bags and npz to one LeRobot set, and that to bags again, which are trained on."""
        there, one = self.out / "lerobot", ["--workers", 1]
        period = ["--step-period", 0.25]
        words = ["episodes", "convert", "--to", "lerobot", self.episodes, there, *period, *one]
        self._run("to lerobot", words)
        words = ["episodes", "convert", "--from", "lerobot", "--to", "bag", there, self.back, *one]
        self._run("from lerobot", words)
        episodes = sorted(path for path in self.back.iterdir() if not path.name.startswith("."))
        for size in self.args.sizes:
            _link(episodes[:size], self.out / f"first_{size}")
        _link(episodes[max(self.args.sizes) :], self.out / "held_out")

    def calibrate(self) -> None:
        """What the shipped weights take motions for, seen from there."""
        words = ["calibrate", "--sim", "--lab", LAB, "--scene", SCENE, "--out", self.axes]
        self._run("calibrate", words)

    def finetune(self) -> None:
        """The shipped weights on the first 30, 100 and 300 episodes: all of them, then the
        predictor alone.
        """
        for size in self.args.sizes:
            joint = self.out / f"joint_{size}"
            data: list[Any] = ["--preset", PRESET, "--data", self.out / f"first_{size}"]
            self._run(f"joint {size}", ["train", "joint", *data, "--from", SHIPPED, "--out", joint])
            words = ["train", "finetune", *data, "--weights", joint / "weights.safetensors"]
            self._run(f"finetune {size}", [*words, "--out", self.out / f"tuned_{size}"])

    def gate(self) -> None:
        """Bounds around the held-out recordings, which the shipped weights do not keep."""
        held_out = ["replay", self.out / "held_out", "--plan-every", 4, "--workers", 1]
        written = ["--weights", self.tuned(max(self.args.sizes)), "--write-gate", self.gate_file]
        self._run("gate", [*held_out, *written])
        self._run(
            "gate as shipped",
            [*held_out, "--weights", SHIPPED, "--gate", self.gate_file],
            ends=(0, 1),
        )

    def evaluate(self) -> None:
        """The closed loops of the table."""
        for row in self.args.rows or self.rows():
            for task, goals in ROWS:
                words = ["evaluate", "--task", task, "--goals", goals, "--condition", LAB]
                words += ["--seed", self.args.seed, "--episodes", self.args.episodes]
                words += ["--workers", 1, *self.driven(row)]
                file = self.results / f"{row.replace(' ', '_')}-{task}.json"
                self._run(f"{row} {task}", [*words, "--json", file])

    # --- what they share -------------------------------------------------------------------

    def rows(self) -> list[str]:
        return ["as shipped", "axes", *(str(size) for size in self.args.sizes)]

    def driven(self, row: str) -> list[Any]:
        if row == "as shipped":
            return ["--weights", SHIPPED]
        if row == "axes":
            return ["--weights", SHIPPED, "--axes", self.axes]
        return ["--weights", self.tuned(int(row))]

    def tuned(self, size: int) -> Path:
        return self.out / f"tuned_{size}" / "weights.safetensors"

    def table(self) -> str:
        lines = ["| weights | reach | off, cm | grasp, 4 pictures | minutes | peak MB |"]
        lines += ["|---|---|---|---|---|---|"]
        for row in self.rows():
            cells = [row if not row.isdigit() else f"fine-tuned on {row} episodes"]
            for task, _ in ROWS:
                file = self.results / f"{row.replace(' ', '_')}-{task}.json"
                found = json.loads(file.read_text()) if file.exists() else None
                cells.append(f"{found['successes']} of {found['episodes']}" if found else "")
                if task == "reach":
                    cells.append(f"{100 * found['distance']['median']:.1f}" if found else "")
            lines.append("| " + " | ".join([*cells, *self._cost(row)]) + " |")
        return "\n".join(lines)

    def _cost(self, row: str) -> list[str]:
        """Minutes, and megabytes at the peak, of what made the weights or axes of a row."""
        names = {"as shipped": [], "axes": ["calibrate"]}.get(
            row, [f"joint {row}", f"finetune {row}"]
        )
        files = [self.results / _file_of(name) for name in names]
        told = [json.loads(file.read_text()) for file in files if file.exists()]
        if not told:
            return ["", ""]
        minutes, peak = sum(one["minutes"] for one in told), max(one["peak_mb"] for one in told)
        return [f"{minutes:.1f}", f"{peak:.0f}"]

    def _write_lab(self) -> None:
        """The robot's file with another hand, and the simulation in that lab."""
        usual = (config_folder("vjepa_gate") / "sim.yaml").read_text()
        width = f"max_width: {LABS[LAB].max_width}"
        self.robot.write_text(usual.replace("max_width: 0.08", width))
        mode = f"mode: fast, speed: {self.args.speed}"
        camera = "camera_rate: 4.0, image_width: 128, image_height: 128"
        self.parameters.write_text(
            f"vjepa_sim_robot:\n  ros__parameters: {{lab: {LAB}, {mode}, {camera}}}\n"
        )

    def _run(self, name: str, words: Iterable[object], ends: tuple[int, ...] = (0,)) -> None:
        """Run a command of the house, unless it was; note its minutes and peak memory."""
        if (self.results / _file_of(name)).exists():
            return
        words = [str(word) for word in words]
        print(f"\n$ vjepa-ros {' '.join(words)}", flush=True)
        started = time.monotonic()
        process = subprocess.Popen(_command(words))
        _, status, usage = os.wait4(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in ends:
            raise SystemExit(f"{name}: exit code {code}")
        seconds = usage.ru_utime + usage.ru_stime
        self._note(name, words, time.monotonic() - started, usage.ru_maxrss, cpu=seconds, code=code)

    def _note(
        self, name: str, words: Iterable[object], seconds: float, kilobytes: int, **more: float
    ) -> None:
        about = {
            "command": " ".join(str(word) for word in words),
            "minutes": seconds / 60,
            "peak_mb": kilobytes / 1024,
            **more,
        }
        (self.results / _file_of(name)).write_text(json.dumps(about, indent=1) + "\n")


def _command(words: Iterable[object]) -> list[str]:
    return [sys.executable, "-m", "vjepa_ros.cli", *(str(word) for word in words)]


def _file_of(name: str) -> str:
    return f"cost_{name.replace(' ', '_')}.json"


def _link(episodes: Iterable[Path], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for episode in episodes:
        link = folder / episode.name
        if not link.exists():
            link.symlink_to(episode)


if __name__ == "__main__":
    main()
