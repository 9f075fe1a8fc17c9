"""Published checkpoint files: how they name the parts of a model, which model one holds, and
what else is in it.

The project's own names are those of Meta's files: `encoder.` or `predictor.`, then the name of
the module. Hugging Face and jepa-wms differ in what is listed here.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from vjepa_ros.model.checkpoint_files import CheckpointFile, WeightsError
from vjepa_ros.model.encoder import EncoderConfig
from vjepa_ros.model.located import stated_licence
from vjepa_ros.model.predictor import PredictorConfig
from vjepa_ros.model.presets import PRESETS, ModelConfig

# --- names -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How a kind of file names what the model calls `encoder.…` or `predictor.…`.

    Several names are to be stacked along the first dimension: query, key and value.
    """

    kind: str
    names: Callable[[str], tuple[str, ...]]
    encoder: str = "encoder"  # of those that Meta's files hold


# What Meta's files call an encoder: as it was trained; its moving average, which is the target of
# its training; and that of one which was distilled, where `target_encoder` is its teacher.
_ENCODERS = {
    "encoder": "the encoder as it was trained last",
    "target_encoder": "moving average of the encoder, the target of its training",
    "ema_encoder": "moving average of the encoder, which a larger one was distilled into",
}


def layout_of(names: Collection[str], averaged: bool = True) -> Layout | None:
    """The layout that a file's names follow, if any is known.

    Of Meta's encoders the moving average counts, unless it is not asked for or a predictor for
    planning is beside them, which goes with `encoder`.
    """
    if _holds(names, "encoder.layer."):
        return Layout("V-JEPA 2 as Hugging Face lays it out", _hugging_face)
    held = [name for name in _ENCODERS if _holds(names, f"{name}.blocks.")]
    planning = _holds_predictor(names)
    if held:
        encoder = held[-1] if averaged and not planning else held[0]
        version = "2.1" if _holds(names, f"{encoder}.norms_block.") else "2"
        kind = f"V-JEPA {version}{'-AC' if planning else ''} as Meta lays it out"
        return Layout(kind, functools.partial(_meta, encoder), encoder)
    if _holds(names, "predictor.state_encoder.") and planning:
        return Layout("V-JEPA 2-AC predictor without an encoder", plain_names)
    if planning:
        return Layout("V-JEPA 2-AC predictor without an encoder, as of jepa-wms", _jepa_wms)
    return None


def plain_names(name: str) -> tuple[str, ...]:
    """Look a tensor up by its own name."""
    return (name,)


def _meta(encoder: str, name: str) -> tuple[str, ...]:
    return (re.sub(r"^encoder\.", f"{encoder}.", name),)


def _jepa_wms(name: str) -> tuple[str, ...]:
    return (name.replace("predictor.state_encoder.", "predictor.proprio_encoder."),)


def _hugging_face(name: str) -> tuple[str, ...]:
    for pattern, replacement in (
        (r"^encoder\.patch_embed\.", "encoder.embeddings.patch_embeddings."),
        (r"^encoder\.blocks\.", "encoder.layer."),
        (r"^encoder\.norm\.", "encoder.layernorm."),
        (r"\.attn\.", ".attention."),
    ):
        name = re.sub(pattern, replacement, name)
    parts = ("query", "key", "value") if ".qkv." in name else ("",)
    return tuple(name.replace(".qkv.", f".{part}.") for part in parts)


def _holds(names: Collection[str], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in names)


def _holds_predictor(names: Collection[str]) -> bool:
    """Whether there is an action-conditioned predictor, and not that of pretraining."""
    return _holds(names, "predictor.predictor_blocks.") and not _holds_pretraining(names)


def _holds_pretraining(names: Collection[str]) -> bool:
    return _holds(names, "predictor.mask_tokens") or _holds(names, "predictor.embeddings.")


# --- which model -------------------------------------------------------------------------


def infer_config(file: CheckpointFile, layout: Layout) -> tuple[ModelConfig, list[str]]:
    """The preset that a file's tensors fit, and what had to be assumed."""
    blocks = _blocks(file, layout.names("encoder.blocks.")[0])
    predictor_blocks = None
    if _holds_predictor(file.tensors):
        predictor_blocks = _blocks(file, "predictor.predictor_blocks.")
    state = _holds(file.tensors, layout.names("predictor.state_encoder.")[0])
    version = "2.1" if _holds(file.tensors, f"{layout.encoder}.norms_block.") else "2"

    def fits(model: ModelConfig) -> bool:
        found = model.encoder.stem, model.encoder.version, _size(model.encoder)
        if blocks and found != ("patch", version, blocks):
            return False
        if model.predictor is None or predictor_blocks is None:
            return model.predictor is predictor_blocks
        return predictor_blocks == _size(model.predictor) and state == model.predictor.state

    fitting = [model for model in PRESETS.values() if fits(model)]
    if not fitting:
        raise WeightsError(file.path, _unknown(version, blocks, predictor_blocks))
    size = _image_size(file, layout, fitting)
    if size is None:
        assumed = f"trained on pictures of {fitting[0].image_size} pixels, it is assumed"
        return fitting[0], [assumed] if len(fitting) > 1 else []
    resized = dataclasses.replace(fitting[0], image_size=size)
    return next((model for model in fitting if model.image_size == size), resized), []


_Size = tuple[int, int, int]  # width, hidden width and number of transformer blocks


