"""The demonstration as one page: what was done, how it went, and what the planner thought."""

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np

from vjepa_ros import html
from vjepa_ros.conventions import GRIPPER
from vjepa_ros.demo.film import Recording
from vjepa_ros.demo.performance import Performance
from vjepa_ros.demo.settings import Settings
from vjepa_ros.evaluation.statistics import median_and_p95
from vjepa_ros.images import decode_picture, encode_jpeg

_FRAMES = 60  # that the page's player holds at most
_WIDE = 9.4  # inches of a plot
_PLAYER = """
<div><img id="frame" alt="the film" style="width: 100%; border-radius: 8px">
<p><button id="play" type="button">play</button>
<input id="moment" type="range" min="0" max="{last}" value="0"
 style="width: calc(100% - 6rem); vertical-align: middle"></p></div>
<script>
const frames = [{frames}];
const image = document.getElementById("frame"), slider = document.getElementById("moment");
const button = document.getElementById("play");
let timer = null;
function show() {{ image.src = "data:image/jpeg;base64," + frames[slider.value]; }}
function pause() {{ clearInterval(timer); timer = null; button.textContent = "play"; }}
function advance() {{ if (slider.value == {last}) pause(); else {{ slider.value++; show(); }} }}
function play() {{ if (slider.value == {last}) slider.value = 0;
  timer = setInterval(advance, 250); button.textContent = "pause"; }}
slider.addEventListener("input", () => {{ pause(); show(); }});
button.addEventListener("click", () => timer ? pause() : play());
show();
</script>"""


def verdict(performance: Performance) -> str:
    """What the truth is, in a line."""
    truth = performance.truth
    done = "done" if truth.success else "not done"
    return f"{done}: {truth.reason} (distance {100 * truth.distance:.1f} cm)"


def report(settings: Settings, performance: Performance, recording: Recording) -> str:
    truth, result = performance.truth, performance.result
    planning = median_and_p95([plan.seconds for plan in performance.plans])
    style = "verdict good" if truth.success else "verdict bad"
    facts = {
        "from its goal": f"{100 * truth.distance:.1f} cm",
        "actions": str(result.steps),
        "sub-goals gone through": f"{result.subgoals_reached} of {len(performance.pictures)}",
        "seconds": f"{result.seconds:.0f}",
        "seconds a plan, median": f"{planning['median']:.2f}",
        "95 % of plans within": f"{planning['p95']:.2f} s",
    }
    plan = performance.plans[0]
    parts = [
        html.paragraph(f"The simulation's own truth: {verdict(performance)}.", style),
        html.paragraph(f"The planner, which never sees that, ended with: {result.message}."),
        html.figures(facts),
        html.section("What happened", _player(recording)),
        html.section("What it was asked to do", _goals(performance)),
        html.section("Energy", _plot_energy(recording), html.paragraph(_ENERGY, "faint")),
        html.section("The arm", _plot_tool(recording), _plot_closedness(recording)),
        html.section("Planning", html.cards(_plot_search(performance), _plot_seconds(performance))),
        html.section("How to repeat it", _origin(settings, plan)),
    ]
    return html.page(f"{truth.task}, scene {truth.seed}", parts)


_ENERGY = (
    "The distance between the latents of what the camera sees and those of the sub-goal's "
    "picture. A grey line is where the planner went on to the next sub-goal."
)


def _player(recording: Recording) -> str:
    """The film without a codec: not every browser plays what OpenCV can write."""
    film = recording.film
    chosen = np.unique(np.linspace(0, len(film) - 1, _FRAMES).round().astype(int))
    frames = [base64.b64encode(encode_jpeg(film.frame(index), 80)).decode() for index in chosen]
    listed = ",".join(f'"{frame}"' for frame in frames)
    return _PLAYER.format(frames=listed, last=len(frames) - 1)


def _goals(performance: Performance) -> str:
    pictures = [
        html.captioned(html.photo(decode_picture(path.read_bytes()), path.stem), path.stem)
        for path in performance.pictures
    ]
    return html.strip(*pictures)


def _plot_energy(recording: Recording) -> str:
    figure, axes = html.plot(_WIDE, 2.9)
    for time in _switches(recording):
        axes.axvline(time, color=html.COLOURS["copy last"], linewidth=0.8)
    axes.plot(recording.times, recording.energies, color=html.COLOURS["model"])
    axes.set(xlabel="seconds", ylabel="energy", ylim=(0, 1.08 * recording.energies.max()))
    return html.figure_svg(figure, "energy over time")


def _switches(recording: Recording) -> Iterator[float]:
    yield from recording.times[1:][np.diff(recording.goals) != 0].tolist()


def _plot_tool(recording: Recording) -> str:
    figure, axes = html.plot(_WIDE, 2.9)
    names = {"x": "model", "y": "planned", "z": "recorded"}
    for axis, (name, colour) in enumerate(names.items()):
        values = recording.episode.states[:, axis]
        axes.plot(recording.times, values, color=html.COLOURS[colour], label=name)
    axes.set(xlabel="seconds", ylabel="tool, metres")
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return html.figure_svg(figure, "where the tool was")


def _plot_closedness(recording: Recording) -> str:
    figure, axes = html.plot(_WIDE, 1.7)
    closedness = recording.episode.states[:, GRIPPER]
    axes.plot(recording.times, closedness, color=html.COLOURS["surprise"])
    axes.set(xlabel="seconds", ylabel="closedness", ylim=(-0.05, 1.05))
    return html.figure_svg(figure, "how far the fingers were closed")


def _plot_search(performance: Performance) -> str:
    """How the search lowers the energy from iteration to iteration, over all plans."""
    figure, axes = html.plot()
    iterations = range(1, performance.plans[0].iterations + 1)
    for kind, colour in (("best", "recorded"), ("elites", "model"), ("mean", "copy last")):
        energies = np.array([getattr(plan, f"energy_{kind}") for plan in performance.plans])
        middle = np.nanmedian(energies, axis=0)
        axes.plot(iterations, middle, "o-", color=html.COLOURS[colour], label=kind)
    axes.set(xlabel="iteration of the search", ylabel="energy of candidates", ylim=(0, None))
    axes.set_xticks(iterations)
    axes.legend(frameon=False)
    return html.captioned(html.figure_svg(figure, "search"), "median over all plans")


def _plot_seconds(performance: Performance) -> str:
    figure, axes = html.plot()
    seconds = [plan.seconds for plan in performance.plans]
    axes.plot(range(1, len(seconds) + 1), seconds, ".", color=html.COLOURS["model"])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="action", ylabel="seconds a plan", ylim=(0, None))
    return html.captioned(html.figure_svg(figure, "planning time"), "how long each plan took")


def _origin(settings: Settings, plan: Any) -> str:
    lines = (
        settings.command(),
        f"Planner {plan.solver}, seed {settings.seed}, with the weights {plan.weights}.",
        "Beside this page: film.mp4; goals/, the pictures; bag/, the recording, for `vjepa-ros "
        "episodes inspect` and `vjepa-ros replay`; nodes.log, what the nodes said.",
    )
    return "\n".join(html.paragraph(line) for line in lines)
