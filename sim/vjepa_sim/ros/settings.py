"""What the robot node is told when it starts: see config/sim.yaml."""

from dataclasses import dataclass

from vjepa_sim.appearance import PALETTES
from vjepa_sim.cameras import VIEWPOINTS
from vjepa_sim.labs import LABS
from vjepa_sim.layout import ASPECTS
from vjepa_sim.robot import MAX_WIDTH
from vjepa_sim.ros.parameters import setting
from vjepa_sim.scene import PHYSICS_RATE, SceneConfig
from vjepa_sim.tasks import Task, make_task

MAX_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Fixed when the node starts; what goes wrong meanwhile is in vjepa_sim/faults.py."""

    robot: str = setting(
        "sim",
        "sim: kind; fr3: with the names, rates and ways of a Franka Research 3 under "
        "franka_ros2 and crisp_controllers (docs/TWIN.md)",
        choices=("sim", "fr3"),
    )
    mode: str = setting(
        "real",
        "real: as the wall clock; fast: `speed` times that; lockstep: only when sim/step asks",
        choices=("real", "fast", "lockstep"),
    )
    speed: float = setting(10.0, "times real time, in mode fast", low=0.1, high=100.0)
    stamps: str = setting(
        "auto",
        "sim: simulated time, published on /clock (others set use_sim_time); wall: the "
        "system's, as hardware; auto: wall in mode real, sim in the others",
        choices=("auto", "sim", "wall"),
    )
    state_rate: float = setting(
        100.0, "Hz of tool pose and joint states; robot sim only", low=1.0, high=240.0
    )
    camera_rate: float = setting(15.0, "Hz of pictures", low=0.1, high=120.0)
    truth_rate: float = setting(10.0, "Hz of sim/truth", low=0.1, high=240.0)
    task: str = setting("grasp cube", "one of `vjepa-sim tasks`")
    seed: int = setting(0, "of the scene, and of the faults' chances", low=0, high=MAX_SEED)
    randomise: tuple[str, ...] = setting(
        ASPECTS, "what the seed may change; [''] for nothing", choices=("", *ASPECTS)
    )
    distractors: int = setting(0, "things on the table that no task is about", low=0, high=6)
    lab: str = setting("home", "whose camera, table and hand", choices=tuple(LABS))
    palette: str = setting("train", "colours and surfaces", choices=tuple(PALETTES))
    viewpoint: str = setting("exterior", "where the camera stands", choices=tuple(VIEWPOINTS))
    image_width: int = setting(256, "pixels", low=32, high=1920)
    image_height: int = setting(256, "pixels", low=32, high=1080)
    arm_prefix: str = setting("panda", "of joint names; robot sim only")
    base_frame: str = setting("base", "of poses; robot sim refuses targets in other frames")
    camera_frame: str = setting("camera_optical_frame", "of pictures")
    convenience_publish_rate: int = setting(
        1000, "Hz of poses and wrenches beside the whole state; robot fr3 only", low=1, high=1000
    )
    controller: str = setting(
        "cartesian_impedance_controller",
        "active at the start; robot fr3 only",
        choices=("cartesian_impedance_controller", "gravity_compensation", "none"),
    )
    desk_end_effector: str = setting(
        "hand",
        "whose pose is measured, as Desk was told: the hand's tool, or none, the flange; "
        "robot fr3 only",
        choices=("hand", "none"),
    )
    hand_homed: bool = setting(False, "the hand was homed before; robot fr3 only")
    reflex_force: float = setting(
        60.0,
        "newtons from outside on any axis that are a reflex; robot fr3 only",
        low=1.0,
        high=1e3,
    )

    def __post_init__(self) -> None:
        if self.robot == "fr3" and LABS[self.lab].max_width != MAX_WIDTH:
            raise ValueError(f"lab {self.lab} has another hand than robot fr3: choose robot sim")

    @property
    def wall_stamps(self) -> bool:
        return self.stamps == "wall" or (self.stamps == "auto" and self.mode == "real")

    @property
    def tick_rate(self) -> int:
        """Hz at which time is counted."""
        return 1000 if self.robot == "fr3" else PHYSICS_RATE

    @property
    def camera_topics(self) -> str:
        """What their names begin with; robot fr3 has a RealSense."""
        return "camera/camera/color" if self.robot == "fr3" else "camera"

    @property
    def pace(self) -> float:
        """Simulated seconds in one of the wall clock's."""
        return self.speed if self.mode == "fast" else 1.0

    def first_task(self) -> Task:
        name, *about = self.task.split() or [""]
        if len(about) > 2:
            raise ValueError(f"task {self.task!r}: expected a name, an object and a place")
        return make_task(name, *about)

    def scene_config(self) -> SceneConfig:
        return SceneConfig(
            distractors=self.distractors,
            randomise=frozenset(self.randomise) - {""},
            lab=self.lab,
            palette=self.palette,
            width=self.image_width,
            height=self.image_height,
            physics_rate=self.tick_rate // 4 if self.robot == "fr3" else PHYSICS_RATE,
        )
