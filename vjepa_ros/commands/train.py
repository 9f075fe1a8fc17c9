"""`vjepa-ros train`: world models from episodes, and the published one fitted to a lab's."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vjepa_gate.errors import UserError
from vjepa_ros.commands.banks import bank_of
from vjepa_ros.commands.opening import opening
from vjepa_ros.commands.settings import read, shared
from vjepa_ros.commands.settings import training as commands
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.model.checkpoints import Weights, load_weights, save_weights
from vjepa_ros.model.decoder import decoder_beside, decoder_of, save_decoder
from vjepa_ros.model.presets import PRESETS
from vjepa_ros.model.probe import save_probe
from vjepa_ros.planning.loading import Loaded, load_world_model
from vjepa_ros.planning.subgoals.bank import demonstrations
from vjepa_ros.planning.subgoals.proposer import save_proposer
from vjepa_ros.training import stages
from vjepa_ros.training.attentive import ProbeTraining, accuracy, train_probe
from vjepa_ros.training.card import model_card
from vjepa_ros.training.decoding import DecoderTraining, drawing_errors, train_decoder
from vjepa_ros.training.labels import is_about_it, object_of_the_task
from vjepa_ros.training.report import examine, imagine, page
from vjepa_ros.training.settings import TrainingSettings, load_settings
from vjepa_ros.training.subgoals import Learning, Scenes, SubGoalConfig
from vjepa_ros.training.trainer import process_group


def run(args: argparse.Namespace) -> int:
    """Do what the verb says."""
    if args.verb == "subgoals":
        return _subgoals(read(commands.TrainSubGoals, args))
    if args.verb == "probe":
        return _probe(read(commands.TrainProbe, args))
    if args.verb == "decoder":
        return _decoder(read(commands.TrainDecoder, args))
    kind, work = _VERBS[args.verb]
    told: Any = read(kind, args)
    preset = load_settings(told.preset, told.set)
    device = _device(told.device)
    with process_group(device) as share:
        try:
            path = work(told, preset, device)
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


def _run(
    stage: str, args: commands.TrainOn, settings: TrainingSettings, device: torch.device
) -> stages.Run:
    return stages.Run(
        stage=stage,
        data=args.data,
        out=args.out,
        unpacked=args.unpacked or args.out.parent / "unpacked",
        held_out=settings.data.held_out,
        device=device,
        opening=opening(args),
    )


# --- single stages -----------------------------------------------------------------------


def _pretrain(args: commands.Pretrain, settings: TrainingSettings, device: torch.device) -> Path:
    if settings.pretrain is None:
        raise UserError(f"--preset {args.preset}: it has no section `pretrain`")
    model = PRESETS[settings.model]
    run = _run("pretrain", args, settings, device)
    return stages.pretrain(settings.pretrain, model, run, args.from_)


def _joint(args: commands.Joint, settings: TrainingSettings, device: torch.device) -> Path:
    if settings.joint is None:
        raise UserError(f"--preset {args.preset}: it has no section `joint`")
    model = PRESETS[settings.model]
    return stages.pretrain(settings.joint, model, _run("joint", args, settings, device), args.from_)


def _posttrain(args: commands.Posttrain, settings: TrainingSettings, device: torch.device) -> Path:
    weights = load_weights(args.weights, device)
    model = PRESETS[settings.model]
    if model.encoder != weights.config.encoder:
        raise UserError(
            f"--weights {args.weights} holds {weights.config.preset}, but --preset {args.preset} "
            f"trains a predictor for the encoder of {settings.model}: {model.encoder}"
        )
    return stages.posttrain(
        settings.posttrain, model, weights, _run("posttrain", args, settings, device)
    )


def _finetune(args: commands.Finetune, settings: TrainingSettings, device: torch.device) -> Path:
    weights = load_weights(args.weights, device)
    if weights.predictor is None:
        raise UserError(f"{args.weights} holds no predictor: `train posttrain` makes one")
    model = weights.config
    if args.step_period is not None:
        model = replace(model, step_period=args.step_period)
    return stages.posttrain(
        settings.posttrain, model, weights, _run("finetune", args, settings, device)
    )


def _report(
    args: commands.ReportTraining, settings: TrainingSettings, device: torch.device
) -> Path:
    weights = load_weights(args.weights, device)
    run = _run("report", args, settings, device)
    findings = examine(
        weights,
        run.episodes(weights.config),
        run.held_out_episodes(weights.config),
        frames=args.frames,
        windows=args.windows,
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    decoder = decoder_of(args.weights, weights.identity) if weights.predictor else None
    held_out = run.held_out_episodes(weights.config)
    imagined = imagine(weights, decoder.to(device), held_out) if decoder else ()
    args.out.write_text(page(weights, findings, args.metrics, imagined))
    args.out.with_suffix(".json").write_text(json.dumps(findings.figures(), indent=1))
    if findings.predictions:
        print(findings.predictions.table())
    return args.out


def _subgoals(args: commands.TrainSubGoals) -> int:
    loaded = load_world_model(args.weights)
    folder = args.bank or args.out.with_suffix(".bank")
    bank = bank_of(_told(args, loaded), folder, loaded, args)
    try:
        scenes = None if args.scenes is None else _scenes(args, loaded, folder)
        learning = Learning(bank, SubGoalConfig(**shared(SubGoalConfig, args)), scenes)
        learning.run()
    except ValueError as error:
        raise UserError(str(error)) from error
    errors = learning.errors()
    for name, value in errors.items():
        print(f"{name:18} {value:.3g}")
    about = {"episodes": len(learning.known), "errors": errors, **asdict(learning.config)}
    save_proposer(args.out, learning.net, loaded.identity, about)
    print(args.out)
    return 0


def _told(args: commands.TrainSubGoals, loaded: Loaded) -> list[EpisodeReader]:
    """The demonstrations; with --scenes those about the object that is read, where they tell."""
    recorded = demonstrations(args.data, loaded.config.step_period, **opening(args))
    return [one for one in recorded if args.scenes is None or is_about_it(one.trajectory)]


def _scenes(args: commands.TrainSubGoals, loaded: Loaded, folder: Path) -> Scenes:
    assert args.scenes is not None
    recorded = demonstrations(args.scenes, loaded.config.step_period, **opening(args))
    bank = bank_of(recorded, folder.with_suffix(".scenes"), loaded, args)
    return Scenes(bank, np.concatenate([object_of_the_task(one.trajectory) for one in recorded]))


def _probe(args: commands.TrainProbe) -> int:
    weights, run = _frozen(args, args.out, _device(None))
    assert weights.encoder is not None
    config = ProbeTraining(**shared(ProbeTraining, args))
    try:
        episodes, held_out = run.episodes(weights.config), run.held_out_episodes(weights.config)
        for one in (episodes, held_out):
            run.encode(one, weights)
        probe = train_probe(weights.encoder, episodes, args.label, config)
        figures = accuracy(probe, weights.encoder, held_out, args.label)
    except ValueError as error:
        raise UserError(str(error)) from error
    told = ", ".join(f"{right:.1%} of {answer}" for answer, right in figures.items())
    print(f"right on held-out frames: {told}")
    save_probe(args.out, probe, weights.identity, {**asdict(config), "right": figures})
    print(args.out)
    return 0


def _decoder(args: commands.TrainDecoder) -> int:
    out = args.out or decoder_beside(args.weights)
    weights, run = _frozen(args, out, _device(args.device))
    config = DecoderTraining(**shared(DecoderTraining, args))
    try:
        decoder = train_decoder(weights, run.episodes(weights.config), config)
        errors = drawing_errors(decoder, weights, run.held_out_episodes(weights.config))
    except ValueError as error:
        raise UserError(str(error)) from error
    for name, levels in errors.items():
        print(f"{name:14} off by {levels:.1f} of 255 grey levels on held-out frames")
    save_decoder(out, decoder, weights.identity, {**asdict(config), "errors": errors})
    print(out)
    return 0


def _frozen(
    args: commands.TrainProbe | commands.TrainDecoder, out: Path, device: torch.device
) -> tuple[Weights, stages.Run]:
    """Weights whose latents something is trained on, and the episodes that it is trained on."""
    weights = load_weights(args.weights, device)
    if weights.encoder is None:
        raise UserError(f"{args.weights} holds no encoder: it makes no latents")
    return weights, stages.Run(
        stage="frozen", data=args.data, out=out.parent, held_out=args.held_out,
        unpacked=out.parent / "unpacked", device=device,
        opening=opening(args),
    )  # fmt: skip


# --- all of it ---------------------------------------------------------------------------


def _weights(args: commands.Train, settings: TrainingSettings, device: torch.device) -> Path:
    """Each part in a process of its own; what is there already is not made again."""
    # A simulation is needed here alone.
    from vjepa_ros.episodes.collection import CollectionConfig, collect

    out, data = args.out, args.out / "episodes"
    wanted = settings.data
    config = CollectionConfig(seed=wanted.seed, steps=wanted.steps, relight=wanted.relight)
    collect(config, wanted.episodes, data)
    common = ["--preset", args.preset, "--device", device.type, "--data", str(data)]
    common += [word for change in args.set for word in ("--set", change)]
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
    save_weights(shipped, made.config, made.encoder, made.predictor, torch.float16, made.metadata)
    metrics = [f"--metrics={out / stage / 'metrics.csv'}" for stage, _ in todo]
    report = out / "report.html"
    _start(
        1, "report", *common,
        "--out", str(report), "--weights", str(shipped), *metrics,
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


_VERBS: dict[str, tuple[type, Callable[..., Path]]] = {
    "weights": (commands.Train, _weights),
    "pretrain": (commands.Pretrain, _pretrain),
    "joint": (commands.Joint, _joint),
    "posttrain": (commands.Posttrain, _posttrain),
    "finetune": (commands.Finetune, _finetune),
    "report": (commands.ReportTraining, _report),
}
