"""Surfaces drawn by formula: square tiles of brightness around 1 that repeat without a seam."""

from collections.abc import Callable

import numpy as np

SIZE = 256  # pixels of a tile's edge


def tile(name: str, rng: np.random.Generator) -> np.ndarray:
    """The tile [SIZE, SIZE] float32 of a surface; no two generators give the same grain."""
    return _TILES[name](rng).astype(np.float32)


def _clouds(rng: np.random.Generator, fall: float, stretch: float = 1.0) -> np.ndarray:
    """Noise whose amplitude falls with frequency; stretch > 1 draws it out along the rows."""
    rows = np.fft.fftfreq(SIZE)[:, None] * SIZE
    columns = np.fft.rfftfreq(SIZE)[None, :] * SIZE * stretch
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) / frequency**fall
    noise = np.fft.irfft2(spectrum)
    return noise / noise.std()


def _wood(rng: np.random.Generator) -> np.ndarray:
    grain = _clouds(rng, fall=1.0, stretch=14)
    rings = np.sin(2 * np.pi * 3 * _ramp()[:, None] + 0.9 * _clouds(rng, fall=2.0, stretch=6))
    return 1 + 0.055 * grain + 0.05 * rings


def _bamboo(rng: np.random.Generator) -> np.ndarray:
    strips = np.repeat(rng.uniform(-0.1, 0.1, 16), SIZE // 16)[:, None]
    return 1 + strips + 0.04 * _clouds(rng, fall=1.0, stretch=20)


def _laminate(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.02 * _clouds(rng, fall=0.5) + 0.015 * _clouds(rng, fall=1.5)


def _cloth(rng: np.random.Generator) -> np.ndarray:
    thread = np.sin(2 * np.pi * 32 * _ramp())
    return 1 + 0.05 * (thread[:, None] * thread[None, :]) + 0.05 * _clouds(rng, fall=0.8)


def _concrete(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.07 * _clouds(rng, fall=1.2) + 0.03 * _clouds(rng, fall=0.2)


def _plaster(rng: np.random.Generator) -> np.ndarray:
    return 1 + 0.02 * _clouds(rng, fall=1.3)


def _brick(rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    course = rows // 32
    along = (columns + 32 * (course % 2)) % SIZE
    joint = (rows % 32 < 3) | (along % 64 < 3)
    stones = rng.uniform(-0.14, 0.14, (SIZE // 32, SIZE // 64))[course, along // 64]
    return np.where(joint, 1.25, 1 + stones) + 0.04 * _clouds(rng, fall=0.8)


def _ramp() -> np.ndarray:
    return np.arange(SIZE) / SIZE


_TILES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "wood": _wood,
    "bamboo": _bamboo,
    "laminate": _laminate,
    "cloth": _cloth,
    "concrete": _concrete,
    "plaster": _plaster,
    "brick": _brick,
}
