"""`vjepa-ros train` in a process of its own, with the small model among the presets."""

import sys

import torch
from conftest import SMALL

from vjepa_ros import cli
from vjepa_ros.model.presets import PRESETS

if __name__ == "__main__":
    torch.set_num_threads(1)
    PRESETS["small"] = SMALL
    sys.exit(cli.run(["train", *sys.argv[1:]]))
