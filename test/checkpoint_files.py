"""Files with the names, prefixes and nesting of the published ones, small and at full size."""

import dataclasses

import pytest
import torch

from vjepa_ros.model.encoder import Encoder, EncoderConfig
from vjepa_ros.model.predictor import Predictor, PredictorConfig
from vjepa_ros.model.presets import ModelConfig

ENCODER = EncoderConfig(width=48, depth=2, heads=2)
PREDICTOR = PredictorConfig(latent_width=48, width=32, depth=2, heads=2)
STATELESS = dataclasses.replace(PREDICTOR, state=False)

SMALL = ModelConfig(preset="small", encoder=ENCODER)
SMALL_2_1 = ModelConfig(
    preset="small_2_1",
    encoder=EncoderConfig(width=48, depth=4, heads=2, version="2.1"),
    image_size=384,
)
SMALL_384 = ModelConfig(preset="small_384", encoder=ENCODER, image_size=384)
SMALL_AC = ModelConfig(preset="small_ac", encoder=ENCODER, predictor=PREDICTOR)
SMALL_STATELESS = ModelConfig(preset="small_stateless", encoder=ENCODER, predictor=STATELESS)


def block_shapes(prefix, depth, width, hidden):
    for index in range(depth):
        block = f"{prefix}.{index}"
        yield from ((f"{block}.{n}.{p}", (width,)) for n in ("norm1", "norm2") for p in PARAMETERS)
        yield f"{block}.attn.qkv.weight", (3 * width, width)
        yield f"{block}.attn.qkv.bias", (3 * width,)
        yield f"{block}.attn.proj.weight", (width, width)
        yield f"{block}.attn.proj.bias", (width,)
        yield f"{block}.mlp.fc1.weight", (hidden, width)
        yield f"{block}.mlp.fc1.bias", (hidden,)
        yield f"{block}.mlp.fc2.weight", (width, hidden)
        yield f"{block}.mlp.fc2.bias", (width,)


PARAMETERS = ("weight", "bias")


def encoder_shapes(depth, width, hidden, positions):
    return {
        "pos_embed": (1, positions, width),
        "patch_embed.proj.weight": (width, 3, 2, 16, 16),
        "patch_embed.proj.bias": (width,),
        **dict(block_shapes("blocks", depth, width, hidden)),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }


def encoder_shapes_2_1(depth, width, hidden):
    return {
        "img_mod_embed": (1, 1, width),
        "video_mod_embed": (1, 1, width),
        "patch_embed.proj.weight": (width, 3, 2, 16, 16),
        "patch_embed.proj.bias": (width,),
        "patch_embed_img.proj.weight": (width, 3, 1, 16, 16),
        "patch_embed_img.proj.bias": (width,),
        **dict(block_shapes("blocks", depth, width, hidden)),
        **{f"norms_block.{level}.{p}": (width,) for level in range(4) for p in PARAMETERS},
    }


def predictor_shapes(depth, width, latent):
    """The action-conditioned predictor."""
    return {
        "predictor_embed.weight": (width, latent),
        "predictor_embed.bias": (width,),
        "action_encoder.weight": (width, 7),
        "action_encoder.bias": (width,),
        "state_encoder.weight": (width, 7),
        "state_encoder.bias": (width,),
        "extrinsics_encoder.weight": (width, 6),
        "extrinsics_encoder.bias": (width,),
        **dict(block_shapes("predictor_blocks", depth, width, 4 * width)),
        "predictor_norm.weight": (width,),
        "predictor_norm.bias": (width,),
        "predictor_proj.weight": (latent, width),
        "predictor_proj.bias": (latent,),
    }


