"""Many trials of one kind, by as many processes as wanted, and what they add up to."""

import functools
import statistics
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from vjepa_gate.robots import load_robot
from vjepa_gate.settings import text_of
from vjepa_ros.episodes.workers import Workers, good_ones, run_all
from vjepa_ros.evaluation.arm import in_lab
from vjepa_ros.evaluation.conditions import CONDITIONS, with_camera_turned
from vjepa_ros.evaluation.disturbances import disturbing
from vjepa_ros.evaluation.floors import Floor
from vjepa_ros.evaluation.statistics import median_and_p95, wilson_interval
from vjepa_ros.evaluation.trials import Trial, look_with, run_expert, run_trial
from vjepa_ros.evaluation.video import Film
from vjepa_ros.planning.axes import AxesTurned, load_axes
from vjepa_ros.planning.config import PlannerConfig
from vjepa_ros.planning.cost_model import CostModel
from vjepa_ros.planning.loading import Loaded, load_world_model
from vjepa_ros.planning.planner import Planner
from vjepa_ros.planning.subgoals.loading import source_of
from vjepa_ros.planning.subgoals.source import SubGoalSource
from vjepa_ros.planning.subgoals.way_planner import WayPlanner
from vjepa_ros.policy.opening import proposer_of
from vjepa_ros.policy.settings import PolicySettings
from vjepa_sim.scene import Scene
from vjepa_sim.tasks import Task, make_task

REACH_TOLERANCE = 0.02  # metres, the strict one of the literature's two


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What determines every trial: with the same numbers it ends the same, bit for bit."""

    task: str
    object: str = "cube"
    place: str = "spot"  # of pick_place
    goals: str = "dense"  # schedule of sub-goal pictures
    condition: str = "plain"
    disturbance: str = "none"  # of disturbances.disturbing
    driver: str = "planner"  # or servo, or one of the floors: stay, random, expert
    subgoals: str = "auto"  # from one picture: as loading.source_of has it
    turn: float = 0.0  # degrees that the camera is led around the table
    axes: Path | None = None  # what `vjepa-ros calibrate` found
    real_time: bool = False  # the arm does not wait for the planner
    episodes: int = 20
    seed: int = 7000  # of the first episode; the others follow
    weights: Path
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    planner_name: str | None = None  # of the one that `planner` started from
    policy: PolicySettings = field(default_factory=PolicySettings)

    def make_task(self) -> Task:
        """Make the task with its object."""
        place = self.place if self.task == "pick_place" else None
        return replace(make_task(self.task, self.object, place), object=self.object)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What the trials of an evaluation came to."""

    evaluation: Evaluation
    weights_identity: str
    trials: list[Trial]  # by seed
    excluded: int = 0  # starts that were the goal already

    @property
    def successes(self) -> int:
        """Count the trials that the truth calls done."""
        return sum(trial.success for trial in self.trials)

    @property
    def seconds_per_plan(self) -> dict[str, float]:
        """Median and 95th percentile over all plans."""
        return median_and_p95([one for trial in self.trials for one in trial.seconds] or [0.0])

    @property
    def cpu_seconds_per_plan(self) -> dict[str, float]:
        """The same of the thread's own time, whatever else the cores did."""
        return median_and_p95([one for trial in self.trials for one in trial.cpu_seconds] or [0.0])

    @property
    def steps_of_successes(self) -> list[int]:
        """How long it took where it was done."""
        return [trial.steps for trial in self.trials if trial.success] or [0]

    @property
    def idle(self) -> float | None:
        """Median share of a trial in which the arm made no action; in real time alone."""
        shares = [trial.idle for trial in self.trials if trial.idle is not None]
        return statistics.median(shares) if shares else None

    def as_json(self) -> dict[str, Any]:
        """Give everything that a file keeps."""
        about, trials = self.evaluation, self.trials
        return {
            "task": about.task,
            "object": about.object,
            "place": about.place,
            "goals": about.goals,
            "condition": about.condition,
            "disturbance": about.disturbance,
            "driver": about.driver,
            "subgoals": about.subgoals,
            "turn": about.turn,
            "axes": None if about.axes is None else str(about.axes),
            "seed": about.seed,
            "episodes": len(trials),
            "excluded": self.excluded,
            "successes": self.successes,
            "rate": self.successes / len(trials),
            "interval": list(wilson_interval(self.successes, len(trials))),
            "seconds_per_plan": self.seconds_per_plan,
            "cpu_seconds_per_plan": self.cpu_seconds_per_plan,
            "real_time": about.real_time,
            "idle": self.idle,
            "ahead": sum(trial.ahead for trial in trials),
            "steps": median_and_p95([trial.steps for trial in trials]),
            "steps_of_successes": median_and_p95(self.steps_of_successes),
            "distance": median_and_p95([trial.distance for trial in trials]),
            "reasons": {str(one.seed): failure(one) for one in trials if not one.success},
            "weights": self.weights_identity,
            "planner": {"name": about.planner_name, **asdict(about.planner)},
            "policy": {name: text_of(value) for name, value in vars(about.policy).items()},
            "trials": [asdict(trial) for trial in trials],
        }


