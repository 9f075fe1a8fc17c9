"""Files of small nets that read the latents of frozen weights: proposers, policies, decoders.

Each is safetensors, whose header says what it is, its sizes, and whose latents it reads.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from vjepa_gate.errors import UserError

Net = TypeVar("Net", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class HeadFiles(Generic[Net]):
    """How one kind of net is written and read; its `config` is a dataclass of numbers."""

    kind: str  # in the header
    what: str  # to people
    made_by: str  # the command that writes it
    make: Callable[..., Net]  # of the config's fields
    dtype: torch.dtype = torch.float32  # in the file
    format: int = 1  # of the net's sizes and tensors

    def save(self, path: Path, net: Net, weights: str, about: Mapping[str, Any]) -> None:
        """With the identity of the weights whose latents it reads, and what made it."""
        config: Any = net.config
        header = {
            "format": self.format,
            "weights": weights,
            "config": asdict(config),
            "metadata": dict(about),
        }
        tensors = {
            name: tensor.to(self.dtype).contiguous() for name, tensor in net.state_dict().items()
        }
        partial = path.with_name(f".{path.name}.partial")
        save_file(tensors, partial, metadata={self._key: json.dumps(header)})
        partial.chmod(0o644)
        partial.replace(path)

    def load(self, path: Path, weights: str) -> Net:
        """The net of a file, for latents of the weights of this identity."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{path}: found {error}; expected what `{self.made_by}` writes"
            ) from error
        if self._key not in about:
            raise UserError(f"{path} holds no {self.what}; `{self.made_by}` makes one")
        header = json.loads(about[self._key])
        if header["format"] != self.format:
            raise UserError(
                f"{path} is of format {header['format']}, expected {self.format}: train it again"
            )
        if header["weights"] != weights:
            raise UserError(
                f"{path} was trained on latents of {header['weights']}, not of {weights}: give the "
                f"weights that it was trained with, or run `{self.made_by}` with these"
            )
        net = self.make(**header["config"])
        net.load_state_dict(tensors)
        return net.eval().requires_grad_(False)

    @property
    def _key(self) -> str:
        return f"vjepa_ros_{self.kind}"