def pretraining_predictor_shapes(depth, width, latent, positions):
    return {
        "predictor_pos_embed": (1, positions, width),
        **{f"mask_tokens.{index}": (1, 1, width) for index in range(10)},
        "predictor_embed.weight": (width, latent),
        "predictor_embed.bias": (width,),
        **dict(block_shapes("predictor_blocks", depth, width, 4 * width)),
        "predictor_norm.weight": (width,),
        "predictor_norm.bias": (width,),
        "predictor_proj.weight": (latent, width),
        "predictor_proj.bias": (latent,),
    }


def drawn(shapes, prefix):
    return {prefix + name: torch.randn(shape) for name, shape in shapes.items()}


def hollow(shapes, prefix):
    """Tensors of full size that take no room, in memory or on disk."""
    return {prefix + name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}


def training_state(parameters):
    """What Meta's training saves beside the weights."""
    parameters = [torch.nn.Parameter(parameter[:1]) for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters)
    sum(parameter.sum() for parameter in parameters).backward()
    optimizer.step()
    scaler = {"scale": 65536.0, "growth_factor": 2.0, "_growth_tracker": 0}
    progress = {"epoch": 315, "loss": 0.3, "batch_size": 8, "world_size": 32, "lr": 0.0}
    return {"opt": optimizer.state_dict(), "scaler": scaler, **progress}


SMALL_ENCODER = {"depth": 2, "width": 48, "hidden": 192, "positions": 8 * 256}
SMALL_PREDICTOR = {"depth": 2, "width": 32, "latent": 48}


def meta_pretrained(**changes):
    """As vitl.pt and its sisters."""
    encoder = drawn(encoder_shapes(**SMALL_ENCODER | changes), "module.backbone.")
    predictor = pretraining_predictor_shapes(**SMALL_PREDICTOR, positions=2048)
    return {
        "encoder": encoder,
        "predictor": drawn(predictor, "module.backbone."),
        "target_encoder": drawn(encoder_shapes(**SMALL_ENCODER), "module.backbone."),
        **training_state(encoder.values()),
    }


def meta_2_1(key):
    """As vjepa2_1_vitb_dist_vitG_384.pt and vjepa2_1_vitg_384.pt, which differ in the key."""
    shapes = encoder_shapes_2_1(depth=4, width=48, hidden=192)
    predictor = pretraining_predictor_shapes(**SMALL_PREDICTOR, positions=2048)
    return {
        "encoder": drawn(shapes, "module.backbone."),
        "predictor": drawn(predictor, "module.backbone."),
        key: drawn(shapes, "module.backbone."),
        **training_state([torch.zeros(3)]),
    }


def meta_ac():
    """As vjepa2-ac-vitg.pt."""
    return {
        "encoder": drawn(encoder_shapes(**SMALL_ENCODER), "module."),
        "predictor": drawn(predictor_shapes(**SMALL_PREDICTOR), "module."),
        "target_encoder": drawn(encoder_shapes(**SMALL_ENCODER), "module."),
        **training_state([torch.zeros(3)]),
    }


def jepa_wms(state):
    """As vjepa2_ac_droid.pth.tar, without state, or with one that goes by another name."""
    shapes = predictor_shapes(**SMALL_PREDICTOR)
    shapes = {
        name.replace("state_encoder", "proprio_encoder"): shape
        for name, shape in shapes.items()
        if "extrinsics" not in name and (state or "state" not in name)
    }
    predictor = drawn(shapes, "module.")
    optimizer = training_state(predictor.values())["opt"]
    return {"predictor": predictor, "opt": optimizer, "scaler": None, "epoch": 315}


def hugging_face(kind, size=256):
    transformers = pytest.importorskip("transformers", reason="test dependency is not installed")
    config = transformers.VJEPA2Config(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        crop_size=size,
        frames_per_clip=2,
        pred_hidden_size=24,
        pred_num_attention_heads=2,
        pred_num_hidden_layers=1,
        num_pooler_layers=1,
        initializer_range=0.2,
    )
    return getattr(transformers, kind)(config).eval()


def own_model(config=SMALL_AC):
    return config, Encoder(config.encoder), Predictor(config.predictor)
