"""`vjepa-ros train` in a process of its own, with the small model among the presets."""

import argparse
import sys

import torch
from conftest import SMALL

from vjepa_ros.commands import train
from vjepa_ros.model.presets import PRESETS

if __name__ == "__main__":
    torch.set_num_threads(1)
    PRESETS["small"] = SMALL
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    sys.exit(train.run(parser.parse_args()))
