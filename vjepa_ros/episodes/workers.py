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

from vjepa_ros.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_all(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    title: str = "episodes",
    done: int = 0,
) -> Iterator[tuple[Item, Result]]:
    """Each item and its result, as they come, with a progress bar that starts at `done`.

    What `work` raises is raised here, once the items under way have ended. Processes are
    spawned, not forked: torch and PyBullet do not survive a fork.
    """
    bar = tqdm(total=done + len(items), initial=done, desc=title, unit="episode", smoothing=0.05)
    pool = ProcessPoolExecutor(
        max_workers=max(1, min(workers or os.cpu_count() or 1, len(items))),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        futures = {pool.submit(work, item): item for item in items}
        for future in as_completed(futures):
            result = future.result()
            bar.update()
            yield futures[future], result
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed (out of memory?): what is written is whole; run the same "
            "command again to go on, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)
        bar.close()


def _start_worker() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Workers of a process that was killed would wait for ever, and write beside the next run."""
    parent: Any = multiprocessing.parent_process()
    parent.join()
    os._exit(1)
