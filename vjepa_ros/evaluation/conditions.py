"""What differs from the training data, or between the goal pictures and the run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from vjepa_sim.cameras import Displacement
from vjepa_sim.layout import ASPECTS
from vjepa_sim.scene import Scene, SceneConfig
from vjepa_sim.tasks import Episode, Task

CAMERA_MOVE = 0.02  # metres
CAMERA_TURN = 3.0  # degrees
_ROOM = 0.06  # metres that are kept free around a place, beside the object itself
_STREAM = 2000  # of a seed's random numbers, apart from the scene's and the task's


@dataclass(frozen=True, kw_only=True)
class Condition:
    """The scene as the goal pictures show it, and as it is in the run."""

    summary: str
    at_goals: Callable[[int], SceneConfig]  # from a seed
    in_run: Callable[[int], SceneConfig] | None = None  # None: the same

    def begin(self, scene: Scene, task: Task, seed: int, schedule: str) -> Episode:
        """Goals of the schedule, then the start; the scene is left at it."""
        scene.config = self.at_goals(seed)
        episode = task.reset(scene, seed, schedule)
        if self.in_run is not None:
            scene.config = self.in_run(seed)
            task.start(scene, seed)
            _clear_the_place(episode)
        return episode


def with_camera_turned(condition: Condition, degrees: float) -> Condition:
    """With the camera led around the table: about the vertical through what it looks at."""

    def turned(config_of: Callable[[int], SceneConfig]) -> Callable[[int], SceneConfig]:
        def config(seed: int) -> SceneConfig:
            before = config_of(seed)
            return replace(before, displacement=replace(before.displacement, orbit=degrees))

        return config

    return replace(
        condition,
        at_goals=turned(condition.at_goals),
        in_run=condition.in_run and turned(condition.in_run),
    )


def _clear_the_place(episode: Episode) -> None:
    """Draw the distractors anew until none stands where the object shall go."""
    scene = episode.scene
    if episode.target is None or not scene.config.distractors:
        return
    thing, place = scene.placed[0], episode.target[:2]
    for other_seed in count(scene.config.distractor_seed or 0):
        others = [placed for placed in scene.placed if placed.name.startswith("distractor")]
        if all(
            np.linalg.norm(np.subtract(other.spot, place))
            > other.body.radius + thing.body.radius + _ROOM
            for other in others
        ):
            return
        scene.config = replace(scene.config, distractor_seed=other_seed + 1)
        episode.task.start(scene, scene.seed)


def _plain(seed: int) -> SceneConfig:
    return SceneConfig()


def _unseen_colours(seed: int) -> SceneConfig:
    return SceneConfig(palette="held_out")


def _standard_light(seed: int) -> SceneConfig:
    return SceneConfig(randomise=frozenset(ASPECTS) - {"light"})


def _moved_camera(seed: int) -> SceneConfig:
    rng = np.random.default_rng((seed, _STREAM))
    move, turn = (vector / np.linalg.norm(vector) for vector in rng.standard_normal((2, 3)))
    moved = Displacement(
        translation=tuple((CAMERA_MOVE * move).tolist()),
        rotation=tuple((CAMERA_TURN * turn).tolist()),
    )
    return SceneConfig(displacement=moved)


def _distractors(seed: int) -> SceneConfig:
    return SceneConfig(distractors=2)


def _other_distractors(seed: int) -> SceneConfig:
    return SceneConfig(distractors=2, distractor_seed=seed + 1_000_000)


def _away(seed: int) -> SceneConfig:
    return SceneConfig(lab="away")


CONDITIONS = {
    "plain": Condition(summary="new scenes of the kind that was trained on", at_goals=_plain),
    "colours": Condition(
        summary="objects, table and room of colours and surfaces never seen",
        at_goals=_unseen_colours,
    ),
    "light": Condition(
        summary="the light has changed since the goal pictures",
        at_goals=_standard_light,
        in_run=_plain,
    ),
    "camera": Condition(
        summary=f"the camera moved by {100 * CAMERA_MOVE:g} cm and turned by {CAMERA_TURN:g}°",
        at_goals=_moved_camera,
    ),
    "distractors": Condition(
        summary="two distractors, others than in the goal pictures",
        at_goals=_distractors,
        in_run=_other_distractors,
    ),
    "away": Condition(
        summary="a lab of its own camera, table and hand (docs/FIRST_WEEK.md)", at_goals=_away
    ),
}
