"""`vjepa-ros train`: world models from episodes, and the published one fitted to a lab's."""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from vjepa_gate.errors import UserError
from vjepa_ros.model.checkpoints import load_weights, save_weights
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.training import stages
from vjepa_ros.training.card import model_card
from vjepa_ros.training.report import examine, page
from vjepa_ros.training.settings import TrainingSettings, load_settings
from vjepa_ros.training.trainer import process_group

# --- arguments ---------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, summary: str, preset: str = "cpu") -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=summary, description=summary)
        added.add_argument("--out", type=Path, required=True, help="where to put what is made")
        added.add_argument(
            "--preset",
            default=preset,
            help="quick, cpu, gpu, finetune or a .yaml file (%(default)s): config/training_*.yaml",
        )
        added.add_argument(
            "--set",
            action="append",
            metavar="NAME=VALUE",
            help="change a setting of the preset, as pretrain.trainer.steps=100; may be repeated",
        )
        added.add_argument("--device", help="cpu or cuda (default: cuda where there is one)")
        if name != "weights":
            added.add_argument("--data", type=Path, required=True, help="folder of episodes")
            added.add_argument(
                "--unpacked",
                type=Path,
                help="where frames are unpacked (default: a folder beside --out)",
            )
        return added

    verb("weights", "collect episodes, train on them, report: the shipped weights from nothing")
    verb("pretrain", "train an encoder on episodes, from nothing")
    joint = verb("joint", "go on from `pretrain`, with a predictor that grows up with the encoder")
    joint.add_argument(
        "--from", dest="start", type=Path, required=True, help="the --out of `pretrain`"
    )
    posttrain = verb("posttrain", "train an action-conditioned predictor; the encoder stays as is")
    posttrain.add_argument("--weights", type=Path, required=True, help="what `pretrain` wrote")
    finetune = verb("finetune", "fit a predictor to a lab's own episodes", preset="finetune")
    finetune.add_argument("--weights", type=Path, required=True, help="published or own weights")
    finetune.add_argument(
        "--step-period", type=float, help="seconds between frames (default: as in the weights)"
    )
    report = verb("report", "one HTML page: probes, prediction errors and energies of weights")
    report.add_argument("--weights", type=Path, required=True)
    report.add_argument("--metrics", type=Path, nargs="*", default=[], help="metrics.csv to plot")
    report.add_argument("--frames", type=int, default=3000, help="to fit probes on (%(default)s)")
    report.add_argument("--windows", type=int, default=192, help="to predict in (%(default)s)")


def run(args: argparse.Namespace) -> int:
    settings = load_settings(args.preset, args.set)
    device = _device(args.device)
    with process_group(device) as share:
        try:
            path = VERBS[args.verb](args, settings, device)
        except (ValueError, FloatingPointError) as error:
            raise UserError(str(error)) from error
        if share.rank == 0:
            print(path)
    return 0


def _device(name: str | None) -> torch.device:
    """The one asked for; of several GPUs, that of this process's number."""
    chosen = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    return chosen


def _run(args: argparse.Namespace, settings: TrainingSettings, device: torch.device) -> stages.Run:
    return stages.Run(
        stage=args.verb,
        data=args.data,
        out=args.out,
        unpacked=args.unpacked or args.out.parent / "unpacked",
        held_out=settings.data.held_out,
        device=device,
    )


# --- single stages -----------------------------------------------------------------------


def _pretrain(args: argparse.Namespace, settings: TrainingSettings, device: torch.device) -> Path:
    if settings.pretrain is None:
        raise UserError(f"--preset {args.preset}: it has no section `pretrain`")
    model = PRESETS[settings.model]
    return stages.pretrain(settings.pretrain, model, _run(args, settings, device))


def _joint(args: argparse.Namespace, settings: TrainingSettings, device: torch.device) -> Path:
    if settings.joint is None:
        raise UserError(f"--preset {args.preset}: it has no section `joint`")
    model = PRESETS[settings.model]
    return stages.pretrain(settings.joint, model, _run(args, settings, device), args.start)


