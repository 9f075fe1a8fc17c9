"""What imagining costs on paper: floating point operations, from a model's sizes alone."""

from vjepa_ros.model.predictor import PredictorConfig


def cached_operations(config: PredictorConfig, horizon: int) -> dict[str, float]:
    """Count the operations of one candidate, by part, from one shared context frame."""
    frames = range(1, horizon + 1)
    return _total(config, computed=[1] * horizon, seen=list(frames), embedded=horizon - 1)


def plain_operations(config: PredictorConfig, horizon: int) -> dict[str, float]:
    """Count the same where each step runs the whole sequence again, under a dense mask."""
    frames = list(range(1, horizon + 1))
    return _total(config, computed=frames, seen=frames, embedded=sum(frames))


def _total(
    config: PredictorConfig, computed: list[int], seen: list[int], embedded: int
) -> dict[str, float]:
    """Each step computes some frames, every one of which sees some frames."""
    tokens, width = config.patches + config.controls, config.width
    product = 2 * width * config.latent_width * config.patches
    pairs = sum(ours * theirs for ours, theirs in zip(computed, seen, strict=True))
    weights = width**2 * (4 + 2 * config.mlp_ratio)
    return {
        "linear": 2.0 * config.depth * weights * tokens * sum(computed),
        "attention": 4.0 * config.depth * width * tokens**2 * pairs,
        "input and output": float(product * (embedded + sum(computed))),
    }
