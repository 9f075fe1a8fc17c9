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

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pybullet
from pybullet_utils.bullet_client import BulletClient

from vjepa_sim import appearance, kinematics, meshes
from vjepa_sim.cameras import (
    CAMERAS,
    VIEWPOINTS,
    WRIST,
    WRIST_FIELD_OF_VIEW,
    Camera,
    Displacement,
    displaced,
    jittered,
    look_at,
    wrist_pose,
)
from vjepa_sim.geometry import pointing_down, quaternion_to_matrix
from vjepa_sim.objects import DISTRACTORS, KINDS, Body, draw_dimensions, spawn, visual_shape
from vjepa_sim.robot import ControlConfig, Robot, RobotState

ASPECTS = ("positions", "sizes", "colours", "textures", "light", "camera", "start")

PHYSICS_RATE = 240  # Hz
CONTROL_RATE = 60  # Hz at which the set-point moves and the joints are solved for
_SUBSTEPS = PHYSICS_RATE // CONTROL_RATE

_REACHABLE = ((0.38, 0.60), (-0.20, 0.20))  # x and y where objects are put, metres
_AROUND = ((0.28, 0.72), (-0.34, 0.34))  # where distractors are put
_CLEARANCE = 0.05  # metres between objects, room for a finger
_START = ((0.40, 0.52), (-0.12, 0.12), (0.24, 0.36))  # where the tool starts
_TEXTURES = Path(__file__).parent / "assets" / "textures"


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """What is on the table and what a seed may change."""

    objects: tuple[str, ...] = ("cube",)
    distractors: int = 0
    distractor_seed: int | None = None  # other distractors without changing the rest
    randomise: frozenset[str] = frozenset(ASPECTS)
    yaw: float = 12.0  # degrees either way that objects are turned
    palette: str = "train"
    width: int = 128  # pixels
    height: int = 128
    displacement: Displacement = Displacement()  # of the fixed cameras
    shadows: bool = False
    control: ControlConfig = field(default_factory=ControlConfig)

    def __post_init__(self) -> None:
        _check_names("objects", self.objects, KINDS)
        _check_names("randomise", self.randomise, ASPECTS)
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
    touches: frozenset[str]  # names of objects, "table", "fingers", "robot", "floor"