def _blocks(file: CheckpointFile, prefix: str) -> _Size | None:
    numbered = re.compile(re.escape(prefix) + r"(\d+)\.(.*)")
    found = [match for match in map(numbered.match, file.tensors) if match]
    hidden = [file.tensors[match[0]] for match in found if match[2] == "mlp.fc1.weight"]
    if not hidden or hidden[0].dim() != 2:
        return None
    return hidden[0].shape[1], hidden[0].shape[0], 1 + max(int(match[1]) for match in found)


def _size(config: EncoderConfig | PredictorConfig) -> _Size:
    return config.width, int(config.width * config.mlp_ratio), config.depth


def _unknown(version: str, blocks: _Size | None, predictor_blocks: _Size | None) -> str:
    def described(size: _Size | None) -> str:
        return "{2} blocks of width {0}, hidden {1}".format(*size) if size else "none"

    known = "\n".join(
        f"    {name}: V-JEPA {model.encoder.version}, {described(_size(model.encoder))}; "
        f"predictor: {described(_size(model.predictor) if model.predictor else None)}"
        for name, model in PRESETS.items()
    )
    return (
        f"holds an encoder of V-JEPA {version}, {described(blocks)}; predictor: "
        f"{described(predictor_blocks)}. "
        f"Expected a known size:\n{known}"
    )


def _image_size(file: CheckpointFile, layout: Layout, fitting: list[ModelConfig]) -> int | None:
    """The resolution that a file was trained at, which no shape of the model tells."""
    beside = file.path.with_name("config.json")
    if file.path.suffix == ".safetensors" and beside.exists():  # as Hugging Face publishes
        try:
            return int(json.loads(beside.read_text())["crop_size"])
        except (ValueError, KeyError, TypeError) as error:
            raise WeightsError(beside, f"is no config of V-JEPA 2: {error!r}") from error
    positions = file.tensors.get(f"{layout.encoder}.pos_embed")
    if positions is None or positions.dim() != 3:
        return None
    # A position per patch, of a number of frames that is a power of two; but 24² has a 9 in it.
    sizes = [model.image_size for model in fitting]
    return max((s for s in sizes if positions.shape[1] % (s // 16) ** 2 == 0), default=None)


# --- what is not loaded ------------------------------------------------------------------

_UNUSED = (
    (r"(opt|optimizer)\.", "state of the optimizer"),
    (r"scaler\.|(epoch|loss|batch_size|world_size|lr)$", "progress of the training run"),
    (r"(|target_|ema_)encoder\.pos_embed$", "sine-cosine positions, which rotary models never use"),
    (
        r"predictor\.extrinsics_encoder\.",
        "token of the camera's pose, which the published predictor was trained without",
    ),
    (r"(pooler|classifier)\.", "video classifier"),
)
_PRETRAINING = "pretraining predictor, which fills in masked patches: not used for planning"


def why_unused(name: str, names: Collection[str], encoder: str) -> str | None:
    """Why what a file calls `name`, among all its `names`, is no part of the model, whose encoder
    is the one that the file calls so.
    """
    part = name.partition(".")[0]
    if part in _ENCODERS and part != encoder:
        return _ENCODERS[part]
    if name.startswith("predictor.") and _holds_pretraining(names):
        return _PRETRAINING
    return next((reason for pattern, reason in _UNUSED if re.match(pattern, name)), None)


# --- releases, told by a file's name: whoever trains with Meta's code writes the same keys ----

_FIRST = (
    "Meta's first release of V-JEPA 2-AC, whose rollout loss had a bug; "
    "jepa-wms publishes mended weights, vjepa2_ac_droid"
)
_MENDED = "V-JEPA 2-AC post-trained anew by jepa-wms with the rollout loss mended"


def about_encoder(layout: Layout, names: Collection[str]) -> str | None:
    """Say which of Meta's encoders is taken, where there are several."""
    held = [name for name in _ENCODERS if _holds(names, f"{name}.blocks.")]
    if len(held) < 2:
        return None
    return f"taken from `{layout.encoder}`: {_ENCODERS[layout.encoder]}"


@dataclass(frozen=True)
class Release:
    """A file that was published, and its licence as its publisher states it."""

    licence: str
    note: str | None = None


_MIT = "MIT, as facebookresearch/vjepa2 states it"
_NON_COMMERCIAL = "CC-BY-NC 4.0, as facebookresearch/jepa-wms states it: not for commercial use"

RELEASES = {
    **dict.fromkeys(("vitl", "vith", "vitg", "vitg-384"), Release(_MIT)),
    "vjepa2_1_vitb_dist_vitG_384": Release(_MIT),
    "vjepa2_1_vitl_dist_vitG_384": Release(_MIT),
    "vjepa2_1_vitg_384": Release(_MIT),
    "vjepa2_1_vitG_384": Release(_MIT),
    "vjepa2-ac-vitg": Release(_MIT, _FIRST),
    "vjepa2_ac_oss": Release(_NON_COMMERCIAL, _FIRST),
    "droid_vj2ac_oss-prop": Release(_NON_COMMERCIAL, _FIRST),
    "vjepa2_ac_droid": Release(_NON_COMMERCIAL, _MENDED),
    "droid_vj2ac_noprop": Release(_NON_COMMERCIAL, _MENDED),
}


def licence_of(path: Path) -> str | None:
    """What is known of the licence of a published file, from its model card or its name."""
    if stated := stated_licence(path):
        return f"{stated}, as the model card beside it states"
    release = RELEASES.get(path.name.partition(".")[0])
    return f"{release.licence} (known by the file's name)" if release else None
