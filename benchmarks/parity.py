"""How far this project's numbers are from those of the code that Meta published: docs/PARITY.md.

Nothing of that code is here: check out facebookresearch/vjepa2, and facebookresearch/jepa-wms for
the rows about it, and name the folders. Both models are given the same random weights.

    python benchmarks/parity.py --reference vjepa2 [--jepa-wms jepa-wms] [--full]
"""

import argparse
import contextlib
import importlib
import importlib.util
import logging
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vjepa_ros.conventions import apply_action
from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.preprocessing import MEAN, STD, Preprocessor
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.planning.objectives import L1
from vjepa_ros.planning.solvers import make_solver
from vjepa_ros.planning.world_model import Context, Goal, WorldModel

SEED = 7


@dataclass(frozen=True)
class Sizes:
    """What is compared: a model of the same shape but small, or the published ones."""

    encoder: EncoderConfig
    encoder_2_1: EncoderConfig
    predictor: PredictorConfig
    picture: int  # pixels, for V-JEPA 2
    picture_2_1: int


SMALL = Sizes(
    encoder=EncoderConfig(width=176, depth=3, heads=2, mlp_ratio=48 / 11),
    encoder_2_1=EncoderConfig(width=192, depth=12, heads=3, version="2.1"),
    predictor=PredictorConfig(latent_width=176, grid=6, width=128, depth=3, heads=2),
    picture=96,
    picture_2_1=160,
)
FULL = Sizes(
    encoder=PRESETS["ac_vitg"].encoder,
    encoder_2_1=PRESETS["vitg_2_1"].encoder,
    predictor=PredictorConfig(latent_width=1408),
    picture=256,
    picture_2_1=384,
)


# --- the reference -----------------------------------------------------------------------


# Imported for what does not happen here: stochastic depth, and the drawing of attention maps.
_NEVER_CALLED = {"timm": ("timm.layers", "timm.models", "timm.models.layers"), "einops": ()}


class _Hollow(types.ModuleType):
    """A package that is not installed; whatever is imported from it is None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@contextlib.contextmanager
def checkout(folder: Path) -> Iterator[None]:
    """Modules of the checkout by their names; forgotten afterwards, as two of them share names."""
    before = set(sys.modules)
    for package, modules in _NEVER_CALLED.items():
        if not importlib.util.find_spec(package):
            sys.modules.update({name: _Hollow(name) for name in (package, *modules)})
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if name.partition(".")[0] in ("src", "app", "notebooks", "timm", "einops"):
                del sys.modules[name]


@torch.no_grad()
def draw(module: nn.Module) -> nn.Module:
    """Random weights, large enough that every part shows in the result."""
    torch.manual_seed(SEED)
    for parameter in module.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.6 / max(parameter.shape[-1], 16) ** 0.5)
    for norm in module.modules():
        if isinstance(norm, nn.LayerNorm):
            norm.weight += 1
    return module.eval().requires_grad_(False)


def theirs(make: Callable[..., nn.Module], config: Any, pixels: int, **more: Any) -> nn.Module:
    """Their module of our size; what V-JEPA's hub passes beside it."""
    return draw(
        make(
            img_size=(pixels, pixels), patch_size=16, num_frames=64, tubelet_size=2,
            num_heads=config.heads, depth=config.depth, use_sdpa=True, use_silu=False,
            use_rope=True, uniform_power=False, **more,
        )
    )  # fmt: skip


def adopt(make: Callable[[Any], nn.Module], config: Any, state: dict[str, Tensor]) -> Any:
    """Our module with every one of their weights: the same tensors, to need no memory twice."""
    with torch.device("meta"):
        ours = make(config)
    wanted = ours.state_dict()
    unused = set(state) - set(wanted) - {"pos_embed"}
    if any("extrinsics" not in name for name in unused):
        raise SystemExit(f"the reference has weights that this project does not: {sorted(unused)}")
    ours.load_state_dict({name: state[name] for name in wanted}, assign=True)
    return ours.eval().requires_grad_(False)


# --- rows --------------------------------------------------------------------------------

Row = tuple[str, Tensor, Tensor]  # what, ours, theirs


def norm(width: int) -> nn.Module:
    """The normalisation that every model of the family has."""
    return nn.LayerNorm(width, eps=1e-6)


