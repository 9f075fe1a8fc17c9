"""Replay through the real graph: what the nodes make of a recording, how fast, and whether
they say what the library says without them.
"""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vjepa_gate.errors import UserError
from vjepa_gate.robots import load_robot
from vjepa_gate.signals import signals_noted
from vjepa_ros.episodes.episode import EpisodeReader
from vjepa_ros.episodes.files import EpisodeError
from vjepa_ros.episodes.library import open_episode
from vjepa_ros.evaluation.statistics import median_and_p95
from vjepa_ros.options import Options
from vjepa_ros.replay.results import Broken
from vjepa_ros.replay.runs import named_episodes
from vjepa_ros.stack import Process, processes
from vjepa_ros.supervisor import PROFILE, Supervisor, environment

if TYPE_CHECKING:  # they need ROS
    from vjepa_ros.replay.agreement import Agreement
    from vjepa_ros.replay.player import Played, Player

CHECKED = 300  # steps of a run that are compared with the library's
# The planner does not wait for an arm that does not move, no plan is thrown away, and slow nodes
# have time; the arm gate does not complain of a camera that waits for them.
PACE = {
    "step_period": 0.02,
    "settle": 0.0,
    "max_image_age": 60.0,
    "max_wait": 300.0,
    "answer_timeout": 60.0,
    "max_camera_age": 30.0,
    "max_state_age": 5.0,
}


def graph_processes(options: Options) -> list[Process]:
    """The stack as it always is, the arm gate in dry run and no robot."""
    return processes(options.but(sim=False, dry_run=True), PACE)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds since the image was taken."""

    median: float
    p95: float


@dataclass(frozen=True, kw_only=True)
class GraphEpisode:
    """What the nodes made of one recording."""

    name: str
    frames: int
    shown: int  # more than there are frames where one was shown again
    dropped: int  # shown, but never encoded
    planned: int  # frames that an action was planned from
    seconds: float
    image_to_latent: Latency | None  # None: none came
    image_to_delta: Latency | None
    rates: dict[str, float]  # messages a second, by topic
    agreement: "dict[str, Agreement]"  # by what was compared; empty: nothing was

    @property
    def agrees(self) -> bool:
        """With the library, in all that was compared."""
        return all(one.whole for one in self.agreement.values())


@dataclass(frozen=True, kw_only=True)
class GraphReplay:
    """What they made of all recordings."""

    weights: str  # identity
    planner: dict[str, Any]  # of planning.config.PlannerConfig
    seed: int
    rate: float  # 0: as fast as the nodes follow
    episodes: list[GraphEpisode] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)

    def to_json(self) -> str:
        """Give the file that `--json` writes."""
        return json.dumps({"format": "vjepa_ros graph replay 1", **asdict(self)}, indent=1) + "\n"


def replay_through_graph(
    sources: Sequence[Path],
    options: Options,
    *,
    rate: float = 1.0,
    opening: Mapping[str, Any] | None = None,
    start: bool = True,
) -> GraphReplay:
    """Play the episodes at or under some paths one after the other, at `rate` times their own
    speed, or, with 0, as fast as the nodes follow; then compare. With `start` the stack is
    brought up first, and ended afterwards; without it, somebody else has started
    `graph_processes`. `opening` is for open_episode.
    """
    os.environ[PROFILE] = environment()[PROFILE]  # before rclpy is loaded here
    stack = graph_processes(options)
    with ExitStack() as running:
        checks = [running.enter_context(_ended_by_signals())]
        if start:
            checks.append(running.enter_context(Supervisor(stack)).check)
        player = running.enter_context(_player(options, lambda: [check() for check in checks]))
        recordings, broken = _play_all(sources, player, rate, opening or {})

    from vjepa_ros.replay.agreement import Offline

    offline = Offline(options)
    return GraphReplay(
        weights=offline.identity,
        planner=asdict(offline.planner.config),
        seed=options.value("planner", "seed"),
        rate=rate,
        episodes=[
            _measured(name, played, offline.compare(reader, played) if played.latents else {})
            for name, reader, played in recordings
        ],
        broken=broken,
    )


@contextmanager
def _ended_by_signals() -> Iterator[Callable[[], None]]:
    """What it gives raises KeyboardInterrupt once a signal has come: the stack ends in order."""
    with signals_noted() as ended:

        def check() -> None:
            if ended.is_set():
                raise KeyboardInterrupt

        yield check


@contextmanager
def _player(options: Options, check: Callable[[], object]) -> "Iterator[Player]":
    try:
        from vjepa_gate.ros.spinning import spinning_node
        from vjepa_ros.replay.player import Player
    except ImportError as error:
        raise UserError(f"{error}: run `vjepa-ros doctor`") from error
    with spinning_node("vjepa_ros_replay", namespace=options.stack.namespace) as node:
        yield Player(node, load_robot(options.value("planner", "robot")), check)


def _play_all(
    sources: Sequence[Path], player: "Player", rate: float, opening: Mapping[str, Any]
) -> tuple[list[tuple[str, EpisodeReader, "Played"]], list[Broken]]:
    """What can be read is played, to a stack that is up; the rest is listed."""
    recordings: list[tuple[str, EpisodeReader, Played]] = []
    broken = []
    player.wait_for_stack()
    checked = CHECKED
    for path, name in named_episodes(sources).items():
        try:
            reader = open_episode(path, **opening)
            print(f"playing {name}: {len(reader)} frames", flush=True)
            played = player.play(reader, rate, checked)
        except EpisodeError as error:
            broken.append(Broken(name=name, path=str(path), reason=str(error)))
            continue
        checked -= len(played.latents)
        recordings.append((name, reader, played))
    return recordings, broken


def _measured(name: str, played: "Played", agreement: "dict[str, Agreement]") -> GraphEpisode:
    return GraphEpisode(
        name=name,
        frames=played.frames,
        shown=played.shown,
        dropped=played.shown - len(played.latent_seconds),
        planned=len({plan.step for plan in played.plans}),
        seconds=played.seconds,
        image_to_latent=_latency(played.latent_seconds),
        image_to_delta=_latency(played.delta_seconds),
        rates={topic: count / played.seconds for topic, count in sorted(played.messages.items())},
        agreement=agreement,
    )


def _latency(seconds: list[float]) -> Latency | None:
    if not seconds:
        return None
    return Latency(**median_and_p95(seconds))


def describe(episode: GraphEpisode) -> str:
    """Say it for a person."""
    lines = [
        f"{episode.name}: {episode.frames} frames in {episode.seconds:.1f} s, "
        f"{episode.dropped} of {episode.shown} images dropped, {episode.planned} planned from"
    ]
    for what, latency in (
        ("latent", episode.image_to_latent),
        ("delta", episode.image_to_delta),
    ):
        if latency is not None:
            lines.append(
                f"  image to {what:7} median {1000 * latency.median:6.0f} ms, "
                f"p95 {1000 * latency.p95:6.0f} ms"
            )
    rates = ", ".join(f"{topic} {rate:.1f}" for topic, rate in episode.rates.items())
    lines.append(f"  messages a second: {rates}")
    for what, one in episode.agreement.items():
        verdict = "as offline" if one.whole else "NOT AS OFFLINE"
        lines.append(
            f"  {what:20} {one.within} of {one.compared} {verdict}: "
            f"largest difference {one.largest:.2g}, tolerance {one.tolerance:g}"
        )
    return "\n".join(lines)
