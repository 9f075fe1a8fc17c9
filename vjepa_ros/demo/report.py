"""The demonstration as one page: what was done, how it went, and what the planner thought."""

import base64
from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from vjepa_ros import html
from vjepa_ros.conventions import GRIPPER
from vjepa_ros.demo.film import Recording
from vjepa_ros.demo.performance import Performance
from vjepa_ros.demo.settings import DemoSettings
from vjepa_ros.evaluation.statistics import median_and_p95
from vjepa_ros.html import Captioned
from vjepa_ros.images import decode_picture, encode_jpeg
from vjepa_ros.planning.imagination import ROWS

_FRAMES = 60  # that the page's player holds at most
_WIDE = 9.4  # inches of a plot


def verdict(performance: Performance) -> str:
    """Say what the truth is, in a line."""
    truth = performance.truth
    done = "done" if truth.success else "not done"
    return f"{done}: {truth.reason} (distance {100 * truth.distance:.1f} cm)"


def report(settings: DemoSettings, performance: Performance, recording: Recording) -> str:
    """Give the page."""
    truth, result = performance.truth, performance.result
    planning = median_and_p95([plan.seconds for plan in performance.plans])
    facts = {
        "from its goal": f"{100 * truth.distance:.1f} cm",
        "actions": str(result.steps),
        "sub-goals gone through": f"{result.subgoals_reached} of {len(performance.pictures)}",
        "seconds": f"{result.seconds:.0f}",
        "seconds a plan, median": f"{planning['median']:.2f}",
        "95 % of plans within": f"{planning['p95']:.2f} s",
    }
    return html.render(
        "demo.html",
        title=f"{truth.task}, scene {truth.seed}",
        settings=settings,
        truth=truth,
        verdict=verdict(performance),
        result=result,
        plan=performance.plans[0],
        facts=facts,
        film=_film(recording),
        goals=_goals(performance),
        way=None if performance.way is None else html.photo(performance.way, "the way"),
        rows=ROWS,
        imagined=[
            html.photo(sheet, f"imagined {number}")
            for number, sheet in enumerate(recording.imagined, 1)
        ],
        energy=_plot_energy(recording),
        tool=_plot_tool(recording),
        closedness=_plot_closedness(recording),
        planning=[plot_search(performance), _plot_seconds(performance)],
    )


def _film(recording: Recording) -> list[str]:
    """JPEGs for the page's player."""
    film = recording.film
    chosen = np.unique(np.linspace(0, len(film) - 1, _FRAMES).round().astype(int))
    return [base64.b64encode(encode_jpeg(film.frame(index), 80)).decode() for index in chosen]


def _goals(performance: Performance) -> list[Captioned]:
    return [
        Captioned(html.photo(decode_picture(path.read_bytes()), path.stem), path.stem)
        for path in performance.pictures
    ]


def _plot_energy(recording: Recording) -> Markup:
    figure, axes = html.plot(_WIDE, 2.9)
    for time in _switches(recording):
        axes.axvline(time, color=html.COLOURS["copy last"], linewidth=0.8)
    axes.plot(recording.times, recording.energies, color=html.COLOURS["model"])
    axes.set(xlabel="seconds", ylabel="energy", ylim=(0, 1.08 * recording.energies.max()))
    return html.figure_svg(figure, "energy over time")


def _switches(recording: Recording) -> Iterator[float]:
    yield from recording.times[1:][np.diff(recording.goals) != 0].tolist()


def _plot_tool(recording: Recording) -> Markup:
    figure, axes = html.plot(_WIDE, 2.9)
    names = {"x": "model", "y": "planned", "z": "recorded"}
    for axis, (name, colour) in enumerate(names.items()):
        values = recording.episode.states[:, axis]
        axes.plot(recording.times, values, color=html.COLOURS[colour], label=name)
    axes.set(xlabel="seconds", ylabel="tool, metres")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return html.figure_svg(figure, "where the tool was")


def _plot_closedness(recording: Recording) -> Markup:
    figure, axes = html.plot(_WIDE, 1.7)
    closedness = recording.episode.states[:, GRIPPER]
    axes.plot(recording.times, closedness, color=html.COLOURS["surprise"])
    axes.set(xlabel="seconds", ylabel="closedness", ylim=(-0.05, 1.05))
    return html.figure_svg(figure, "how far the fingers were closed")


def plot_search(performance: Performance) -> Captioned:
    """How the search lowers the energy from iteration to iteration, over all plans that are of
    one: to go straight on is not searched for.
    """
    figure, axes = html.plot()
    most = max(plan.iterations for plan in performance.plans)
    searched = [plan for plan in performance.plans if plan.iterations == most]
    iterations = range(1, most + 1)
    for kind, colour in (("best", "recorded"), ("elites", "model"), ("mean", "copy last")):
        energies = np.array([getattr(plan, f"energy_{kind}") for plan in searched])
        middle = np.nanmedian(energies, axis=0)
        axes.plot(iterations, middle, "o-", color=html.COLOURS[colour], label=kind)
    axes.set(xlabel="iteration of the search", ylabel="energy of candidates", ylim=(0, None))
    axes.set_xticks(iterations)
    axes.legend(frameon=False)
    return Captioned(html.figure_svg(figure, "search"), "median over all searches")


def _plot_seconds(performance: Performance) -> Captioned:
    figure, axes = html.plot()
    seconds = [plan.seconds for plan in performance.plans]
    axes.plot(range(1, len(seconds) + 1), seconds, ".", color=html.COLOURS["model"])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="action", ylabel="seconds a plan", ylim=(0, None))
    return Captioned(html.figure_svg(figure, "planning time"), "how long each plan took")