def encoders(sizes: Sizes) -> Iterator[Row]:
    """Clips and single frames through the encoder of V-JEPA 2."""
    module = importlib.import_module("src.models.vision_transformer")
    config, pixels = sizes.encoder, sizes.picture
    reference = theirs(
        module.VisionTransformer, config, pixels, embed_dim=config.width,
        mlp_ratio=config.mlp_ratio, norm_layer=norm,
    )  # fmt: skip
    ours = adopt(Encoder, config, reference.state_dict())
    clip = torch.randn(1, 3, 4, pixels, pixels)
    yield "V-JEPA 2: encoder, a clip", ours(clip), reference(clip)
    still = clip[:, :, :1].repeat(1, 1, 2, 1, 1)
    latents = F.layer_norm(reference(still), (config.width,))
    yield "V-JEPA 2: encoder, one frame", ours.encode(clip[:, :, 0]), latents


def encoders_2_1(sizes: Sizes) -> Iterator[Row]:
    """Clips, pictures and hierarchical features through the encoder of V-JEPA 2.1."""
    module = importlib.import_module("app.vjepa_2_1.models.vision_transformer")
    config, pixels = sizes.encoder_2_1, sizes.picture_2_1
    reference = theirs(
        module.VisionTransformer, config, pixels, embed_dim=config.width,
        mlp_ratio=config.mlp_ratio, norm_layer=norm, img_temporal_dim_size=1,
        interpolate_rope=True,
    )  # fmt: skip
    ours = adopt(Encoder, config, reference.state_dict())
    clip = torch.randn(1, 3, 2, pixels, pixels)
    yield "V-JEPA 2.1: encoder, a clip", ours(clip), reference(clip)
    picture = clip[:, :, :1]
    latents = F.layer_norm(reference(picture), (config.width,))
    yield "V-JEPA 2.1: encoder, a picture", ours.encode(picture[:, :, 0]), latents
    reference.return_hierarchical = True
    yield "V-JEPA 2.1: hierarchical features", ours.hierarchy(clip), reference(clip)


def predictors(sizes: Sizes) -> Iterator[Row]:
    """Rollouts of the action-conditioned predictor, and the search that the notebook makes."""
    module = importlib.import_module("src.models.ac_predictor")
    config = sizes.predictor
    reference = theirs(
        module.vit_ac_predictor, config, 16 * config.grid, embed_dim=config.latent_width,
        predictor_embed_dim=config.width,
    )  # fmt: skip
    model = WorldModel(None, adopt(Predictor, config, reference.state_dict()), dtype=torch.float32)
    latents, state, actions = start(config, horizon=3)
    frames, states = latents, state[None, None]
    rolled = model.rollout(Context(latents=latents[0], states=state[None]), actions)[0]
    for step in range(1, 4):
        flat = reference(frames.flatten(1, 2), actions[:, :step], states)
        after = F.layer_norm(flat[:, -config.patches :], (config.latent_width,))[:, None]
        yield f"V-JEPA 2-AC: rollout, step {step}", rolled[step - 1], after[0, 0]
        frames = torch.cat((frames, after), 1)
        states = torch.cat((states, apply_action(states[:, -1:], actions[:, step - 1 : step])), 1)
    yield from search(model, reference, config)


def search(model: WorldModel, reference: nn.Module, config: PredictorConfig) -> Iterator[Row]:
    """CEM on the same seed, the reference's own around its own predictor."""
    wrapper = importlib.import_module("notebooks.utils.world_model_wrapper")
    for horizon in (1, 2):
        latents, state, actions = start(config, horizon)
        context = Context(latents=latents[0], states=state[None])
        # Random weights tell frames hardly apart, unless they are near what is asked for.
        goal = model.rollout(context, actions)[:, -1:]
        planner = replace(PLANNERS["notebook"], samples=12, elites=4, horizon=horizon)
        their_world = wrapper.WorldModel(
            encoder=None, predictor=reference, tokens_per_frame=config.patches, transform=None,
            mpc_args={
                "rollout": horizon, "samples": 12, "topk": 4, "cem_steps": planner.iterations,
                "momentum_mean": planner.momentum_mean, "momentum_std": planner.momentum_std,
                "maxnorm": planner.max_step,
            },
        )  # fmt: skip
        torch.manual_seed(SEED)
        expected = their_world.infer_next_action(latents, state[None, None], goal)
        cost = model.cost(context, Goal(latents=goal[0, 0]), L1())
        found = make_solver(planner).solve(cost, seed=SEED).actions
        yield f"V-JEPA 2-AC: plan of CEM, horizon {horizon}", found, expected


