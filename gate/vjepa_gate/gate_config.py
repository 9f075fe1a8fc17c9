"""What the arm gate can be told, beside the robot's own file."""

from dataclasses import dataclass

from vjepa_gate.settings import setting


@dataclass(frozen=True, kw_only=True)
class GateConfig:
    """What the gate takes, and for how long."""

    rate: float = setting(100.0, "of targets", low=50, high=1000, unit="Hz")
    max_image_age: float = setting(
        2.0,
        "of the image behind an action; what is planned or asked from an older one is refused",
        low=0.05,
        high=3600.0,
        unit="s",
    )
    max_command_age: float = setting(
        2.0, "since the last action, at which the arm holds", low=0.05, high=30, unit="s"
    )
    max_state_age: float = setting(
        0.25, "of measured pose, fingers and mode", low=0.02, high=5, unit="s"
    )
    max_camera_age: float = setting(
        1.0, "without a new image, after which the arm holds", low=0.05, high=30, unit="s"
    )
    deadman: bool = setting(False, "move only while `deadman` (std_msgs/Bool) says true")
    max_deadman_age: float = setting(0.3, "of a deadman message", low=0.05, high=5, unit="s")
    home_hand: bool = setting(
        False, "home a franka_hand that was not: its open fingers close once, and open"
    )
    dry_run: bool = setting(False, "publish targets on ~/shadow_target, and command nothing")


@dataclass(frozen=True, kw_only=True)
class ArmGateSettings(GateConfig):
    """What the gate's node can be told."""

    robot: str = setting("sim", "robot YAML: a file, or a name in gate/config/")
