"""The models by name: the published ones, and the tiny one for the simulation."""

from dataclasses import dataclass, replace

from vjepa_gate.settings import REQUIRED, setting
from vjepa_ros.model.encoder import EncoderConfig
from vjepa_ros.model.predictor import PredictorConfig
from vjepa_ros.model.preprocessing import CROPS


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A model's architecture, and what it was trained on: pictures, clock and reach."""

    preset: str = setting(REQUIRED, "name")
    encoder: EncoderConfig = setting(REQUIRED, "its shape")
    predictor: PredictorConfig | None = setting(None, "its shape; an encoder alone cannot plan")
    image_size: int = setting(
        256, "each side of the square that the encoder sees", low=1, high=4096, unit="pixels"
    )
    crop: str = setting("square", "of a camera's picture", choices=CROPS)
    step_period: float = setting(
        0.25, "between two frames of a training clip", low=0.001, high=3600.0, unit="s"
    )
    trained_horizon: int = setting(
        0, "actions in a training clip; later ones come at untrained times", low=0, high=10_000
    )


_VITG = EncoderConfig(width=1408, depth=40, heads=22, mlp_ratio=48 / 11)
_VITB_2_1 = EncoderConfig(width=768, depth=12, heads=12, version="2.1")
_TINY_PREDICTOR = PredictorConfig(
    latent_width=128, grid=8, width=128, depth=4, heads=2, max_frames=8, residual=True
)
_TINY = ModelConfig(
    preset="tiny",
    encoder=EncoderConfig(width=128, depth=4, heads=2, stem="conv"),
    predictor=_TINY_PREDICTOR,
    image_size=128,
    trained_horizon=4,
)

_MODELS = (
    ModelConfig(preset="vitl", encoder=EncoderConfig(width=1024, depth=24, heads=16)),
    ModelConfig(preset="vith", encoder=EncoderConfig(width=1280, depth=32, heads=16)),
    ModelConfig(preset="vitg", encoder=_VITG),
    ModelConfig(preset="vitg_384", encoder=_VITG, image_size=384),
    ModelConfig(preset="vitb_2_1", encoder=_VITB_2_1, image_size=384),
    ModelConfig(
        preset="vitl_2_1",
        encoder=EncoderConfig(width=1024, depth=24, heads=16, version="2.1"),
        image_size=384,
    ),
    ModelConfig(preset="vitg_2_1", encoder=replace(_VITG, version="2.1"), image_size=384),
    ModelConfig(
        preset="vitG_2_1",
        encoder=EncoderConfig(width=1664, depth=48, heads=26, mlp_ratio=64 / 13, version="2.1"),
        image_size=384,
    ),
    ModelConfig(
        preset="ac_vitg",
        encoder=_VITG,
        predictor=PredictorConfig(latent_width=1408),
        crop="droid",
        # Meant as 0.25; but 15 frames of DROID's 60 fps video were taken for 15 control steps.
        step_period=1.06,
        trained_horizon=7,
    ),
    # Post-trained anew by jepa-wms, with a mended rollout loss and no token for the state. Its
    # evaluation lets it see two frames (`ctxt_window: 2`).
    ModelConfig(
        preset="ac_vitg_stateless",
        encoder=_VITG,
        predictor=PredictorConfig(latent_width=1408, state=False, window=2),
        step_period=1.06,
        trained_horizon=7,
    ),
    # What `train posttrain --preset vitb` makes of V-JEPA 2.1's smallest encoder.
    ModelConfig(
        preset="ac_vitb_2_1",
        encoder=_VITB_2_1,
        predictor=PredictorConfig(latent_width=768, width=384, depth=6, heads=6),
        trained_horizon=4,
    ),
    _TINY,
    # With a predictor of the published kind: it draws every next latent anew, and is never quite
    # right. What plans with it has to bear what it would with Meta's.
    replace(_TINY, preset="ac_tiny", predictor=replace(_TINY_PREDICTOR, residual=False)),
)

PRESETS = {model.preset: model for model in _MODELS}
