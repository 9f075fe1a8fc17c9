"""How far off an object's place is, as a stage of training reads it at the start of scenes.

    python benchmarks/readings.py STAGE --episodes 40 --seed 5000

STAGE is the --out of `train pretrain` or `train joint`. Distances on the table from the tool, in
centimetres: root mean square, median, and what 90 % are within.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_ros.conventions import POSITION
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.model.preprocessing import Preprocessor
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.model.reader import UNIT
from vjepa_ros.training.pretrain import PretrainConfig, Pretraining
from vjepa_ros.training.stages import start_from
from vjepa_sim.scene import Scene, SceneConfig
from vjepa_sim.tasks import GRASPABLE

_OBJECT = slice(4, 6)  # x and y among the readings


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(1)
    model = PRESETS["tiny"]
    stage = Pretraining(model, PretrainConfig(frames=1, masked=0.0, readout=1.0))
    start_from(stage, arguments.stage)
    preprocessor = Preprocessor(model.image_size, model.crop)
    seeds = range(arguments.seed, arguments.seed + arguments.episodes)
    print("object  beside  rms   median  90 %")
    with Scene() as scene:
        for kind in GRASPABLE:
            for beside in (0, 2):
                config = SceneConfig(objects=(kind,), distractors=beside)
                off = np.array([_off(stage, preprocessor, scene, config, seed) for seed in seeds])
                rms, within = np.sqrt((off**2).mean()), np.quantile(off, 0.9)
                print(f"{kind:6}  {beside:6}  {rms:4.1f}  {np.median(off):6.1f}  {within:4.1f}")


@torch.no_grad()
def _off(
    stage: Pretraining, preprocessor: Preprocessor, scene: Scene, config: SceneConfig, seed: int
) -> float:
    """Centimetres on the table."""
    scene.config = config
    scene.reset(seed)
    seen = scene.observe()
    latents = stage.target.encode(preprocessor(torch.from_numpy(seen.rgb)[None]))
    read = stage.readout.together(latents[:, None])[0, 0, _OBJECT].numpy() * UNIT
    tool: NDArray[np.float64] = state_of(seen)[POSITION].numpy()
    true = (scene.truth()[config.objects[0]].position - tool)[:2]
    return float(100 * np.linalg.norm(read - true))


def _arguments() -> argparse.Namespace:
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", type=Path)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=5000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