def failure(trial: Trial) -> str:
    """Say why a trial failed, and how the planner saw it."""
    return f"{trial.reason}; the planner ended with {trial.ended}"


def evaluate(
    evaluation: Evaluation, *, workers: Workers = None, videos: Path | None = None
) -> Report:
    """Run all trials; `videos` is a folder for one film each."""
    loaded = load_world_model(evaluation.weights)
    _planner(evaluation, loaded)  # what is wrong is said now
    seeds = range(evaluation.seed, evaluation.seed + evaluation.episodes)
    jobs = [(evaluation, seed, videos) for seed in seeds]
    results = run_all(_run_one, jobs, workers=workers, title=evaluation.task)
    done = [trial for _, trial in good_ones(results, [], skip_bad=False)]
    trials = sorted((one for one in done if not one.done_before), key=lambda trial: trial.seed)
    if not trials:
        raise ValueError(f"all {len(done)} starts are the goal already: choose other seeds")
    return Report(
        evaluation=evaluation,
        weights_identity=loaded.identity,
        trials=trials,
        excluded=len(done) - len(trials),
    )


def _run_one(job: tuple[Evaluation, int, Path | None]) -> Trial:
    evaluation, seed, videos = job
    torch.set_num_threads(1)  # the bits of a sum may depend on how many threads share it
    loaded = load_world_model(evaluation.weights)
    condition = with_camera_turned(CONDITIONS[evaluation.condition], evaluation.turn)
    episode = condition.begin(_scene(), evaluation.make_task(), seed, evaluation.goals)
    robot = in_lab(_scene(), load_robot("sim"))
    tolerance = REACH_TOLERANCE if evaluation.task == "reach" else None
    if evaluation.driver == "expert":
        return run_expert(episode, robot=robot, tolerance=tolerance)
    film = Film([goal.observation.rgb for goal in episode.goals])
    proposer = proposer_of(evaluation.policy, loaded.config.step_period)
    trial = run_trial(
        episode,
        planner=_planner(evaluation, loaded),
        look=look_with(loaded.world_model.encode),
        robot=robot,
        period=loaded.config.step_period,
        tolerance=tolerance,
        disturb=disturbing(evaluation.disturbance, episode.scene),
        proposer=proposer,
        watch=film.add if videos else None,
        real_time=evaluation.real_time,
    )
    if proposer is not None:
        proposer.close()
    if videos:
        film.write(videos / f"{evaluation.task}_{seed}.mp4", trial)
    return trial


def _planner(evaluation: Evaluation, loaded: Loaded) -> Planner:
    """What drives the arm."""
    model, driver = _as_seen(loaded, evaluation.axes), evaluation.driver
    if driver in ("stay", "random"):
        return Floor(evaluation.planner, model, moves=driver == "random")
    source = _source(evaluation.subgoals, evaluation.weights)
    if source is not None:
        return WayPlanner(
            evaluation.planner, model, source=source, imagination=loaded.world_model,
            servo=driver == "servo",
        )  # fmt: skip
    if driver == "servo":
        raise ValueError(
            "driver servo needs sub-goals: give --goals single and --subgoals, as auto for the "
            "proposer beside the weights"
        )
    return Planner(evaluation.planner, model)


def _as_seen(loaded: Loaded, file: Path | None) -> CostModel:
    """The world model, through the axes of a file where one is given."""
    if file is None:
        return loaded.world_model
    axes = load_axes(file)
    axes.check_weights(loaded.identity)
    return AxesTurned(loaded.world_model, axes)


@functools.cache
def _source(subgoals: str, weights: Path) -> SubGoalSource | None:
    """One a process."""
    return source_of(subgoals, weights, lambda: load_world_model(weights).identity)


@functools.cache
def _scene() -> Scene:
    """One a process: building a scene takes longer than resetting it."""
    return Scene()
