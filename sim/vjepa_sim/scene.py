"""A Franka at a table with things on it: reset, command, step, look.

    with Scene(SceneConfig(objects=("cube", "bowl"))) as scene:
        scene.reset(seed=7)
        scene.set_target((0.5, 0.1, 0.2), pointing_down())
        scene.set_gripper(width=0.0)
        scene.step(0.25)
        picture = scene.observe().rgb

The world's origin is the robot's base frame, on the table top: x away from the robot, z up;
metres, radians, seconds. Any number of scenes can live in one process. The same seed and the
same commands give the same states and images, bit for bit.
"""

import tempfile
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pybullet
from numpy.typing import ArrayLike

from vjepa_sim import appearance, kinematics
from vjepa_sim.bullet import Bullet
from vjepa_sim.cameras import (
    CAMERAS,
    WRIST,
    WRIST_FIELD_OF_VIEW,
    Camera,
    Displacement,
    displaced,
    jittered,
    look_at,
    wrist_pose,
)
from vjepa_sim.geometry import pointing_down, quaternion_to_matrix, yaw_quaternion
from vjepa_sim.labs import LABS
from vjepa_sim.layout import ASPECTS, Placed, Seed, place_distractors, place_objects, rearranged
from vjepa_sim.objects import KINDS, Body, spawn
from vjepa_sim.rendering import Renderer, ShadowCaster
from vjepa_sim.robot import ControlConfig, Robot, RobotState
from vjepa_sim.room import FLOOR_HEIGHT, TABLE, Room

PHYSICS_RATE = 240  # Hz
_SUBSTEPS = 4  # of the physics in which the set-point moves and the joints are solved for once
_START = ((0.40, 0.52), (-0.12, 0.12), (0.24, 0.36))  # x, y, z where the tool starts


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What is on the table and what a seed may change."""

    objects: tuple[str, ...] = ("cube",)  # of KINDS, each at most once
    distractors: int = 0
    distractor_seed: int | None = None  # other distractors without changing the rest
    randomise: frozenset[str] = frozenset(ASPECTS)
    yaw: float = 12.0  # degrees either way that objects are turned
    lab: str = "home"  # of LABS
    palette: str = "train"  # of appearance.PALETTES
    width: int = 128  # pixels
    height: int = 128
    displacement: Displacement = field(default_factory=Displacement)  # of the fixed cameras
    control: ControlConfig = field(default_factory=ControlConfig)
    physics_rate: int = PHYSICS_RATE  # Hz

    def __post_init__(self) -> None:
        _check_names("objects", self.objects, KINDS)
        _check_names("randomise", self.randomise, ASPECTS)
        _check_names("lab", (self.lab,), LABS)
        _check_names("palette", (self.palette,), appearance.PALETTES)
        if len(set(self.objects)) < len(self.objects):
            raise ValueError(f"objects {list(self.objects)}: expected each kind at most once")
        if min(self.width, self.height) < 8:
            raise ValueError(f"image of {self.width} × {self.height}, expected at least 8 × 8")


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a robot and its camera report at one moment."""

    rgb: np.ndarray  # uint8 [H, W, 3]
    position: np.ndarray  # (3,) TCP in the base frame, metres
    quaternion_xyzw: np.ndarray  # (4,)
    width: float  # metres between the fingers
    stamp: float  # seconds since the reset


@dataclass(frozen=True, kw_only=True)
class ObjectTruth:
    """Where an object really is. Its origin is its centre, at half its height."""

    kind: str
    position: np.ndarray  # (3,)
    quaternion_xyzw: np.ndarray  # (4,)
    velocity: np.ndarray  # (3,) m/s
    body: Body  # its geometry
    touches: frozenset[str]  # names as in Scene.contacts


@dataclass(frozen=True, kw_only=True)
class Arrangement:
    """How everything that moves stands at one moment."""

    joints: tuple[float, ...]  # of arm and fingers
    objects: dict[str, tuple[np.ndarray, np.ndarray]]  # position (3,) and quaternion (4,), by name


