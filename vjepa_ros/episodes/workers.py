"""Many episodes at a time, in processes of their own."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import cv2
import torch
from tqdm import tqdm

from vjepa_gate.errors import UserError
from vjepa_ros.episodes.files import EpisodeError

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_all(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    title: str = "episodes",
    done: int = 0,
) -> Iterator[tuple[Item, Result | EpisodeError]]:
    """Each item and its result, as they come, with a progress bar that starts at `done`.

    An EpisodeError is a result like any other; what else `work` raises is raised here.
    One worker is this process itself; more are spawned, not forked, as torch and PyBullet do
    not survive a fork.
    """
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


def _start_worker() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Workers of a process that was killed would wait for ever, and write beside the next run."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
