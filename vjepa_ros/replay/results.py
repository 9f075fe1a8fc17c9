"""What a replay finds: the one type that JSON, report, gate and diff are made from.

Steps are numbered as they were scored: step k of an episode is the recorded frame frames[k].
A list "by step" has a value for each k; None stands where nothing could be measured.
`figures` are the numbers that gate and diff look up by name; docs/REPLAY.md lists them.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from vjepa_gate.errors import UserError

FORMAT = 1
Values = list[float | None]
Figures = dict[str, float]  # only those that could be measured


@dataclass(frozen=True, kw_only=True)
class ReplaySettings:
    """What determines every figure, with the recordings: the same ones give the same bits."""

    weights: str  # identity
    arithmetic: str  # of the model, such as "bfloat16 on cpu": others round differently
    seed: int
    clock: str  # stamped or nominal: which frames were scored
    step_period: float  # seconds of one step
    nominal_rate: float | None  # frames a second of the nominal clock; None: each frame a step
    horizon: int  # steps ahead that are predicted
    samples_ranked: int  # actions that a recorded one is ranked among
    plan_every: int | None  # steps; None: nothing was planned or ranked
    planner: dict[str, Any]  # name and PlannerConfig
    axes: list[list[float]] | None = None  # matrix by which planning was corrected


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Mean |difference| of latents `[H][T - h]`: row h - 1 holds the errors of frame k + h as it
    was predicted from frame k, by step k.
    """

    model: list[list[float]]
    copy_last: list[list[float]]
    zero_action: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What was planned from frame k to reach frame k + planner horizon, for each of `steps`.

    Actions have 7 numbers, as in conventions. `rank` is the share of sampled actions to which
    the model gives less energy than to the recorded one, towards frame k + 1: 0 is best.
    """

    steps: list[int]
    planned: list[list[float]]  # the first action of the plan
    recorded: list[list[float]]
    error_cm: list[float]  # distance between the ends of the two first translations
    angle_deg: Values  # between them; None where either is too short to have a direction
    gripper_agrees: list[bool]  # both close, both open or both rest
    gripper_moves: list[bool]  # the recorded fingers move
    action_error: list[float]  # metres, over the whole plan, as jepa-wms has it
    energy: list[float]  # of the recorded action towards frame k + 1
    rank: list[float]


@dataclass(frozen=True, kw_only=True)
class Surprises:
    """What the live stack would have said. The values are those of prediction.model[0]."""

    values: list[float]  # [T - 1], of the step from k to k + 1
    thresholds: Values  # None while there is too little to judge by
    outliers: list[int]  # steps k whose value is above the threshold


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """How what the arm did differs from what it was told [T - 1]. The model has no part in it:
    it tells of frames, units and rotations that were mixed up.
    """

    error_cm: list[float]
    turn_deg: list[float]


@dataclass(frozen=True, kw_only=True)
class ClockFigures:
    """One way to take the recording's time, over at most the first few hundred steps."""

    steps: int
    step_cm: float  # median way of the tool in one step
    ratio_to_copy_last: float | None  # of the model's error one step ahead


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """How the recording steps by either clock."""

    frame_period: float  # seconds between recorded frames by their stamps, on the median
    stamped: ClockFigures | None  # frames chosen by their stamps; None: too few, or a gap
    nominal: ClockFigures | None  # frames counted


@dataclass(frozen=True, kw_only=True)
class EpisodeResult:
    """All that was found in one episode."""

    name: str  # unlike any other's in the run: its path below what was asked for
    path: str
    task: str
    frames: list[int]  # [T] which of the recorded frames
    stamps: list[float]  # [T] seconds
    goal: int  # the step whose frame is the episode's goal: the last
    goal_energy: list[float]  # [T] of the frame at each step, against the goal's; nothing predicted
    prediction: Prediction
    plan: Plan | None
    surprise: Surprises
    clocks: Clocks
    figures: Figures
    tracking: Tracking | None = None  # None: the recording has no commands

    @property
    def steps(self) -> int:
        """How many frames were scored."""
        return len(self.frames)


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A recording that cannot be read."""

    name: str
    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Replay:
    """All that was found in a run."""

    settings: ReplaySettings
    episodes: list[EpisodeResult]  # in the order of their names
    broken: list[Broken] = field(default_factory=list)
    figures: Figures  # of the run: means over its episodes

    def to_json(self) -> str:
        """Give the file that `--json` writes."""
        return json.dumps({"format": FORMAT, **asdict(self)}, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError where the text is no result of a replay."""
        try:
            found = json.loads(text)
            if found.pop("format") != FORMAT:
                raise ValueError(f"a result of another format, expected {FORMAT}")
            return cls(
                settings=ReplaySettings(**found.pop("settings")),
                episodes=[_episode(one) for one in found.pop("episodes")],
                broken=[Broken(**one) for one in found.pop("broken")],
                **found,
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no result of a replay: {type(error).__name__} {error}") from error


def read_replay(path: Path) -> Replay:
    """Read what `--json` wrote; raise UserError where it is something else."""
    try:
        return Replay.from_json(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: {error}; expected what `vjepa-ros replay --json` wrote"
        ) from error


def _episode(found: dict[str, Any]) -> EpisodeResult:
    clocks, plan, tracking = (found.pop(name) for name in ("clocks", "plan", "tracking"))
    return EpisodeResult(
        prediction=Prediction(**found.pop("prediction")),
        plan=None if plan is None else Plan(**plan),
        tracking=None if tracking is None else Tracking(**tracking),
        surprise=Surprises(**found.pop("surprise")),
        clocks=Clocks(
            frame_period=clocks["frame_period"],
            stamped=_clock(clocks["stamped"]),
            nominal=_clock(clocks["nominal"]),
        ),
        **found,
    )


def _clock(found: dict[str, Any] | None) -> ClockFigures | None:
    return None if found is None else ClockFigures(**found)
