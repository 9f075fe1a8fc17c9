"""Every number of a planner, and the planners by name. Nothing here needs torch.

A planner is a search, the ends of its goals, and hand rules. Those that were published have no
hand rules: what they plan is what they do.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from vjepa_gate.settings import setting
from vjepa_gate.units import ARM_REACH

SOLVERS = ("cem", "icem", "quadratic", "mppi", "gradient")
OBJECTIVES = ("l1", "l2", "cosine")
AXES = {"x": 0, "y": 1, "z": 2, "gripper": 6}  # of an action, which `axis` may name
RULES = (
    *("warm_start", "second_try", "fingers_first", "effort"),
    *("reach", "rest", "still_fingers", "descent", "squeeze", "probe"),
)


@dataclass(frozen=True, kw_only=True)
class PlannerConfig:
    """A planner's settings. Steps are actions; energies are distances between latents."""

    solver: Literal["cem", "icem", "quadratic", "mppi", "gradient"] = setting(
        "cem", "how actions are searched"
    )
    samples: int = setting(800, "candidates in each iteration", low=2, high=100_000)
    iterations: int = setting(10, "rounds of the search", low=1, high=1000)
    elites: int = setting(10, "best candidates that shape the next round", low=2, high=10_000)
    decay: float = setting(
        1.25, "icem, quadratic: so many times fewer candidates each round", low=1.0, high=100.0
    )
    horizon: int = setting(1, "steps to plan ahead", low=1, high=16)
    objective: Literal["l1", "l2", "cosine"] = setting("l1", "distance between latents")
    max_step: float = setting(
        0.075, "longest move along each axis in one step", low=0.001, high=ARM_REACH, unit="m"
    )
    max_turn: float = setting(
        0.0,
        "largest turn about each axis in one step; 0: turns are not searched",
        low=0.0,
        high=math.pi,
        unit="rad",
    )
    max_grip: float = setting(
        0.75, "largest change of closedness in one step", low=0.01, high=1.0, unit="closedness"
    )
    gripper_std: float = setting(
        1.0, "spread of the first changes of closedness", low=1e-6, high=10.0, unit="closedness"
    )
    gripper_dead_zone: float = setting(
        0.25, "cem: smaller changes of closedness become 0", low=0.0, high=1.0, unit="closedness"
    )
    momentum_mean: float = setting(0.15, "cem: share of the old mean", low=0.0, high=0.999)
    momentum_std: float = setting(0.15, "cem: share of the old spread", low=0.0, high=0.999)
    momentum_mean_gripper: float = setting(
        0.15, "cem: the same of the gripper's mean", low=0.0, high=0.999
    )
    momentum_std_gripper: float = setting(
        0.15, "cem: the same of the gripper's spread", low=0.0, high=0.999
    )
    mean_in_population: bool = setting(False, "cem: the mean is a candidate itself")
    axis: str = setting("", "what is given instead of searched, such as 'z=0, gripper=0'")
    close_gripper: int | None = setting(
        None,
        "step of the plan from which on the gripper closes anyhow",
        low=0,
        high=16,
    )

    goal_steps: tuple[int, ...] = setting(
        (4, 10, 4),
        "steps for each goal picture; the most of them for each where there are more or fewer "
        "pictures",
        low=1,
        high=10_000,
    )
    patience: int | None = setting(
        None, "steps without a lower energy of what is seen, to leave a goal", low=1, high=10_000
    )
    min_improvement: float = setting(
        0.01, "share by which an energy must fall to be lower", low=0.0, high=0.999
    )
    tolerance: float | None = setting(
        None,
        "a goal is reached when the frame differs from it no more than a move so long makes it "
        "differ, as the world model thinks: for models without an error floor",
        low=0.0001,
        high=0.1,
        unit="m",
    )
    share: float = setting(
        0.5, "of what the goal before differs from it, the most it may differ", low=0.0, high=1.0
    )

    rules: tuple[str, ...] = setting((), f"hand rules, in the order they act: {', '.join(RULES)}")
    missed: float = setting(
        6.0,
        "second_try: a goal left at so many energies of `tolerance`",
        low=0.0,
        high=1e6,
    )
    gripper_gain: float = setting(
        0.1, "fingers_first: share of the energy that moving them must gain", low=0.0, high=1.0
    )
    gripper_floor: float = setting(
        1.25, "fingers_first: energies of `tolerance` that it must gain, too", low=0.0, high=100.0
    )
    picture_gain: float = setting(
        0.03,
        "fingers_first: the same, from one goal's picture to the next",
        low=0.0,
        high=1.0,
    )
    effort_gain: float = setting(
        0.08, "effort: share of what a move usually changes that it must gain", low=0.0, high=1.0
    )
    min_reach: float = setting(
        0.004,
        "reach: steps without gain are halved down to this",
        low=0.0,
        high=0.1,
        unit="m",
    )
    still_above: float = setting(
        0.03, "still_fingers: in a longer step the fingers stay", low=0.0, high=ARM_REACH, unit="m"
    )
    descent_gate: float = setting(
        0.03, "descent: a step further sideways does not go down", low=0.0, high=ARM_REACH, unit="m"
    )
    descent_drift: float = setting(
        0.015,
        "descent: one down moves sideways by this",
        low=0.0,
        high=ARM_REACH,
        unit="m",
    )
    probe_by: float = setting(
        0.015, "probe: where a search gets no further", low=0.001, high=0.1, unit="m"
    )
    squeeze_by: float = setting(
        0.2, "squeeze: fingers that close go so much further", low=0.0, high=1.0, unit="closedness"
    )

    overlap: bool = setting(
        False, "plan the next step while the arm makes this one, and correct it by what is seen"
    )
    overlap_samples: int = setting(
        16, "overlap: candidates that the frame which is seen is asked about", low=4, high=100_000
    )
    overlap_slack: float = setting(
        0.25,
        "overlap: share by which a plan may promise less than it did ahead; else it is made anew",
        low=0.0,
        high=10.0,
    )

    policy_mode: Literal["propose", "rank", "veto", "blend"] = setting(
        "propose",
        "what becomes of a policy's proposals: they join the search; the best of them is done; it "
        "is done unless staying is better; it is blended with the plan. With the last two the "
        "planner alone tries what was not reached",
    )
    policy_alpha: float = setting(0.5, "blend: share of the policy's", low=0.0, high=1.0)

    def __post_init__(self) -> None:
        if self.elites > self.samples:
            raise ValueError(f"elites is {self.elites}, expected at most samples, {self.samples}")
        self.held()
        for rule in self.rules:
            if rule not in RULES:
                raise ValueError(f"rules has {rule!r}, expected some of {', '.join(RULES)}")
        for rule in ("second_try", "fingers_first", "effort"):
            if rule in self.rules and self.tolerance is None:
                raise ValueError(f"rules has {rule}, which needs tolerance: expected metres there")

    def held(self) -> dict[int, float]:
        """The dimensions of an action that `axis` gives, and their values."""
        values: dict[int, float] = {}
        for part in filter(None, (part.strip() for part in self.axis.split(","))):
            match = re.fullmatch(r"(\w+)\s*=\s*([-+]?(?:\d+\.?\d*|\.\d+))", part)
            limit = self.max_grip if match and match[1] == "gripper" else self.max_step
            if not match or match[1] not in AXES or not abs(float(match[2])) <= limit:
                raise ValueError(
                    f"axis has {part!r}, expected {', '.join(AXES)} with a number each that "
                    "max_step and max_grip allow, such as 'z=0, gripper=0'"
                )
            values[AXES[match[1]]] = float(match[2])
        return values

    def steps_of(self, pictures: int) -> tuple[int, ...]:
        """The steps that each of so many goal pictures has."""
        if len(self.goal_steps) == pictures:
            return self.goal_steps
        return (max(self.goal_steps),) * pictures

    def describe(self) -> str:
        """The search in a few words."""
        return (
            f"{self.solver} {self.samples}×{self.iterations}, horizon {self.horizon}, "
            f"{self.objective}"
        )


