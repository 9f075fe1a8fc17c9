"""What each node can be told, beside the planner's own settings; needs neither torch nor ROS."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vjepa_gate.settings import setting
from vjepa_ros.model.shipped import SHIPPED_WEIGHTS
from vjepa_ros.planning.config import PLANNERS
from vjepa_ros.policy.settings import PolicySettings

PREDICTOR = "predictor"


def predictor_names(count: int) -> list[str]:
    """Of so many predictor nodes that share out candidates."""
    return [PREDICTOR, *(f"{PREDICTOR}_{number}" for number in range(2, count + 1))]


def score_service(predictor: str) -> str:
    """The service of the predictor of that name."""
    return "score_actions" if predictor == PREDICTOR else f"{predictor}/score_actions"


WEIGHTS = "file of weights, or the name of shipped ones: objects, which knows ways, or tiny"
SUBGOALS = (
    "of the way to one goal picture: auto is the proposer that lies beside the weights, if one "
    "does; memory the recorded episodes there; none plans to the picture as it is"
)


@dataclass(frozen=True, kw_only=True)
class RobotSettings:
    """Of every node that knows the robot."""

    robot: str = setting("sim", "robot YAML: a file, or a name in gate/config/")


@dataclass(frozen=True, kw_only=True)
class ModelSettings(RobotSettings):
    """Of every node that knows the model."""

    weights: Path = setting(SHIPPED_WEIGHTS, WEIGHTS)
    device: str = setting(
        "auto",
        "of the models: cpu, cuda, or auto for a GPU where there is one; several, as "
        "cuda:0,cuda:1, share out each plan's candidates",
    )


@dataclass(frozen=True, kw_only=True)
class EncoderSettings(ModelSettings):
    """Of the encoder's node."""

    picture: bool = setting(False, "publish ~/picture: the image and its latents' PCA")
    max_image_age: float = setting(
        2.0, "of the newest image, before a warning", low=0.05, high=3600.0, unit="s"
    )


@dataclass(frozen=True, kw_only=True)
class PredictorSettings(ModelSettings):
    """Of the predictor's node."""

    objective: Literal["l1", "l2", "cosine"] = setting(
        "l1", "distance between latents, of surprise and of requests that name none"
    )
    surprise_deviations: float = setting(
        3.0, "from the usual, beyond which a step surprises", low=1, high=10
    )


@dataclass(frozen=True, kw_only=True)
class RecorderSettings(RobotSettings):
    """Of the recorder's node."""

    folder: Path | None = setting(None, "of the bag, not there yet; none: runs/<time>/bag")
    task: str = setting("", "what is done, written into the bag")


@dataclass(frozen=True, kw_only=True)
class ViewerSettings(RobotSettings):
    """Of the viewer's node."""

    rerun_to: str | None = setting(
        None, "an .rrd file, or the rerun+http:// address of a viewer; none: one is started here"
    )


@dataclass(frozen=True, kw_only=True)
class PlannerNodeSettings(ModelSettings, PolicySettings):
    """Of the planner's node; the numbers of the planner itself are in PlannerConfig.

    It looks into the weights only to see which planner belongs to them.
    """

    planner: str | None = setting(
        None,
        "settings to start from; none: those that belong to the weights",
        choices=PLANNERS,
    )
    predictors: int = setting(
        1,
        "nodes that share out each plan's candidates: predictor, predictor_2, …; not composed",
        low=1,
        high=64,
    )
    subgoals: str = setting(
        "auto",
        f"{SUBGOALS}; or pictures of your own, a folder in the order of names or a YAML list",
    )
    approve: bool = setting(
        False, "show the way to one picture, and wait for a call of ~/approve before the arm moves"
    )
    axes: Path | None = setting(None, "file of `vjepa-ros calibrate`, for where the camera stands")
    seed: int = setting(0, "of the first search; each following one has the next number", low=0)
    step_period: float = setting(0.25, "that an action takes", low=0.02, high=10.0, unit="s")
    settle: float = setting(
        0.1, "of standing still after an action before the next look", low=0.0, high=10.0, unit="s"
    )
    max_settle: float = setting(
        1.5, "to wait for that; then the arm is looked at as it is", low=0.0, high=60.0, unit="s"
    )
    max_image_age: float = setting(
        2.0, "beyond which a plan from its image is thrown away", low=0.05, high=3600.0, unit="s"
    )
    max_wait: float = setting(
        30.0, "to wait for images and nodes before a task fails", low=0.5, high=600.0, unit="s"
    )
    answer_timeout: float = setting(
        10.0, "for one answer of another node", low=0.5, high=3600.0, unit="s"
    )
    max_seconds: float = setting(600.0, "for one task", low=0.1, high=86_400.0, unit="s")
    hint_steps: int = setting(
        6, "without progress, to hint at sub-goals", low=1, high=10_000, unit="steps"
    )