class Scene:
    """One PyBullet world without a window; `reset` builds it anew from a seed."""

    def __init__(self, config: SceneConfig | None = None) -> None:
        self.config = config or SceneConfig()  # replaced by tasks; takes effect at the reset
        self._bullet = BulletClient(pybullet.DIRECT)
        self.robot: Robot
        self.reset(seed=0)

    # --- life ------------------------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Build the scene that config and seed describe; time starts at 0."""
        config = self.config
        self._bullet.resetSimulation()
        self._bullet.setGravity(0, 0, -9.81)
        self._bullet.setTimeStep(1 / PHYSICS_RATE)
        self._bullet.setPhysicsEngineParameter(deterministicOverlappingPairs=1)
        self._substeps, self._asked = 0, 0.0
        self._names: dict[int, str] = {}
        self._things: dict[str, tuple[int, str, Body]] = {}

        def stream(aspect: str) -> np.random.Generator | None:
            """Every aspect has its own stream: switching one leaves the others as they are."""
            if aspect not in config.randomise:
                return None
            return np.random.default_rng((seed, ASPECTS.index(aspect)))

        palette = appearance.PALETTES[config.palette]
        self.light = appearance.draw_light(stream("light"))
        self._build_room(appearance.draw_room(palette, stream("textures")))
        self._aim_cameras(stream("camera"))
        self.robot = Robot(self._bullet, config.control, _start_joints(stream("start")))
        self._names[self.robot.body] = "robot"
        self._put_objects(palette, stream("sizes"), stream("colours"), stream("positions"))
        self._put_distractors(palette, seed)
        self.step(0.25)  # things settle, and the clock starts after that
        self._substeps, self._asked = 0, 0.0

    def close(self) -> None:
        if self._bullet.isConnected():
            self._bullet.disconnect()

    def __enter__(self) -> "Scene":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- commands --------------------------------------------------------------------------

    def set_target(self, position: np.ndarray, quaternion_xyzw: np.ndarray) -> None:
        """Where the TCP shall go; it travels there with limited speed and force."""
        self.robot.set_target(position, quaternion_xyzw)

    def set_gripper(self, width: float, force: float = 40.0) -> None:
        """The width in metres that the fingers shall have, and the newtons they press with."""
        self.robot.set_gripper(width, force)

    def step(self, seconds: float) -> None:
        """Let time pass. Physics runs in steps of 1/240 s; what is left over is kept."""
        self._asked += seconds
        until = round(self._asked * PHYSICS_RATE)
        while self._substeps < until:
            if self._substeps % _SUBSTEPS == 0:
                self.robot.control(1 / CONTROL_RATE)
            self._bullet.stepSimulation()
            self._substeps += 1

    # --- what is seen ----------------------------------------------------------------------

    @property
    def time(self) -> float:
        """Seconds since the reset."""
        return self._substeps / PHYSICS_RATE

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

    def render(self, camera: str | Camera = "exterior") -> np.ndarray:
        """A picture, uint8 RGB [H, W, 3]."""
        if isinstance(camera, str):
            camera = self.camera(camera)
        _, _, rgba, _, _ = self._bullet.getCameraImage(
            camera.width,
            camera.height,
            camera.view_matrix(),
            camera.projection_matrix(),
            lightDirection=self.light.direction,
            lightColor=self.light.colour,
            lightAmbientCoeff=self.light.ambient,
            lightDiffuseCoeff=self.light.diffuse,
            lightSpecularCoeff=self.light.specular,
            shadow=int(self.config.shadows),
            renderer=pybullet.ER_TINY_RENDERER,
            flags=pybullet.ER_NO_SEGMENTATION_MASK,
        )
        pixels = np.asarray(rgba, np.uint8).reshape(camera.height, camera.width, 4)
        return np.ascontiguousarray(pixels[..., :3])

    def truth(self) -> dict[str, ObjectTruth]:
        """Where the objects really are and what they touch, by name. For scoring only."""
        return {name: self._truth_of(name) for name in self._things}

    def _truth_of(self, name: str) -> ObjectTruth:
        unique, kind, body = self._things[name]
        position, quaternion = self._bullet.getBasePositionAndOrientation(unique)
        velocity, _ = self._bullet.getBaseVelocity(unique)
        return ObjectTruth(
            kind=kind,
            position=np.array(position),
            quaternion_xyzw=np.array(quaternion),
            velocity=np.array(velocity),
            body=body,
            touches=self._touches(unique),
        )

    def _touches(self, unique: int) -> frozenset[str]:
        touched = set()
        for contact in self._bullet.getContactPoints(bodyA=unique):
            other, link, normal_force = contact[2], contact[4], contact[9]
            if normal_force <= 0:
                continue
            fingers = other == self.robot.body and link in self.robot.fingers
            touched.add("fingers" if fingers else self._names[other])
        return frozenset(touched)

    # --- building --------------------------------------------------------------------------

    def _build_room(self, room: appearance.Room) -> None:
        half = (0.65, 0.80, 0.02)
        slab = self._bullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half)
        centre = np.array((0.35, 0.0, -half[2]))
        top = meshes.sheet(
            np.array((-0.30, -0.80, 0.0)), np.array((1.30, 0, 0)), np.array((0, 1.60, 0)), 8
        )
        edge = meshes.box((1.30, 1.60, 0.04), tuple(centre))
        shadow_gap = -0.001
        edge.vertices[:, 2] += shadow_gap
        table = self._static(slab, centre, None, room.table)
        self._names[table] = "table"
        self._static(-1, np.zeros(3), meshes.joined([top]), room.table)
        dim = appearance.Surface("", tuple(0.7 * value for value in room.table.tint))
        self._static(-1, np.zeros(3), edge, dim)

        ground = self._bullet.createCollisionShape(pybullet.GEOM_PLANE)
        floor = meshes.sheet(
            np.array((-1.6, -2.5, 0.0)), np.array((4.0, 0, 0)), np.array((0, 5.0, 0)), 10, 4
        )
        self._names[self._static(ground, np.array((0, 0, -0.75)), floor, room.floor)] = "floor"
        wall = meshes.sheet(
            np.array((-1.0, -2.5, -0.75)), np.array((0, 5.0, 0)), np.array((0, 0, 2.6)), 6, 3
        )
        self._static(-1, np.zeros(3), wall, room.wall)

    def _static(
        self,
        collision: int,
        position: np.ndarray,
        mesh: meshes.Mesh | None,
        surface: appearance.Surface,
    ) -> int:
        visual = -1
        if mesh is not None:
            visual = visual_shape(self._bullet, mesh, surface.tint, specular=0.0)
        body = self._bullet.createMultiBody(
            baseMass=0,
            baseCollisionShapeIndex=collision,
            baseVisualShapeIndex=visual,
            basePosition=position.tolist(),
        )
        self._names[body] = "room"
        texture = _TEXTURES / f"{surface.texture}.png"
        if mesh is not None and texture.exists():
            self._bullet.changeVisualShape(
                body, -1, textureUniqueId=self._bullet.loadTexture(str(texture))
            )
        return body

    def _aim_cameras(self, rng: np.random.Generator | None) -> None:
        self._cameras = {}
        for name, viewpoint in VIEWPOINTS.items():
            if rng is not None:
                viewpoint = jittered(viewpoint, rng)
            pose = look_at(np.array(viewpoint.eye), np.array(viewpoint.target))
            pose = displaced(viewpoint, pose, self.config.displacement)
            self._cameras[name] = (viewpoint.field_of_view, pose)

    def _put_objects(
        self,
        palette: appearance.Palette,
        sizes: np.random.Generator | None,
        colours: np.random.Generator | None,
        positions: np.random.Generator | None,
    ) -> None:
        kinds = self.config.objects
        bodies = [KINDS[kind].build(draw_dimensions(kind, sizes)) for kind in kinds]
        paints = appearance.draw_colours(palette, len(kinds), colours)
        for index, (kind, body, paint) in enumerate(zip(kinds, bodies, paints, strict=True)):
            if positions is None:
                spot, yaw = (0.50, 0.0 if len(kinds) == 1 else 0.12 * (2 * index - 1)), 0.0
            else:
                spot = self._free_spot(body.radius, _REACHABLE, positions)
                yaw = np.radians(positions.uniform(-self.config.yaw, self.config.yaw))
            self._put(kind, kind, body, spot, yaw, paint)

    def _put_distractors(self, palette: appearance.Palette, seed: int) -> None:
        config = self.config
        chosen = seed if config.distractor_seed is None else config.distractor_seed
        rng = np.random.default_rng((chosen, len(ASPECTS)))
        paints = appearance.draw_colours(palette, config.distractors, rng)
        for index, paint in enumerate(paints):
            kind = DISTRACTORS[rng.integers(len(DISTRACTORS))]
            body = KINDS[kind].build(draw_dimensions(kind, rng))
            spot = self._free_spot(body.radius, _AROUND, rng)
            yaw = rng.uniform(-np.pi, np.pi)
            self._put(f"distractor_{index}", kind, body, spot, yaw, paint)

    def _put(
        self,
        name: str,
        kind: str,
        body: Body,
        spot: tuple[float, float],
        yaw: float,
        paint: appearance.Rgb,
    ) -> None:
        unique = spawn(self._bullet, body, spot, float(yaw), paint)
        self._names[unique] = name
        self._things[name] = (unique, kind, body)

    def _free_spot(
        self,
        radius: float,
        area: tuple[tuple[float, float], tuple[float, float]],
        rng: np.random.Generator,
    ) -> tuple[float, float]:
        low, high = np.array(area).T
        taken = [
            (self._bullet.getBasePositionAndOrientation(unique)[0][:2], body.radius)
            for unique, _, body in self._things.values()
        ]
        for _ in range(1000):
            spot = rng.uniform(low, high)
            if all(
                np.linalg.norm(spot - other) > radius + wide + _CLEARANCE for other, wide in taken
            ):
                return float(spot[0]), float(spot[1])
        raise ValueError(
            f"no room for {len(taken) + 1} objects on the table: ask for fewer objects or "
            "distractors"
        )


def _start_joints(rng: np.random.Generator | None) -> np.ndarray:
    low, high = np.array(_START).T
    position = rng.uniform(low, high) if rng is not None else (low + high) / 2
    return kinematics.solve(position, quaternion_to_matrix(pointing_down()))


def _check_names(what: str, names: object, known: object) -> None:
    for name in names:  # type: ignore[attr-defined]
        if name not in known:  # type: ignore[operator]
            raise ValueError(f"{what}: no {name!r}, expected some of {', '.join(sorted(known))}")  # type: ignore[call-overload]
