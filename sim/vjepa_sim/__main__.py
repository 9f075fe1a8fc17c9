"""Look at the simulation from a shell: vjepa-sim --help."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from vjepa_sim.appearance import PALETTES
from vjepa_sim.cameras import CAMERAS
from vjepa_sim.errors import SimError
from vjepa_sim.expert import PERIOD, follow
from vjepa_sim.objects import KINDS
from vjepa_sim.scene import Scene, SceneConfig
from vjepa_sim.tasks import GRASPABLE, PLACES, SCHEDULES, Episode, Task, all_tasks, make_task


def main(arguments: list[str] | None = None) -> int:
    args = _parser().parse_args(arguments)
    try:
        args.run(args)
    except SimError as error:
        print(f"vjepa_sim: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="vjepa-sim", description="A simulated Franka at a table.")
    commands = parser.add_subparsers(required=True, metavar="command")

    tasks = commands.add_parser("tasks", help="list the tasks and what counts as success")
    tasks.set_defaults(run=list_tasks)

    show = commands.add_parser("show", help="write a picture of a scene, smoothed, as PNG")
    show.add_argument(
        "--objects",
        nargs="*",
        default=["cube", "bowl"],
        metavar="KIND",
        help=f"of {', '.join(KINDS)} (default: cube bowl)",
    )
    show.add_argument(
        "--camera", nargs="+", default=["exterior"], metavar="NAME", help=f"of {', '.join(CAMERAS)}"
    )
    _add_scene_arguments(show, size=512)
    show.add_argument("--out", type=Path, required=True, help="PNG file to write")
    show.set_defaults(run=show_scene)

    expert = commands.add_parser("expert", help="let the expert do a task; GIF or MP4")
    _add_task_arguments(expert)
    expert.add_argument(
        "--camera", default="exterior", metavar="NAME", help=f"of {', '.join(CAMERAS)}"
    )
    _add_scene_arguments(expert, size=256)
    expert.add_argument("--out", type=Path, required=True, help=".gif or .mp4 file to write")
    expert.set_defaults(run=record_expert)

    goals = commands.add_parser("goals", help="write the goal pictures of a task side by side")
    _add_task_arguments(goals)
    goals.add_argument("--schedule", default="dense", help="single, paper or dense")
    goals.add_argument(
        "--camera", default="exterior", metavar="NAME", help=f"of {', '.join(CAMERAS)}"
    )
    _add_scene_arguments(goals, size=256)
    goals.add_argument("--out", type=Path, required=True, help="PNG file to write")
    goals.set_defaults(run=show_goals)

    truth = commands.add_parser("truth", help="print where the objects are at the start of a task")
    _add_task_arguments(truth)
    _add_scene_arguments(truth, size=128)
    truth.set_defaults(run=print_truth)
    return parser


def _add_task_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", default="pick_place", help=f"of {', '.join(SCHEDULES)}")
    parser.add_argument("--object", help=f"of {', '.join(GRASPABLE)} (default: cube)")
    parser.add_argument("--place", help=f"of {', '.join(PLACES)} (default: spot)")


def _add_camera_argument(parser: argparse.ArgumentParser) -> None:
    names = ", ".join(CAMERAS)
    parser.add_argument("--camera", default="exterior", metavar="NAME", help=f"of {names}")


def _add_scene_arguments(parser: argparse.ArgumentParser, size: int) -> None:
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--distractors", type=int, default=0, metavar="N")
    parser.add_argument("--palette", default="train", help=f"of {', '.join(PALETTES)}")
    parser.add_argument("--size", type=int, default=size, help=f"pixels (default: {size})")


# --- commands ------------------------------------------------------------------------------


def list_tasks(args: argparse.Namespace) -> None:
    for task in all_tasks():
        print(f"{task.title:24} {task.tolerance}")
    print("\nSub-goals of each schedule:")
    for name, schedules in SCHEDULES.items():
        for schedule, names in schedules.items():
            print(f"{name:13} {schedule:7} {', '.join(names)}")


def show_scene(args: argparse.Namespace) -> None:
    _check_suffix(args.out, ".png")
    _check_cameras(args.camera)
    with _scene(args, tuple(args.objects)) as scene:
        scene.reset(args.seed)
        pictures = [_antialiased(scene, camera, args.size) for camera in args.camera]
    _write_picture(args.out, np.hstack(pictures))


def show_goals(args: argparse.Namespace) -> None:
    _check_suffix(args.out, ".png")
    _check_cameras([args.camera])
    task = _task(args)
    with _scene(args, task.objects) as scene:
        episode = _as_user_error(task.reset, scene, args.seed, args.schedule, args.camera)
    _write_picture(args.out, np.hstack([goal.observation.rgb for goal in episode.goals]))
    print(", ".join(goal.name for goal in episode.goals))


def record_expert(args: argparse.Namespace) -> None:
    _check_suffix(args.out, ".gif", ".mp4")
    _check_cameras([args.camera])
    task = _task(args)
    with _scene(args, task.objects) as scene:
        target = task.start(scene, args.seed)
        episode = Episode(task=task, scene=scene, goals=[], target=target)
        frames = [scene.render(args.camera)]
        frames += _demonstration(episode, args.camera)
        outcome = episode.outcome()
    write = _write_gif if args.out.suffix == ".gif" else _write_mp4
    write(args.out, frames)
    verdict = "done" if outcome.success else "failed"
    print(f"{task.title}: {verdict}, {outcome.reason}; {len(frames)} frames in {args.out}")


def print_truth(args: argparse.Namespace) -> None:
    task = _task(args)
    with _scene(args, task.objects) as scene:
        target = task.start(scene, args.seed)
        state = scene.state()
        print(f"tool         position {_metres(state.position)}, width {state.width:.3f} m")
        for name, thing in scene.truth().items():
            touching = ", ".join(sorted(thing.touches)) or "nothing"
            print(f"{name:12} position {_metres(thing.position)}, touches {touching}")
        if target is not None:
            print(f"{'goal':12} position {_metres(target)}")


# --- helpers -------------------------------------------------------------------------------


def _task(args: argparse.Namespace) -> Task:
    return _as_user_error(make_task, args.task, args.object, args.place)


def _scene(args: argparse.Namespace, objects: tuple[str, ...]) -> Scene:
    config = _as_user_error(
        SceneConfig,
        objects=objects,
        distractors=args.distractors,
        palette=args.palette,
        width=args.size,
        height=args.size,
    )
    return _as_user_error(Scene, config)


def _as_user_error(function, *args, **kwargs):  # type: ignore[no-untyped-def]
    """The library says ValueError where an argument is wrong: here the user gave it."""
    try:
        return function(*args, **kwargs)
    except ValueError as error:
        raise SimError(str(error)) from error


def _demonstration(episode: Episode, camera: str) -> Iterator[np.ndarray]:
    for waypoint in episode.task.path(episode.scene, episode.target):
        for _ in follow(episode.scene, waypoint):
            yield episode.scene.render(camera)


def _antialiased(scene: Scene, camera: str, size: int) -> np.ndarray:
    """A picture for people: drawn at three times the size, then averaged."""
    scene.config = replace(scene.config, width=3 * size, height=3 * size)
    return cv2.resize(scene.render(camera), (size, size), interpolation=cv2.INTER_AREA)


def _check_cameras(names: list[str]) -> None:
    for name in names:
        if name not in CAMERAS:
            raise SimError(f"--camera: no {name!r}, expected one of {', '.join(CAMERAS)}")


def _check_suffix(path: Path, *suffixes: str) -> None:
    if path.suffix not in suffixes:
        raise SimError(f"--out {path}: expected a file ending in {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise SimError(f"--out {path}: there is no folder {path.parent}; make it first")


def _write_picture(path: Path, rgb: np.ndarray) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    print(f"{rgb.shape[1]} × {rgb.shape[0]} pixels in {path}")


def _write_gif(path: Path, frames: list[np.ndarray]) -> None:
    animation = cv2.Animation()
    animation.frames = [cv2.cvtColor(frame, cv2.COLOR_RGB2BGR) for frame in frames]
    animation.durations = [int(1000 * PERIOD)] * len(frames)
    if not cv2.imwriteanimation(str(path), animation):
        raise SimError(f"--out {path}: OpenCV {cv2.__version__} cannot write it; try an .mp4")


def _write_mp4(path: Path, frames: list[np.ndarray]) -> None:
    height, width = frames[0].shape[:2]
    codec = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), codec, 1 / PERIOD, (width, height))
    if not writer.isOpened():
        raise SimError(f"--out {path}: OpenCV cannot write it; try a .gif")
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()


def _metres(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ") m"


if __name__ == "__main__":
    sys.exit(main())
