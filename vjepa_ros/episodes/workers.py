"""Many episodes at a time: in processes of this machine, or on the nodes of a Ray cluster.

Every fleet of work in this project is started here: collecting, converting and checking episodes,
banks of latents, trials and replays.
"""

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias, TypeVar

import cv2
import torch
from tqdm import tqdm

from vjepa_gate.errors import UserError
from vjepa_ros.episodes.files import EpisodeError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2  # tasks for each CPU of a cluster that wait there
_RETRIES = 5  # of a task whose node died


@dataclass(frozen=True)
class Ray:
    """A cluster whose nodes have this project installed, and the same files by the same names."""

    address: str  # HOST:PORT, ray://HOST:PORT, or auto for the one that this machine is part of


Workers: TypeAlias = int | Ray | None  # so many processes; a cluster; None: a process for each core


def fleet(workers: int | None, ray: str | None) -> Workers:
    """Who does the work, by a command's options."""
    if ray is None:
        return workers
    if workers is not None:
        raise UserError("--workers and --ray are both given, expected one of the two")
    return Ray(ray)


def run_all(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: Workers = None,
    title: str = "episodes",
    done: int = 0,
) -> Iterator[tuple[Item, Result | EpisodeError]]:
    """Each item and its result, as they come, with a progress bar that starts at `done`.

    An EpisodeError is a result like any other; what else `work` raises is raised here.
    One worker is this process itself; more are spawned, not forked, as torch and PyBullet do
    not survive a fork.
    """
    if isinstance(workers, Ray):
        results = _on_cluster(work, items, workers.address)
    else:
        count = max(1, min(workers or os.cpu_count() or 1, len(items)))
        results = _in_processes(work, items, count) if count > 1 else _in_turn(work, items)
    total = done + len(items)
    with tqdm(total=total, initial=done, desc=title, unit="episode") as bar:
        for pair in results:
            bar.update()
            yield pair


def _in_turn(
    work: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[tuple[Item, Result | EpisodeError]]:
    for item in items:
        yield item, _attempt(work, item)


def _in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], count: int
) -> Iterator[tuple[Item, Result | EpisodeError]]:
    pool = ProcessPoolExecutor(
        count, mp_context=multiprocessing.get_context("spawn"), initializer=_start_worker
    )
    try:
        futures = {pool.submit(_attempt, work, item): item for item in items}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed (out of memory?): what is written is whole; run the same "
            "command again to go on, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _on_cluster(
    work: Callable[[Item], Result], items: Sequence[Item], address: str
) -> Iterator[tuple[Item, Result | EpisodeError]]:
    """What a node that dies had in hand, the others do again; a few tasks are sent ahead."""
    try:
        import ray
    except ImportError as error:
        raise UserError("--ray needs Ray: pip install 'vjepa_ros[ray]'") from error
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise UserError(f"--ray {address}: {error}; expected a cluster that is up") from error
    try:
        attempt: Any = ray.remote(max_retries=_RETRIES)(_attempt_on_node)
        shared, waiting = ray.put(work), iter(items)
        running: dict[Any, Item] = {}
        while True:
            ahead = max(1, int(_AHEAD * ray.cluster_resources().get("CPU", 1)))
            more = islice(waiting, max(0, ahead - len(running)))
            running |= {attempt.remote(shared, item): item for item in more}
            if not running:
                return
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), ray.get(done)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise UserError(
            f"--ray {address}: {error}; what is written is whole: run the same command again"
        ) from error
    finally:
        ray.shutdown()


def good_ones(
    results: Iterator[tuple[Item, Result | EpisodeError]], bad: list[EpisodeError], skip_bad: bool
) -> Iterator[tuple[Item, Result]]:
    """The results of good episodes; bad ones are collected, or the first is raised."""
    for item, result in results:
        if not isinstance(result, EpisodeError):
            yield item, result
        elif skip_bad:
            bad.append(result)
        else:
            raise result


def _attempt(work: Callable[[Item], Result], item: Item) -> Result | EpisodeError:
    try:
        return work(item)
    except EpisodeError as error:
        return error


def _attempt_on_node(work: Callable[[Item], Result], item: Item) -> Result | EpisodeError:
    _use_one_thread()
    return _attempt(work, item)


def _start_worker() -> None:
    _use_one_thread()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _use_one_thread() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _end_with_parent() -> None:
    """Workers of a process that was killed would wait for ever, and write beside the next run."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
