"""The card that goes with shipped weights: how they were made, and what they can and cannot."""

from pathlib import Path
from typing import Any

from vjepa_ros.model.checkpoints import Weights
from vjepa_ros.training.settings import TrainingSettings
from vjepa_ros.training.trainer import read_metrics

_LIMITS = """\
- It has seen one simulated Franka at one table, from one camera mounted within ±3 cm and ±1° of
  one place. It knows nothing of real pictures: for a real arm use Meta's weights.
{departures}\
- Edges in its pictures are smooth, as a camera's are. Jagged ones, as of one sample a pixel or
  of shrinking without averaging, make energies rough: more reaches then end 1 to 2 cm off.
- The hand points down. Its turn about the vertical was in the data; no other turn was.
- Energies mix arm, hand and objects. From afar the arm dominates, so goals that differ from now
  in an object alone need sub-goals.
"""
_CONV = """\
- Its encoder leaves V-JEPA 2's architecture in one point: a stem of strided 3×3 convolutions in
  place of the 16×16 patch projection.
"""
_RESIDUAL = """\
- Its predictor leaves V-JEPA 2-AC's architecture in one point: its output is added to the latent.
"""
_READ = """\
- It was not trained on video alone: the tool's pose, the fingers and the object of the task, which
  the simulation knows, were read from it.
"""


def model_card(
    weights: Weights, settings: TrainingSettings, figures: dict[str, Any], folder: Path, preset: str
) -> str:
    """In Markdown, from what `train weights` left in its folder."""
    config, data = weights.config, settings.data
    stages = [name for name in ("pretrain", "joint", "posttrain") if (folder / name).exists()]
    minutes = [f"{_minutes(folder / name):.0f} for `{name}`" for name in stages]
    return f"""\
# {config.preset}: a world model of the simulated Franka

`{weights.identity}`: pictures of {config.image_size}×{config.image_size} pixels to \
{(config.image_size // config.encoder.patch) ** 2} tokens of width {config.encoder.width} \
({config.encoder.depth} blocks), and a predictor of {_predictor(weights)}. \
One step is {config.step_period:g} s; it was trained to look {config.trained_horizon} steps ahead.

## Made by

    vjepa-ros train weights --preset {preset} --out FOLDER

which runs `episodes collect --task mix --episodes {data.episodes} --steps {data.steps} \
--seed {data.seed} --relight {data.relight:g}`, \
`train {"`, `train ".join(stages)}` and `train report` with the numbers of \
`config/training_{preset}.yaml`, all seeds included.

Minutes of training: {", ".join(minutes)}, in {settings.processes} processes of one thread on two \
cores that were busy with other work as well.

## Data

{data.episodes} episodes of {data.steps} frames from vjepa_sim (palette `train`; light, textures, \
sizes, camera and places drawn anew for each; at {data.relight:.0%} of the steps the light is \
changed), the mixture of noisy expert, waypoints and random \
motion that `episodes collect` makes. {data.held_out:.0%} of them were held out, and all figures \
below are from those.

## Figures

{_figures(figures)}
## Limits

{_LIMITS.format(departures=_departures(weights, settings))}"""


def _departures(weights: Weights, settings: TrainingSettings) -> str:
    """Where it is not as V-JEPA 2-AC."""
    predictor = weights.config.predictor
    stages = [stage for stage in (settings.pretrain, settings.joint) if stage]
    found = [
        (_CONV, weights.config.encoder.stem == "conv"),
        (_RESIDUAL, predictor is not None and predictor.residual),
        (_READ, any(stage.losses.readout for stage in stages)),
    ]
    return "".join(text for text, here in found if here)


def _minutes(folder: Path) -> float:
    rows = read_metrics(folder / "metrics.csv")
    return rows[-1]["seconds"] / 60 if rows else float("nan")


def _predictor(weights: Weights) -> str:
    predictor = weights.predictor
    if predictor is None:
        raise ValueError(f"{weights.identity} has no predictor: it is not finished")
    millions = sum(parameter.numel() for parameter in predictor.parameters()) / 1e6
    return f"width {predictor.config.width} ({predictor.config.depth} blocks, {millions:.1f} M)"


def _figures(figures: dict[str, Any]) -> str:
    lines = [
        "| linear probe from | tool x / y / z, cm RMSE | gripper R² | object x / y from afar, cm "
        "| and near, cm |",
        "|---|---|---|---|---|",
    ]
    for name, probe in figures["probes"].items():
        tool, far, near = (
            " / ".join(f"{error:.2f}" for error in probe[key])
            for key in ("tool_cm", "object_far_cm", "object_near_cm")
        )
        lines.append(f"| {name} | {tool} | {probe['gripper_r2']:.3f} | {far} | {near} |")
    lines += [
        "",
        f"Rank correlation (Spearman) of energy with distance: {figures['spearman']:.3f}, beyond "
        f"8 cm {figures['spearman_far']:.3f}. Opening or closing the hand changes the energy by "
        f"{figures['gripper_energy_share']:.0%} of a 25 cm move.",
        "",
    ]
    errors = figures["prediction_errors"]
    steps = range(1, len(errors["model"]) + 1)
    lines += [
        "| L1 error, steps ahead | " + " | ".join(map(str, steps)) + " |",
        "|---" * (len(errors["model"]) + 1) + "|",
    ]
    for name, row in errors.items():
        lines.append(f"| {name} | " + " | ".join(f"{error:.3f}" for error in row) + " |")
    return "\n".join(lines) + "\n"
