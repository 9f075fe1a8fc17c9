"""`vjepa-ros train`: world models from episodes, and the published one fitted to a lab's."""

import argparse
import os
from pathlib import Path

import torch

from vjepa_ros.errors import UserError
from vjepa_ros.model.checkpoints import load_weights
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.training import stages
from vjepa_ros.training.settings import Settings, load_settings
from vjepa_ros.training.trainer import process_group


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    summary = "train an encoder on episodes, from nothing"
    pretrain = verbs.add_parser("pretrain", help=summary, description=summary)
    _add_run(pretrain)

    summary = "train an action-conditioned predictor for an encoder that stays as it is"
    posttrain = verbs.add_parser("posttrain", help=summary, description=summary)
    _add_run(posttrain)
    posttrain.add_argument("--weights", type=Path, required=True, help="what `pretrain` wrote")


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder of episodes")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--preset", default="cpu", help="cpu, gpu or a .yaml file (%(default)s)")
    parser.add_argument(
        "--set", action="append", metavar="NAME=VALUE", help="change a setting of the preset"
    )
    parser.add_argument("--device", help="cpu or cuda; the default is what there is")
    parser.add_argument(
        "--unpacked", type=Path, help="where frames are unpacked (beside --out by default)"
    )


def run(args: argparse.Namespace) -> int:
    device = _device(args.device)
    settings = load_settings(args.preset, args.set)
    with process_group(device) as share:
        try:
            path = VERBS[args.verb](args, settings, device)
        except ValueError as error:
            raise UserError(str(error)) from error
        if share.rank == 0:
            print(path)
    return 0


def _pretrain(args: argparse.Namespace, settings: Settings, device: torch.device) -> Path:
    model = PRESETS[settings.model]
    return stages.pretrain(settings.pretrain, model, _run(args, settings, device))


def _posttrain(args: argparse.Namespace, settings: Settings, device: torch.device) -> Path:
    weights = load_weights(args.weights)
    model = PRESETS[settings.model]
    return stages.posttrain(settings.posttrain, model, weights, _run(args, settings, device))


VERBS = {"pretrain": _pretrain, "posttrain": _posttrain}


def _run(args: argparse.Namespace, settings: Settings, device: torch.device) -> stages.Run:
    return stages.Run(
        data=args.data,
        out=args.out,
        unpacked=args.unpacked or args.out.parent / "unpacked",
        held_out=settings.data.held_out,
        device=device,
    )


def _device(name: str | None) -> torch.device:
    """The one asked for; with several processes each takes the GPU of its number."""
    chosen = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    return chosen
