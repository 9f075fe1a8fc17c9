"""The weights that travel with the package: small models of the simulated Franka."""

from pathlib import Path

SHIPPED_WEIGHTS = Path(__file__).parents[1] / "weights" / "tiny.safetensors"
OBJECTS = "objects"  # with a proposer of sub-goals beside them


def usual_weights(*, by_key_frames: bool) -> Path:
    """The shipped ones that are taken where none are named."""
    return shipped(OBJECTS) if by_key_frames else SHIPPED_WEIGHTS


def shipped(name: str) -> Path:
    """The file of shipped weights of this name, whether or not there is one."""
    return SHIPPED_WEIGHTS.with_name(f"{name}.safetensors")