def _posttrain(args: argparse.Namespace, settings: TrainingSettings, device: torch.device) -> Path:
    weights = load_weights(args.weights, device)
    model = replace(weights.config, predictor=PRESETS[settings.model].predictor)
    return stages.posttrain(settings.posttrain, model, weights, _run(args, settings, device))


def _finetune(args: argparse.Namespace, settings: TrainingSettings, device: torch.device) -> Path:
    weights = load_weights(args.weights, device)
    if weights.predictor is None:
        raise UserError(f"{args.weights} holds no predictor: `train posttrain` makes one")
    model = weights.config
    if args.step_period is not None:
        model = replace(model, step_period=args.step_period)
    return stages.posttrain(settings.posttrain, model, weights, _run(args, settings, device))


def _report(args: argparse.Namespace, settings: TrainingSettings, device: torch.device) -> Path:
    weights = load_weights(args.weights, device)
    run = _run(args, settings, device)
    findings = examine(
        weights,
        run.episodes(weights.config),
        run.held_out_episodes(weights.config),
        frames=args.frames,
        windows=args.windows,
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(page(weights, findings, args.metrics))
    args.out.with_suffix(".json").write_text(json.dumps(findings.figures(), indent=1))
    if findings.predictions:
        print(findings.predictions.table())
    return args.out


# --- all of it ---------------------------------------------------------------------------


def _weights(args: argparse.Namespace, settings: TrainingSettings, device: torch.device) -> Path:
    """Each part in a process of its own; what is there already is not made again."""
    # A simulation is needed here alone.
    from vjepa_ros.episodes.collection import CollectionConfig, collect

    out, data = args.out, args.out / "episodes"
    wanted = settings.data
    config = CollectionConfig(seed=wanted.seed, steps=wanted.steps, relight=wanted.relight)
    collect(config, wanted.episodes, data)
    common = ["--preset", args.preset, "--device", device.type, "--data", str(data)]
    common += [word for change in args.set or [] for word in ("--set", change)]
    todo: list[tuple[str, tuple[str, ...]]] = [("pretrain", ())]
    if settings.joint:
        todo.append(("joint", ("--from", str(out / "pretrain"))))
    encoder = out / todo[-1][0] / stages.WEIGHTS
    todo.append(("posttrain", ("--weights", str(encoder))))
    for stage, more in todo:
        if not (out / stage / stages.WEIGHTS).exists():
            _start(settings.processes, stage, *common, "--out", str(out / stage), *more)
    made = load_weights(out / "posttrain" / stages.WEIGHTS)
    shipped = out / f"{settings.model}.safetensors"
    assert made.encoder is not None
    about = made.metadata | ({"planner": settings.model} if settings.model in PLANNERS else {})
    save_weights(shipped, made.config, made.encoder, made.predictor, torch.float16, about)
    metrics = [str(out / stage / "metrics.csv") for stage, _ in todo]
    report = out / "report.html"
    _start(
        1, "report", *common,
        "--out", str(report), "--weights", str(shipped), "--metrics", *metrics,
    )  # fmt: skip
    figures = json.loads(report.with_suffix(".json").read_text())
    card = model_card(load_weights(shipped), settings, figures, out, args.preset)
    (out / "MODEL_CARD.md").write_text(card)
    return shipped


def _start(processes: int, *arguments: str) -> None:
    """`vjepa-ros train` with these arguments, in as many processes as asked for."""
    command = [sys.executable, "-m"]
    if processes > 1:
        command += ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"]
    command += ["vjepa_ros.cli", "train", *arguments]
    # Threads of several processes would wait for one another.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"} if processes > 1 else None
    if subprocess.run(command, env=environment, check=False).returncode:
        raise UserError(f"stopped in `train {arguments[0]}`: started again, it goes on from there")


VERBS = {
    "weights": _weights,
    "pretrain": _pretrain,
    "joint": _joint,
    "posttrain": _posttrain,
    "finetune": _finetune,
    "report": _report,
}
