"""The weights that travel with the package: a small model of the simulated Franka."""

from pathlib import Path

SHIPPED_WEIGHTS = Path(__file__).parents[1] / "weights" / "tiny.safetensors"
