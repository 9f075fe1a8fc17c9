"""The weights that travel with the package: small models of the simulated Franka."""

from pathlib import Path

SHIPPED_WEIGHTS = Path(__file__).parents[1] / "weights" / "tiny.safetensors"
OBJECTS = "objects"  # that see objects, with a proposer of sub-goals


def shipped(name: str) -> Path:
    """The file of shipped weights of this name, whether or not there is one."""
    return SHIPPED_WEIGHTS.with_name(f"{name}.safetensors")
