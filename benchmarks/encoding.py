"""Seconds to encode one camera frame, side by side with transformers' own V-JEPA 2.

    python benchmarks/encoding.py --preset vitl --json encoding.json

transformers draws random weights and saves them; ours are loaded from its file. Both encode
the same frame in turns, so that whatever else the machine does hits both. transformers takes
the frame as a clip that repeats it.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from torch import Tensor
from torch.nn.functional import layer_norm

from vjepa_ros.model.checkpoints import load_weights
from vjepa_ros.model.presets import PRESETS, ModelConfig

Encode = Callable[[Tensor], Tensor]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [name for name, model in PRESETS.items() if model.encoder.stem == "patch"]
    parser.add_argument("--preset", choices=names, default="vitl")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()

    model, dtype = PRESETS[args.preset], getattr(torch, args.dtype)
    theirs, ours = build(model, args.device, dtype)
    pixels = torch.randn(1, 3, model.image_size, model.image_size, device=args.device)
    with torch.inference_mode():
        expected = theirs(pixels)
        error = ((ours(pixels) - expected).abs().max() / expected.abs().max()).item()
        turns = [(seconds(ours, pixels), seconds(theirs, pixels)) for _ in range(args.rounds)]

    figures = {
        "preset": args.preset,
        "dtype": args.dtype,
        "threads": torch.get_num_threads(),
        "seconds": statistics.median(turn[0] for turn in turns),
        "seconds_transformers": statistics.median(turn[1] for turn in turns),
        "ratio": statistics.median(turn[1] / turn[0] for turn in turns),  # above 1: ours is faster
        "relative_error": error,
    }
    for name, figure in figures.items():
        print(f"{name:<22}{figure:.4g}" if isinstance(figure, float) else f"{name:<22}{figure}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


def build(model: ModelConfig, device: str, dtype: torch.dtype) -> tuple[Encode, Encode]:
    """transformers' encoding of one frame [1, 3, H, W] to latents, and ours, of one weights."""
    config = transformers.VJEPA2Config(
        hidden_size=model.encoder.width,
        num_hidden_layers=model.encoder.depth,
        num_attention_heads=model.encoder.heads,
        mlp_ratio=model.encoder.mlp_ratio,
        crop_size=model.image_size,
        frames_per_clip=2,
        pred_num_hidden_layers=1,
    )
    transformers.utils.logging.disable_progress_bar()
    theirs = transformers.VJEPA2Model(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        encoder = load_weights(Path(folder) / "model.safetensors", device, dtype).encoder
    assert encoder is not None
    theirs = theirs.encoder.to(device, dtype)

    def encode_theirs(pixels: Tensor) -> Tensor:
        clip = pixels.unsqueeze(1).repeat(1, 2, 1, 1, 1)
        tokens = theirs(clip).last_hidden_state
        return layer_norm(tokens.float(), tokens.shape[-1:])

    return encode_theirs, encoder.encode


def seconds(encode: Encode, pixels: Tensor) -> float:
    start = time.perf_counter()
    encode(pixels).sum().item()  # waits for the device
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
