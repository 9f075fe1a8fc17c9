"""`vjepa-ros train report`: one page that says how good a model is, and at what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from vjepa_ros import html
from vjepa_ros.html import COLOURS, figure_png
from vjepa_ros.model.checkpoints import Weights
from vjepa_ros.model.encoder import Encoder
from vjepa_ros.training.data import EpisodeSet
from vjepa_ros.training.probes import FAR, EnergyPairs, Readings, energy_pairs, probe
from vjepa_ros.training.trainer import read_metrics
from vjepa_ros.training.validation import PredictionErrors, prediction_errors

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
    untrained = Encoder(weights.config.encoder).to(weights.encoder.norm.weight.device).eval()
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


# --- the page ----------------------------------------------------------------------------


def page(weights: Weights, findings: Findings, metrics: Iterable[Path] = ()) -> str:
    """The report as one HTML file with its pictures inside."""
    config = weights.config
    about = (
        f"Preset {config.preset}: pictures of {config.image_size} pixels, "
        f"{_millions(weights.encoder)} in the encoder, {_millions(weights.predictor)} in the "
        f"predictor, a step every {config.step_period:g} s, trained to look "
        f"{config.trained_horizon} steps ahead. All figures are from episodes that training "
        "never saw."
    )
    sections = []
    if findings.predictions:
        errors = _plot_errors(findings.predictions, config.trained_horizon)
        sections.append(
            html.section(
                "Prediction",
                html.paragraph(findings.predictions.verdict(), "verdict"),
                _errors_table(findings.predictions),
                figure_png(errors, "errors"),
            )
        )
    sections += [
        html.section(
            "What a linear probe reads from one frame",
            _probes_table(findings.readings),
            figure_png(_plot_readings(findings.readings["latents"]), "probe against truth"),
        ),
        html.section(
            "Energy and distance",
            html.paragraph(_energy_text(findings.energies)),
            figure_png(_plot_energies(findings.energies), "energy over distance"),
        ),
    ]
    for path in metrics:
        name = path.parent.name
        losses = figure_png(_plot_training(read_metrics(path)), f"losses of {name}")
        sections.append(html.section(f"Training: {name}", losses))
    return html.page(f"World model {weights.identity}", [html.paragraph(about), *sections])


def _millions(module: torch.nn.Module | None) -> str:
    count = sum(p.numel() for p in module.parameters()) if module else 0
    return f"{count / 1e6:.1f} M parameters"


def _errors_table(predictions: PredictionErrors) -> str:
    steps = [str(step + 1) for step in range(len(predictions.errors["model"]))]
    rows = [
        [name, *(f"{error:.3f}" for error in errors)] for name, errors in predictions.errors.items()
    ]
    return html.table(["steps ahead", *steps], rows)


def _probes_table(readings: Mapping[str, Readings]) -> str:
    rows = [
        [
            name,
            " / ".join(f"{error:.2f}" for error in reading.tool_cm),
            f"{reading.gripper_r2:.3f}",
            " / ".join(f"{error:.2f}" for error in reading.object_cm),
        ]
        for name, reading in readings.items()
    ]
    header = ["from", "tool x / y / z, cm RMSE", "gripper R²", "object x / y, cm RMSE"]
    return html.table(header, rows)


def _energy_text(energies: EnergyPairs) -> str:
    return (
        f"Spearman's rank correlation {energies.rank_correlation():.3f}; of frames more than "
        f"{100 * FAR:.0f} cm apart {energies.rank_correlation(FAR):.3f}. Opening or closing the "
        f"hand changes the energy by {energies.gripper_share:.0%} of a 25 cm move."
    )


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
