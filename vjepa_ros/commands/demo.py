"""`vjepa-ros demo`: the simulated Franka does a task through the real graph, and shows it.

Sub-goal pictures are drawn from the simulation; simulation, arm gate, encoder, predictor,
planner and recorder run as processes, as `vjepa-ros run --sim` starts them. Afterwards a film,
a page with plots and the recorded bag lie in a folder. Exit 0 only if the simulation's truth,
which the planner never sees, says that the task is done; 1 if it is not.
"""

import argparse
import os
from datetime import datetime
from pathlib import Path

from vjepa_gate.errors import UserError
from vjepa_gate.isolation import isolate
from vjepa_gate.settings import add_options, make, read_options
from vjepa_ros.demo.settings import DemoSettings
from vjepa_ros.supervisor import PROFILE, environment

INTERRUPTED = 130  # as the shell says it of Ctrl-C


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Tell the parser the settings of a demonstration."""
    add_options(parser, DemoSettings)


def run(arguments: argparse.Namespace) -> int:
    """Show the demonstration; 0 when the cube stands where it should."""
    _keep_apart()
    try:
        from vjepa_ros.demo import film, performance, report
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error

    settings = make(DemoSettings, read_options(DemoSettings, arguments))
    folder = _new_folder(settings.out)

    goals = performance.draw_goals(settings, folder / "goals")
    print(f"{settings.make_task().title}, scene {settings.scene}")
    print(f"goal pictures: {len(goals.pictures)} in {folder / 'goals'}")
    print(f"starting the nodes; they write to {folder / 'nodes.log'}", flush=True)
    try:
        shown = performance.perform(settings, goals, folder)
    except TimeoutError as error:
        raise UserError(f"{error}; {folder / 'nodes.log'} may tell why") from error
    if shown is None:
        print("interrupted: the arm holds, the nodes have ended")
        return INTERRUPTED
    print(report.verdict(shown), flush=True)
    if shown.plans:
        recording = film.look_again(folder / "bag", shown, settings)
        recording.film.write(folder / "film.mp4", shown.truth)
        page = report.report(settings, shown, recording)
        (folder / "report.html").write_text(page)
        print(f"wrote {folder}: report.html, film.mp4, bag")
    return 0 if shown.truth.success else 1


def _keep_apart() -> None:
    """No real arm may hear a demonstration: nobody outside this machine, nor in its domain."""
    isolate()
    os.environ[PROFILE] = environment()[PROFILE]


def _new_folder(given: Path | None) -> Path:
    folder = given or Path("runs") / f"{datetime.now():%Y-%m-%d_%H-%M-%S}"
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UserError(f"--out {folder}: is there already: name a new folder") from None
    except OSError as error:
        raise UserError(f"--out {folder}: cannot be made: {error.strerror}") from error
    return folder
