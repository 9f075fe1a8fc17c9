"""`vjepa-ros train report`: one page that says how good a model is, and at what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from vjepa_ros import html
from vjepa_ros.html import COLOURS, figure_png
from vjepa_ros.model.checkpoints import Weights
from vjepa_ros.model.decoder import Decoder
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.planning.imagination import ROWS, Illustrator
from vjepa_ros.planning.world_model import WorldModel
from vjepa_ros.training.data import EpisodeSet
from vjepa_ros.training.probes import FAR, EnergyPairs, Readings, energy_pairs, probe
from vjepa_ros.training.trainer import read_metrics
from vjepa_ros.training.validation import PredictionErrors, prediction_errors

_SHEETS = 4  # of what is imagined
_CURVES = ("loss", "masked", "dynamics", "inverse", "readout", "teacher", "rollout")


@dataclass(frozen=True)
class Findings:
    """All that is measured for a report."""

    readings: dict[str, Readings]  # by what was read from
    energies: EnergyPairs
    predictions: PredictionErrors | None  # None: the weights hold no predictor

    def figures(self) -> dict[str, Any]:
        """The figures by name, as JSON has them."""
        probes = {
            name: {
                "tool_cm": reading.tool_cm,
                "gripper_r2": reading.gripper_r2,
                "object_cm": reading.object_cm,
                "object_far_cm": reading.object_cm_where(far=True),
                "object_near_cm": reading.object_cm_where(far=False),
            }
            for name, reading in self.readings.items()
        }
        return {
            "probes": probes,
            "spearman": self.energies.rank_correlation(),
            "spearman_far": self.energies.rank_correlation(beyond=FAR),
            "gripper_energy_share": self.energies.gripper_share,
            "prediction_errors": self.predictions.errors if self.predictions else None,
        }


def examine(
    weights: Weights, episodes: EpisodeSet, held_out: EpisodeSet, *, frames: int, windows: int
) -> Findings:
    """Probe, compare and roll out; `frames` to fit probes on, `windows` to predict in."""
    if weights.encoder is None:
        raise ValueError(f"{weights.identity} has no encoder: there are no latents to look at")
    torch.manual_seed(0)
    untrained = Encoder(weights.config.encoder).to(weights.encoder.device).eval()
    readings = {
        name: probe(encoder, episodes, held_out, frames=frames)
        for name, encoder in (
            ("latents", weights.encoder),
            ("latents, untrained", untrained),
            ("pixels", None),
        )
    }
    predictions = None
    if weights.predictor is not None:
        horizon = min(8, weights.predictor.config.max_frames, int(held_out.lengths.max()) - 1)
        predictions = prediction_errors(
            weights.encoder, weights.predictor, held_out, horizon=horizon, windows=windows
        )
    return Findings(readings, energy_pairs(weights.encoder, held_out), predictions)


def imagine(weights: Weights, decoder: Decoder, held_out: EpisodeSet) -> list[Tensor]:
    """Sheets of what the model imagines in a few windows, as far as it was trained to look."""
    assert weights.encoder is not None
    assert weights.predictor is not None
    config = weights.config
    view = Preprocessor(config.image_size, config.crop)
    model = WorldModel(weights.encoder, weights.predictor, view)
    ahead = min(config.trained_horizon or 1, int(held_out.lengths.max()) - 1)
    starts = held_out.draw(_SHEETS, ahead + 1, np.random.default_rng(0))
    windows = [held_out.load([int(start)], ahead + 1) for start in starts]
    illustrator = Illustrator(model, decoder)
    return [illustrator.sheet(one.frames[0], one.states[0], one.actions[0]) for one in windows]


# --- the page ----------------------------------------------------------------------------


def page(
    weights: Weights,
    findings: Findings,
    metrics: Iterable[Path] = (),
    imagined: Sequence[Tensor] = (),
) -> str:
    """Give the report as one HTML file with its pictures inside; `imagined` are sheets of an
    `Illustrator`.
    """
    config, predictions = weights.config, findings.predictions
    shown: dict[str, Any] = {}
    if predictions:
        shown["errors_table"] = _errors_table(predictions)
        shown["errors"] = figure_png(_plot_errors(predictions, config.trained_horizon), "errors")
    return html.render(
        "training.html",
        title=f"World model {weights.identity}",
        config=config,
        sizes={"encoder": _millions(weights.encoder), "predictor": _millions(weights.predictor)},
        predictions=predictions,
        probes=[_probe_row(name, reading) for name, reading in findings.readings.items()],
        readings=figure_png(_plot_readings(findings.readings["latents"]), "probe against truth"),
        rows=ROWS,
        imagined=[
            html.photo(sheet.numpy(), f"imagined {number}")
            for number, sheet in enumerate(imagined, 1)
        ],
        energies=findings.energies,
        far=FAR,
        energy_plot=figure_png(_plot_energies(findings.energies), "energy over distance"),
        training=[
            (path.parent.name, figure_png(_plot_training(read_metrics(path)), "losses"))
            for path in metrics
        ],
        **shown,
    )


def _millions(module: torch.nn.Module | None) -> str:
    count = sum(p.numel() for p in module.parameters()) if module else 0
    return f"{count / 1e6:.1f} M parameters"


def _errors_table(predictions: PredictionErrors) -> tuple[list[str], list[list[str]]]:
    """Header and rows."""
    steps = [str(step + 1) for step in range(len(predictions.errors["model"]))]
    rows = [
        [name, *(f"{error:.3f}" for error in errors)] for name, errors in predictions.errors.items()
    ]
    return ["steps ahead", *steps], rows


def _probe_row(name: str, reading: Readings) -> list[str]:
    return [
        name,
        " / ".join(f"{error:.2f}" for error in reading.tool_cm),
        f"{reading.gripper_r2:.3f}",
        " / ".join(f"{error:.2f}" for error in reading.object_cm),
    ]


# --- plots -------------------------------------------------------------------------------


def _figure(columns: int = 1, height: float = 3.6) -> tuple[Figure, Any]:
    figure = Figure(figsize=(9.6, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes if columns > 1 else axes[0]


def _plot_errors(predictions: PredictionErrors, trained: int) -> Figure:
    figure, axis = _figure()
    for name, errors in predictions.errors.items():
        axis.plot(range(1, len(errors) + 1), errors, "o-", color=COLOURS[name], label=name)
    if 0 < trained < len(predictions.errors["model"]):
        axis.axvline(trained + 0.5, color="#bbb", linestyle=":")
        axis.text(trained + 0.45, axis.get_ylim()[1], "trained this far ", ha="right", va="top")
    axis.set(xlabel="steps ahead", ylabel="mean |difference| of latents", ylim=(0, None))
    axis.legend(frameon=False)
    return figure


def _plot_readings(readings: Readings) -> Figure:
    figure, axes = _figure(4, height=2.9)
    titles = ("tool x, m", "tool y, m", "tool z, m", "closedness")
    for column, (axis, title) in enumerate(zip(axes, titles, strict=True)):
        truth, read = readings.truth[:, column], readings.read[:, column]
        axis.plot(truth, read, ".", markersize=2, alpha=0.5, color=COLOURS["model"])
        ends = [float(truth.min()), float(truth.max())]
        axis.plot(ends, ends, color="#888", linewidth=0.8)
        axis.set(title=title, xlabel="true")
    axes[0].set_ylabel("read")
    return figure


def _plot_energies(energies: EnergyPairs) -> Figure:
    figure, axis = _figure()
    alike = energies.gripper < 0.1
    kinds = (
        (alike, COLOURS["model"], "hands alike"),
        (~alike, COLOURS["shuffled actions"], "hands differ"),
    )
    for chosen, colour, label in kinds:
        index = np.flatnonzero(chosen)[:: max(1, int(chosen.sum()) // 2500)]
        axis.plot(100 * energies.distance[index], energies.energy[index], ".",
                  markersize=2.5, alpha=0.5, color=colour, label=label)  # fmt: skip
    axis.set(xlabel="distance of the tool, cm", ylabel="energy", ylim=(0, None), xlim=(0, None))
    axis.legend(frameon=False, markerscale=4)
    return figure


def _plot_training(rows: list[dict[str, float]]) -> Figure:
    figure, axis = _figure()
    steps = [row["step"] for row in rows]
    width = max(1, len(rows) // 100)
    for name in _CURVES:
        if rows and name in rows[0]:
            values = np.array([row[name] for row in rows])
            smooth = np.convolve(values, np.ones(width) / width, mode="valid")
            axis.plot(steps[width - 1 :], smooth, label=name)
    axis.set(xlabel="step", ylabel="loss (moving mean)", yscale="log")
    axis.legend(frameon=False, ncols=4)
    return figure