class Scene:
    """One PyBullet world without a window; `reset` builds it anew from a seed."""

    robot: Robot

    def __init__(self, config: SceneConfig | None = None) -> None:
        self.config = config or SceneConfig()  # may be replaced; takes effect at the next reset
        self._bullet = Bullet()
        self._folder = tempfile.TemporaryDirectory(prefix="vjepa_sim_")
        self.reset(seed=0)

    # --- life ------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Build the scene that config and seed describe; time starts at 0."""
        config, bullet = self.config, self._bullet
        bullet.resetSimulation()
        bullet.setGravity(0, 0, -9.81)
        bullet.setTimeStep(1 / config.physics_rate)
        # Mesh files keep their names from reset to reset: they must not come from a cache.
        bullet.setPhysicsEngineParameter(deterministicOverlappingPairs=1, enableFileCaching=0)
        self._rate = config.physics_rate
        self._names: dict[int, str] = {}  # by PyBullet's number of the body
        self._objects: dict[str, tuple[int, Placed]] = {}
        self.seed = seed

        self.lab = LABS[config.lab]
        draw = Seed(seed, config.randomise - self.lab.fixed)
        palette = appearance.PALETTES[config.palette]
        self._build_table()
        self._aim_cameras(draw.stream("camera"))
        start = _start_joints(draw.stream("start"))
        self.robot = Robot(bullet, config.control, start, self.lab.max_width)
        self._names[self.robot.body] = "robot"

        placed = place_objects(config.objects, config.yaw, palette, draw)
        chosen = seed if config.distractor_seed is None else config.distractor_seed
        placed += place_distractors(config.distractors, palette, chosen, placed)
        for thing in placed:
            mesh_file = Path(self._folder.name) / f"{thing.name}.obj"
            unique = spawn(bullet, thing.body, thing.spot, thing.yaw, thing.colour, mesh_file)
            self._names[unique] = thing.name
            self._objects[thing.name] = unique, thing

        textures = draw.stream("textures")
        self.look = self.lab.room or appearance.draw_room(palette, textures)
        self.light = appearance.draw_light(draw.stream("light"))
        room = Room(self.look, self.light, textures or np.random.default_rng(0))
        self._renderer = Renderer(bullet, room, self._shadow_casters())
        self._substeps, self._asked = 0, 0.0
        self.step(0.25)  # things settle, and the clock starts after that
        self._substeps, self._asked = 0, 0.0

    def close(self) -> None:
        self._bullet.close()
        self._folder.cleanup()

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bullet(self) -> Bullet:
        """The world, for who drives the robot in it."""
        return self._bullet

    # --- commands --------------------------------------------------------------------------

    def set_target(self, position: ArrayLike, quaternion_xyzw: ArrayLike) -> None:
        """Where the TCP shall go; it travels there with limited speed and force."""
        self.robot.set_target(np.asarray(position, float), np.asarray(quaternion_xyzw, float))

    def set_gripper(self, width: float, force: float = 40.0) -> None:
        """The width in metres that the fingers shall have, and the newtons they press with."""
        self.robot.set_gripper(width, force)

    def step(self, seconds: float) -> None:
        """Let time pass, in whole steps of the physics; what is left over is kept."""
        self._asked += seconds
        until = round(self._asked * self._rate)
        while self._substeps < until:
            if self._substeps % _SUBSTEPS == 0:
                self.robot.control(_SUBSTEPS / self._rate)
            self.robot.before_step()
            self._bullet.stepSimulation()
            self._substeps += 1

    def change_light(self, rng: np.random.Generator) -> None:
        """Another light from now until the next reset, drawn as a reset draws it."""
        self.light = appearance.draw_light(rng)
        self._renderer.set_light(self.light)

    def move_object(self, name: str, spot: tuple[float, float]) -> None:
        """Put an object elsewhere on the table, upright and at rest, as a person would."""
        _check_names("object", (name,), self._objects)
        unique, placed = self._objects[name]
        _, quaternion = self._bullet.getBasePositionAndOrientation(unique)
        place = (*spot, placed.body.height / 2)
        self._bullet.resetBasePositionAndOrientation(unique, place, quaternion)
        self._bullet.resetBaseVelocity(unique, (0, 0, 0), (0, 0, 0))

    def rearrange(self, rng: np.random.Generator, seconds: float) -> None:
        """The same things elsewhere on the table and in other colours, after a time unseen: to look
        at, as good as another scene, at a tenth of the price.
        """
        self._asked += seconds
        self._substeps = round(self._asked * self._rate)
        palette = appearance.PALETTES[self.config.palette]
        for thing in rearranged(self.placed, self.config.yaw, palette, rng):
            unique, _ = self._objects[thing.name]
            self._objects[thing.name] = unique, thing
            self._bullet.resetBasePositionAndOrientation(
                unique, (*thing.spot, thing.body.height / 2), yaw_quaternion(thing.yaw).tolist()
            )
            self._bullet.resetBaseVelocity(unique, (0, 0, 0), (0, 0, 0))
            self._bullet.changeVisualShape(unique, -1, rgbaColor=(*thing.colour, 1.0))

    def arrangement(self) -> Arrangement:
        """As it is now."""
        body, bullet = self.robot.body, self._bullet
        states = bullet.getJointStates(body, range(bullet.getNumJoints(body)))
        poses = {
            name: bullet.getBasePositionAndOrientation(unique)
            for name, (unique, _) in self._objects.items()
        }
        return Arrangement(
            joints=tuple(state[0] for state in states),
            objects={
                name: (np.array(at), np.array(turned)) for name, (at, turned) in poses.items()
            },
        )

    def arrange(self, arrangement: Arrangement) -> None:
        """As it was, or could never be: to look at, until the next reset. No time passes."""
        for index, angle in enumerate(arrangement.joints):
            self._bullet.resetJointState(self.robot.body, index, angle)
        for name, (position, quaternion) in arrangement.objects.items():
            unique, _ = self._objects[name]
            self._bullet.resetBasePositionAndOrientation(unique, position, quaternion)

    @property
    def placed(self) -> list[Placed]:
        """What is on the table, and where it was put."""
        return [placed for _, placed in self._objects.values()]

    # --- what is seen ----------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds since the reset."""
        return self._substeps / self._rate

    @property
    def asked(self) -> float:
        """Seconds since the reset that were asked for: no whole number of steps perhaps."""
        return self._asked

    def state(self) -> RobotState:
        """What the robot's own sensors tell, without a picture (fast)."""
        return self.robot.state(self.time)

    def observe(self, camera: str = "exterior") -> Observation:
        """The robot's state and a picture."""
        state = self.state()
        return Observation(
            rgb=self.render(camera),
            position=state.position,
            quaternion_xyzw=state.quaternion_xyzw,
            width=state.width,
            stamp=state.stamp,
        )

    def camera(self, name: str = "exterior") -> Camera:
        """Where a camera is now and its intrinsics; the wrist camera moves with the hand."""
        _check_names("camera", (name,), CAMERAS)
        if name == WRIST:
            state = self.state()
            pose = wrist_pose(state.position, quaternion_to_matrix(state.quaternion_xyzw))
            field_of_view = WRIST_FIELD_OF_VIEW
        else:
            field_of_view, pose = self._cameras[name]
        return Camera(
            name=name,
            width=self.config.width,
            height=self.config.height,
            field_of_view=field_of_view,
            pose=pose,
        )

    def render(self, camera: str = "exterior") -> np.ndarray:
        """A picture, uint8 RGB [H, W, 3]."""
        return self._renderer.render(self.camera(camera))

    def truth(self) -> dict[str, ObjectTruth]:
        """Where the objects really are and what they touch, by name. For scoring only."""
        pairs = self.contacts()
        truth = {}
        for name, (unique, placed) in self._objects.items():
            position, quaternion = self._bullet.getBasePositionAndOrientation(unique)
            velocity, _ = self._bullet.getBaseVelocity(unique)
            truth[name] = ObjectTruth(
                kind=placed.kind,
                position=np.array(position),
                quaternion_xyzw=np.array(quaternion),
                velocity=np.array(velocity),
                body=placed.body,
                touches=frozenset(sum((pair for pair in pairs if name in pair), ())) - {name},
            )
        return truth

    def contacts(self) -> dict[tuple[str, str], float]:
        """Newtons between what touches, by pair of names in order. For scoring only.

        Names are those of the objects, "table", "floor", "fingers" and "robot" (the rest of it).
        """
        forces: dict[tuple[str, str], float] = {}
        for contact in self._bullet.getContactPoints():
            _, body_a, body_b, link_a, link_b, *_, force, _, _, _, _ = contact
            if force > 0:
                names = sorted((self._name(body_a, link_a), self._name(body_b, link_b)))
                pair = (names[0], names[1])
                forces[pair] = forces.get(pair, 0.0) + force
        return forces

    def _name(self, body: int, link: int) -> str:
        if body == self.robot.body and link in self.robot.fingers:
            return "fingers"
        return self._names[body]

    # --- building --------------------------------------------------------------------------

    def _build_table(self) -> None:
        """Only for touching: the renderer draws table and room by itself."""
        half = (TABLE[1] - TABLE[0]) / 2
        slab = self._bullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half.tolist())
        ground = self._bullet.createCollisionShape(pybullet.GEOM_PLANE)
        # PyBullet draws the collision shape of a body without a visual one: give it a speck.
        speck = self._bullet.createVisualShape(
            pybullet.GEOM_BOX, halfExtents=(1e-4,) * 3, visualFramePosition=(0, 0, -0.01)
        )
        for name, shape, centre in (
            ("table", slab, TABLE.mean(0).tolist()),
            ("floor", ground, (0, 0, FLOOR_HEIGHT)),
        ):
            body = self._bullet.createMultiBody(
                baseMass=0,
                baseCollisionShapeIndex=shape,
                baseVisualShapeIndex=speck,
                basePosition=centre,
            )
            self._names[body] = name

    def _aim_cameras(self, rng: np.random.Generator | None) -> None:
        self._cameras: dict[str, tuple[float, np.ndarray]] = {}
        for name, viewpoint in self.lab.viewpoints.items():
            mounted = jittered(viewpoint, rng) if rng is not None else viewpoint
            pose = look_at(np.array(mounted.eye), np.array(mounted.target))
            pose = displaced(mounted, pose, self.config.displacement)
            self._cameras[name] = mounted.field_of_view, pose

    def _shadow_casters(self) -> list[ShadowCaster]:
        casters = self.robot.shadow_casters()
        for unique, placed in self._objects.values():
            above_centre = placed.body.mesh.vertices - (0, 0, placed.body.height / 2)
            casters.append(ShadowCaster(unique, -1, above_centre))
        return casters


def _start_joints(rng: np.random.Generator | None) -> np.ndarray:
    low, high = np.array(_START).T
    position = rng.uniform(low, high) if rng is not None else (low + high) / 2
    return kinematics.solve(position, quaternion_to_matrix(pointing_down()))


def _check_names(what: str, names: Iterable[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{what}: no {name!r}, expected one of {', '.join(sorted(known))}")