def windows(sizes: Sizes) -> Iterator[Row]:
    """jepa-wms' predictor without a state, which sees two frames."""
    module = importlib.import_module("src.models.ac_predictor")
    config = replace(sizes.predictor, state=False, window=2)
    reference = theirs(
        module.vit_ac_predictor, config, 16 * config.grid, embed_dim=config.latent_width,
        predictor_embed_dim=config.width, proprio_tokens=0,
    )  # fmt: skip
    model = WorldModel(None, adopt(Predictor, config, reference.state_dict()), dtype=torch.float32)
    latents, state, actions = start(config, horizon=4)
    rolled = model.rollout(Context(latents=latents[0], states=state[None]), actions)[0]
    frames = latents
    for step in range(1, 5):
        seen, taken = frames[:, -2:], actions[:, :step][:, -2:]
        flat = reference(seen.flatten(1, 2), taken, None)
        flat = flat[0] if isinstance(flat, tuple) else flat
        after = F.layer_norm(flat[:, -config.patches :], (config.latent_width,))[:, None]
        yield f"jepa-wms: rollout, step {step}", rolled[step - 1], after[0, 0]
        frames = torch.cat((frames, after), 1)


def start(config: PredictorConfig, horizon: int) -> tuple[Tensor, Tensor, Tensor]:
    """A frame [1, 1, L, D], the state [7] in it and actions [1, H, 7]."""
    torch.manual_seed(SEED)
    latents = F.layer_norm(
        torch.randn(1, 1, config.patches, config.latent_width), (config.latent_width,)
    )
    state = torch.tensor([0.5, 0.1, 0.3, 3.0, 0.1, -0.4, 0.2])
    actions = torch.tensor([0.05, -0.03, 0.02, 0.1, -0.05, 0.1, 0.2]) * torch.randn(1, horizon, 7)
    return latents, state, actions


def pictures() -> Iterator[Row]:
    """What the encoder sees of a camera's picture, in grey levels."""
    module = importlib.import_module("app.vjepa_droid.transforms")
    rgb = torch.randint(256, (1, 180, 320, 3), dtype=torch.uint8)
    make = module.make_transforms
    transform = make(
        random_horizontal_flip=False, random_resize_aspect_ratio=(1.0, 1.0),
        random_resize_scale=(1.0, 1.0), crop_size=256,
    )  # fmt: skip
    std, mean = torch.tensor(STD).view(3, 1, 1), torch.tensor(MEAN).view(3, 1, 1)
    seen = transform(rgb.numpy())[:, 0] * std + mean
    yield "pictures, in grey levels", Preprocessor(256)(rgb)[0] * std + mean, seen


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="facebookresearch/vjepa2")
    parser.add_argument("--jepa-wms", type=Path, help="facebookresearch/jepa-wms")
    parser.add_argument("--full", action="store_true", help="at full size: 5 GB of memory")
    told = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    sizes = FULL if told.full else SMALL
    print("| what | largest difference | relative to the largest number |\n|---|---|---|")
    with torch.no_grad():
        with checkout(told.reference):
            if importlib.util.find_spec("torchvision"):
                show(pictures())
            for rows in (encoders, predictors):
                show(rows(sizes))
            if (told.reference / "app" / "vjepa_2_1").is_dir():  # an old checkout has none
                show(encoders_2_1(sizes))
        if told.jepa_wms:
            with checkout(told.jepa_wms):
                show(windows(sizes))


def show(rows: Iterator[Row]) -> None:
    """As lines of the table."""
    for what, ours, reference in rows:
        difference = float((ours - reference).abs().max())
        print(f"| {what} | {difference:.1e} | {difference / float(reference.abs().max()):.1e} |")


if __name__ == "__main__":
    main()
