"""Episodes from the simulated Franka, by as many processes as there are cores.

Episode `index` of a seed is the same, bit for bit, whoever makes it and when: a run that
was killed goes on where it stopped, and any number of workers makes the same files.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vjepa_gate.errors import UserError
from vjepa_ros import conventions
from vjepa_ros.episodes import motions
from vjepa_ros.episodes.calibration import Calibration
from vjepa_ros.episodes.episode import Episode
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.npz import write_npz
from vjepa_ros.episodes.sensing import state_of
from vjepa_ros.episodes.workers import Workers, run_all
from vjepa_sim.cameras import Displacement
from vjepa_sim.motion import waypoint_motion
from vjepa_sim.scene import Scene, SceneConfig

TASKS = ("mix", *motions.BEGIN, "reach", "grasp", "pick_place")
# Scenes of collected episodes are numbered from here on: no evaluation ever asks for one.
FIRST_SCENE = 2**32
_CAMERA_MOVE, _CAMERA_TURN = 0.05, 5.0  # metres and degrees, at most
_SETTINGS = "collection.json"
_scene: Scene | None = None  # one per worker: building a scene takes longer than resetting it


@dataclass(frozen=True, kw_only=True)
class CollectionConfig:
    """What determines every episode of a collection."""

    task: str = "mix"
    seed: int = 0
    steps: int = 64  # frames an episode, one each 0.25 s; a demonstration may end earlier
    size: int = 128  # pixels, square
    camera: str = "exterior"
    encoding: Literal["png", "jpeg"] = "png"
    relight: float = 0.0  # chance, at each step, that the light is another one from there on
    lab: str = "home"  # of vjepa_sim.labs.LABS
    broad: bool = False  # cameras displaced in half of the episodes, and objects of any colour

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"no task {self.task!r}, expected one of {', '.join(TASKS)}")
        if self.steps < 2:
            raise ValueError(f"{self.steps} steps an episode, expected at least 2")
        if not 0 <= self.relight <= 1:
            raise ValueError(f"relight {self.relight:g}, expected a chance from 0 to 1")


def collect(
    config: CollectionConfig, episodes: int, out: Path, workers: Workers = None
) -> list[Path]:
    """Make the missing ones of `episodes` episodes in a folder; returns all of them."""
    with _only_run_in(out):
        _check_settings(config, out / _SETTINGS)
        paths = [out / f"episode_{index:06d}.npz" for index in range(episodes)]
        jobs = [(config, index, path) for index, path in enumerate(paths) if not path.exists()]
        for _ in run_all(
            _collect_one, jobs, workers=workers, title="collect", done=len(paths) - len(jobs)
        ):
            pass
    return paths


def make_episode(config: CollectionConfig, index: int, scene: Scene) -> Episode:
    """One episode of a collection, in a scene that may have been used before."""
    rng = np.random.default_rng((config.seed, index))
    kind = _draw_kind(config.task, rng)
    seed = int(rng.integers(FIRST_SCENE, 2**62))
    scene.config = SceneConfig(
        distractors=int(rng.integers(0, 3)),
        yaw=20.0,
        width=config.size,
        height=config.size,
        lab=config.lab,
    )
    if config.broad:
        displacement = _draw_displacement(np.random.default_rng((config.seed, index, 2)))
        scene.config = replace(scene.config, palette="broad", displacement=displacement)
    if kind in motions.BEGIN:
        motion = motions.BEGIN[kind](scene, seed, rng)
    else:
        motion = motions.begin_expert(scene, seed, rng, name=kind)
    recording = _Recording(scene, config.camera)
    steps = motion.steps
    if config.task == "mix":  # all episodes of one length: what is done early goes on wandering
        steps = chain(steps, waypoint_motion(scene, rng))
    lights = np.random.default_rng((config.seed, index, 1))  # motions are the same without them
    for _ in islice(steps, config.steps - 1):
        if lights.random() < config.relight:
            scene.change_light(lights)
        recording.add()
    about = {"motion": kind, **motion.about, "index": index, "scene_seed": seed}
    return recording.episode(task=about["task"], provenance={**_origin(config, scene), **about})


def _draw_displacement(rng: np.random.Generator) -> Displacement:
    """None for half of the cameras, else any up to the largest in any direction."""
    if rng.random() < 0.5:
        return Displacement()
    move, turn = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, 3)))
    return Displacement(
        translation=tuple((rng.uniform(0, _CAMERA_MOVE) * move).tolist()),
        rotation=tuple((rng.uniform(0, _CAMERA_TURN) * turn).tolist()),
    )


def _draw_kind(task: str, rng: np.random.Generator) -> str:
    if task != "mix":
        return task
    return str(rng.choice(list(motions.MIXTURE), p=list(motions.MIXTURE.values())))


def _collect_one(job: tuple[CollectionConfig, int, Path]) -> None:
    global _scene
    config, index, path = job
    _scene = _scene or Scene()
    episode = make_episode(config, index, _scene)
    write_npz(path, episode, episode.frames, config.encoding)


def _origin(config: CollectionConfig, scene: Scene) -> dict[str, Any]:
    things = [{"name": one.name, "kind": one.kind, "colour": one.colour} for one in scene.placed]
    return {"source": "vjepa_sim", "collection": asdict(config), "objects": things}


class _Recording:
    """What the camera, the robot and the simulation itself tell, step by step."""

    def __init__(self, scene: Scene, camera: str) -> None:
        self.scene, self.camera = scene, camera
        self.frames: list[NDArray[np.uint8]] = []
        self.states: list[torch.Tensor] = []
        self.stamps: list[float] = []
        self.targets: list[torch.Tensor] = []
        self.truth: dict[str, list[Any]] = {}
        self._observe()

    def add(self) -> None:
        """After a control step: what was commanded in it, and what is seen now."""
        robot = self.scene.robot
        rotation = torch.from_numpy(robot.target_rotation)
        width = torch.tensor(robot.target_width, dtype=torch.float64)
        target = (
            torch.from_numpy(robot.target_position),
            conventions.matrix_to_euler(rotation),
            conventions.closedness_from_width(width, robot.max_width)[None],
        )
        self.targets.append(torch.cat(target))
        self._observe()

    def _observe(self) -> None:
        seen = self.scene.observe(self.camera)
        self.frames.append(seen.rgb)
        self.states.append(state_of(seen, self.scene.robot.max_width))
        self.stamps.append(seen.stamp)
        for name, thing in self.scene.truth().items():
            self._note(f"{name}/position", thing.position)
            self._note(f"{name}/orientation", thing.quaternion_xyzw)
            self._note(f"{name}/held", "fingers" in thing.touches)

    def _note(self, name: str, value: Any) -> None:
        self.truth.setdefault(name, []).append(value)

    def episode(self, task: str, provenance: dict[str, Any]) -> Episode:
        states = torch.stack(self.states)
        camera = self.scene.camera(self.camera)
        return Episode(
            frames=np.stack(self.frames),
            states=states.numpy(),
            stamps=np.array(self.stamps, np.float64),
            commanded=conventions.action_between(states[:-1], torch.stack(self.targets)).numpy(),
            calibration=Calibration(
                width=camera.width,
                height=camera.height,
                intrinsics=camera.intrinsics,
                camera_to_base=camera.pose,
            ),
            task=task,
            provenance=provenance,
            truth={name: np.array(values) for name, values in self.truth.items()},
        )


# --- the folder --------------------------------------------------------------------------


@contextmanager
def _only_run_in(out: Path) -> Iterator[None]:
    """One run at a time; the lock goes with the process that holds it, however it ends."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{out}: another run is collecting here; let it end first") from error
        yield


def _check_settings(config: CollectionConfig, path: Path) -> None:
    """Episodes of two settings must not end up in one folder."""
    wanted = asdict(config)
    if not path.exists():
        scratch = path.with_suffix(".partial")
        scratch.write_text(json.dumps(wanted, indent=1))
        scratch.replace(path)
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise EpisodeError(path, "file", f"found {error}; expected JSON") from error
    different = [key for key in wanted if found.get(key) != wanted[key]]
    if different:
        raise UserError(
            f"{path}: the folder holds episodes of other settings: "
            + ", ".join(f"{key} {found.get(key)!r}, now {wanted[key]!r}" for key in different)
            + "; choose another --out, or the settings that it was begun with"
        )