# V-JEPA 2 (arXiv 2506.09985): 800 samples, 10 iterations, top 10, one step, 0.075 m. The paper
# gives no momenta: these are the defaults of `mpc_args` in the released code's
# notebooks/utils/world_model_wrapper.py (mean, std) and mpc_utils.py (gripper).
_PAPER = PlannerConfig()

# Of the weights that the project ships, chosen on scenes that no figure is reported for.
_TINY = PlannerConfig(
    solver="quadratic",
    samples=16,
    iterations=4,
    elites=2,
    decay=4.0,
    goal_steps=(12,),
    patience=4,
    tolerance=0.007,
    rules=tuple(rule for rule in RULES if rule != "probe"),
)

PLANNERS: dict[str, PlannerConfig] = {
    "paper": _PAPER,
    # facebookresearch/vjepa2, notebooks/energy_landscape_example.ipynb, last cell: few samples
    # and iterations, to run on a CPU.
    "notebook": replace(_PAPER, horizon=2, samples=25, iterations=2, momentum_std=0.75),
    # facebookresearch/jepa-wms, configs/online_plan_evals/droid/droid_L2_cem_…_H3_….yaml and the
    # CEMPlanner that reads it: rotation is searched within the translation's number, all
    # dimensions start with a std of 0.1, the mean is a candidate, nothing is rounded.
    "jepa_wms": replace(
        _PAPER,
        objective="l2",
        horizon=3,
        samples=300,
        iterations=15,
        max_step=0.1,
        max_turn=0.1,
        gripper_std=0.1,
        gripper_dead_zone=0.0,
        momentum_mean=0.0,
        momentum_std=0.0,
        momentum_mean_gripper=0.0,
        momentum_std_gripper=0.0,
        mean_in_population=True,
    ),
    # V-JEPA 2.1 (arXiv 2603.14482): 300 samples, 15 iterations, horizon 8, 0.05 m. The rest is
    # INFERRED, for want of its code: elites and momenta are jepa-wms', rotation is fixed and
    # the dead zone is 0.25 as in V-JEPA 2.
    "vjepa2_1": replace(
        _PAPER,
        horizon=8,
        samples=300,
        iterations=15,
        max_step=0.05,
        momentum_mean=0.0,
        momentum_std=0.0,
        momentum_mean_gripper=0.0,
        momentum_std_gripper=0.0,
    ),
    # A small search of V-JEPA 2-AC's kind, for models that nobody has tried here.
    "plain": replace(_PAPER, samples=64, iterations=3, elites=8, goal_steps=(12,), patience=4),
    "tiny": _TINY,
    "objects": replace(_TINY, rules=RULES),
}
PUBLISHED = ("paper", "notebook", "jepa_wms", "vjepa2_1")


def choose_planner(name: str, given: Mapping[str, Any] | None = None) -> PlannerConfig:
    """Give the planner of that name, with what was given instead; raises ValueError."""
    if name not in PLANNERS:
        raise ValueError(f"planner {name!r} is unknown, expected one of {', '.join(PLANNERS)}")
    try:
        return replace(PLANNERS[name], **(given or {}))
    except ValueError as error:
        raise ValueError(f"planner {name}: {error}") from error
