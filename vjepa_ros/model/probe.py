"""Attentive probes: one question to the tokens of a frozen encoder.

Submodules bear the names of transformers' VJEPA2ForVideoClassification, whose published files hold
such a probe beside the encoder: `load_weights` gives the one, `load_probe` the other. Those take
what `Encoder.forward` makes of a clip; the project's own take latents of single frames.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from vjepa_ros.model.checkpoint_files import CheckpointFile, WeightsError, read_checkpoint
from vjepa_ros.model.transformer import NORM_EPS, Mlp

HEADER = "vjepa_ros_probe"  # in the metadata of the project's own files


@dataclass(frozen=True, kw_only=True)
class ProbeConfig:
    """The shape of a probe, and what its answers are called."""

    width: int
    heads: int
    labels: tuple[str, ...]
    depth: int = 0  # layers of self-attention before the question
    mlp_ratio: float = 4.0


class Probe(nn.Module):
    """A query attends to all tokens, and a linear layer reads the answer."""

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__()
        self.config = config
        self.pooler = _Pooler(config)
        self.classifier = nn.Linear(config.width, len(config.labels))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [B, labels] from tokens [B, L, width]."""
        return self.classifier(self.pooler(tokens))


class _Pooler(nn.Module):
    def __init__(self, config: ProbeConfig) -> None:
        super().__init__()
        self.query_tokens = nn.Parameter(0.02 * torch.randn(1, 1, config.width))
        self.self_attention_layers = nn.ModuleList(_SelfLayer(config) for _ in range(config.depth))
        self.cross_attention_layer = _CrossLayer(config)

    def forward(self, tokens: Tensor) -> Tensor:
        for layer in self.self_attention_layers:
            tokens = layer(tokens)
        queries = self.query_tokens.expand(len(tokens), -1, -1)
        return self.cross_attention_layer(queries, tokens).squeeze(1)


class _Layer(nn.Module):
    def __init__(self, config: ProbeConfig) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.layer_norm2 = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.mlp = Mlp(config.width, int(config.width * config.mlp_ratio))


class _SelfLayer(_Layer):
    def __init__(self, config: ProbeConfig) -> None:
        super().__init__(config)
        self.self_attn = _Attention(config, projects=True)

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.layer_norm1(tokens)
        tokens = tokens + self.self_attn(normed, normed)
        return tokens + self.mlp(self.layer_norm2(tokens))


class _CrossLayer(_Layer):
    """The published ones do not normalise the query, and project nothing afterwards."""

    def __init__(self, config: ProbeConfig) -> None:
        super().__init__(config)
        self.cross_attn = _Attention(config, projects=False)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        answers = queries + self.cross_attn(queries, self.layer_norm1(tokens))
        return answers + self.mlp(self.layer_norm2(answers))


class _Attention(nn.Module):
    def __init__(self, config: ProbeConfig, projects: bool) -> None:
        super().__init__()
        self.heads, self.projects = config.heads, projects
        self.q_proj = nn.Linear(config.width, config.width)
        self.k_proj = nn.Linear(config.width, config.width)
        self.v_proj = nn.Linear(config.width, config.width)
        if projects:
            self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        projected = (self.q_proj(queries), self.k_proj(tokens), self.v_proj(tokens))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in projected)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out_proj(mixed) if self.projects else mixed


# --- files -------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadedProbe:
    """A probe ready to be asked, and the identity of the weights that it was trained on."""

    probe: Probe
    weights: str | None  # None: those of the file it came in


def load_probe(path: Path | str) -> LoadedProbe:
    """Read a probe of this project, or the one in a published classifier."""
    file = read_checkpoint(Path(path))
    parts = ("pooler.", "classifier.")
    tensors = {name: one for name, one in file.tensors.items() if name.startswith(parts)}
    if HEADER in file.metadata:
        header = json.loads(file.metadata[HEADER])
        labels = tuple(header["config"].pop("labels"))
        config, weights = ProbeConfig(labels=labels, **header["config"]), header["weights"]
    else:
        config, weights = _published_config(file, tensors), None
    probe = Probe(config)
    wanted = {name: list(one.shape) for name, one in probe.state_dict().items()}
    found = {name: list(one.shape) for name, one in tensors.items()}
    if wanted != found:
        wrong = sorted(n for n in wanted.keys() | found if wanted.get(n) != found.get(n))
        raise WeightsError(
            file.path, f"holds no probe of the expected shape: {', '.join(wrong[:8])} differ"
        )
    probe.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return LoadedProbe(probe.eval().requires_grad_(False), weights)


def _published_config(file: CheckpointFile, tensors: Mapping[str, Tensor]) -> ProbeConfig:
    beside = file.path.with_name("config.json")
    if "classifier.weight" not in tensors or not beside.exists():
        missing = beside.name if "classifier.weight" in tensors else "classifier.weight"
        raise WeightsError(file.path, f"holds no probe: {missing} is missing")
    try:
        about: dict[str, Any] = json.loads(beside.read_text())
        heads, named = int(about["num_attention_heads"]), about.get("id2label", {})
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(beside, f"is no config of a classifier: {error!r}") from error
    count, width = tensors["classifier.weight"].shape
    hidden = tensors["pooler.cross_attention_layer.mlp.fc1.bias"].shape[0]
    layers = {m[1] for m in map(re.compile(r".*self_attention_layers\.(\d+)").match, tensors) if m}
    return ProbeConfig(
        width=width,
        heads=heads,
        labels=tuple(str(named.get(str(label), label)) for label in range(count)),
        depth=len(layers),
        mlp_ratio=hidden / width,
    )


def save_probe(path: Path, probe: Probe, weights: str, about: Mapping[str, Any]) -> None:
    """Write a probe with the identity of the weights that it was trained on."""
    header = {"config": asdict(probe.config), "weights": weights, "about": dict(about)}
    tensors = {name: tensor.contiguous() for name, tensor in probe.state_dict().items()}
    save_file(tensors, path, metadata={HEADER: json.dumps(header)})
