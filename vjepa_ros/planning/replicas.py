"""One population of candidates, scored by several replicas of a predictor at the same time.

A replica is a device of this process, or a node anywhere. Each gets what it scores in the time
that the others take for theirs. The candidates of one that fails, or is late, go to the others.
"""

import copy
import math
import time
from collections.abc import Container, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from vjepa_ros.model.encoder import Encoder
from vjepa_ros.model.predictor import Predictor
from vjepa_ros.planning.objectives import Objective
from vjepa_ros.planning.solvers import Cost
from vjepa_ros.planning.world_model import GRAIN, Context, Goal, WorldModel

_LATE = 3.0  # times as long as the first to answer
_GRACE = 0.5  # seconds beyond that


class _Replica:
    """One scorer: a thread that does one share after the other, and how fast it was."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.rate: float | None = None  # candidates a second, when it last had a share
        self.lost = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"replica {number}")
        self.answer: Future[Tensor] = Future()
        self.answer.set_result(torch.empty(0))

    @property
    def free(self) -> bool:
        """Whether it has answered all that it was asked."""
        return self.answer.done()

    def ask(self, cost: Cost, actions: Tensor, timed: bool) -> Future[Tensor]:
        """Begin to score."""
        gradient = torch.is_grad_enabled()
        self.answer = self._thread.submit(self._score, cost, actions, gradient, timed)
        return self.answer

    def ask_alone(self, cost: Cost, actions: Tensor, timed: bool) -> Future[Tensor]:
        """Score in the asking thread, which has nobody else to wait for: threads take time to
        wake.
        """
        self.answer = Future()
        try:
            self.answer.set_result(self._score(cost, actions, torch.is_grad_enabled(), timed))
        except Exception as error:
            self.answer.set_exception(error)
        return self.answer

    def _score(self, cost: Cost, actions: Tensor, gradient: bool, timed: bool) -> Tensor:
        started = time.perf_counter()
        with torch.set_grad_enabled(gradient):  # each thread has its own mode
            try:
                energies = cost(actions)
            except Exception:
                self.lost = True
                raise
        if timed:
            rate = len(actions) / (time.perf_counter() - started)
            self.rate = rate if self.rate is None else (self.rate + rate) / 2
        self.lost = False
        return energies

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class Replicas:
    """Shares candidates out, and remembers who is fast and who is lost.

    One that failed with an error of `failures`, or is late, is lost: it gets no share until it
    has answered a question that nobody waits for, which it is asked with each population. Any
    other error is raised. Shares are whole grains, so that a population of whole grains has the
    energies that one replica alone gives it (see GRAIN).
    """

    def __init__(self, count: int, failures: type[Exception] | tuple[type[Exception], ...]) -> None:
        self._replicas = [_Replica(number) for number in range(count)]
        self._failures = failures

    def cost(self, costs: Sequence[Cost]) -> Cost:
        """One cost of the replicas' own, in their order."""
        if len(costs) == 1:
            return costs[0]
        return lambda actions: self._score(costs, actions)

    def lost(self) -> list[int]:
        """The numbers of those that get no share."""
        return [one.number for one in self._replicas if one.lost]

    def close(self) -> None:
        """Let the threads end."""
        for replica in self._replicas:
            replica.close()

    def _score(self, costs: Sequence[Cost], actions: Tensor) -> Tensor:
        wanted, ready = _grains(len(actions)), self._ready()
        scored: dict[int, Tensor] = {}  # energies of a grain by its start
        while wanted:
            shares = zip(ready, _deal(wanted, [one.rate for one in ready]), strict=True)
            dealt = [(replica, share) for replica, share in shares if share]
            for_all = len(wanted) >= len(self._replicas)  # not a single plan, or a few
            if for_all:
                self._ask_others({replica for replica, _ in dealt}, costs, actions[wanted[0]])
            asked = {}
            for replica, share in dealt:
                candidates = torch.cat([actions[one] for one in share])
                ask = replica.ask_alone if len(dealt) == 1 else replica.ask
                future = ask(costs[replica.number], candidates, timed=for_all)
                asked[future] = replica, share
            failure = self._collect(asked, scored)
            wanted = [grain for grain in wanted if grain.start not in scored]
            ready = [replica for replica in ready if not replica.lost]
            if failure is not None and not ready:
                raise failure
        return torch.cat([scored[start] for start in sorted(scored)])

    def _ready(self) -> list[_Replica]:
        """Those that get a share; when all are lost, each that is free is tried again."""
        ready = [one for one in self._replicas if one.free and not one.lost]
        if not ready:
            wait([one.answer for one in self._replicas], return_when=FIRST_COMPLETED)
            ready = [one for one in self._replicas if one.free]
        return ready

    def _ask_others(
        self, dealt: Container[_Replica], costs: Sequence[Cost], actions: Tensor
    ) -> None:
        """Those without a share: whether they are back, and how fast they are now."""
        for replica in self._replicas:
            if replica.free and replica not in dealt:
                replica.ask(costs[replica.number], actions, timed=True)

    def _collect(
        self, asked: dict[Future[Tensor], tuple[_Replica, list[slice]]], scored: dict[int, Tensor]
    ) -> Exception | None:
        """Wait for the answers that come in time; the last failure, where there is one."""
        pending, failure = set(asked), None
        started, end = time.monotonic(), math.inf
        while pending:
            left = None if end == math.inf else max(0.0, end - time.monotonic())
            done, pending = wait(pending, left, FIRST_COMPLETED)
            if not done:
                break
            for future in done:
                error = future.exception()
                if error is None:
                    share = asked[future][1]
                    parts = future.result().split([one.stop - one.start for one in share])
                    scored |= {one.start: part for one, part in zip(share, parts, strict=True)}
                    now = time.monotonic()
                    end = min(end, now + (_LATE - 1) * (now - started) + _GRACE)
                elif isinstance(error, self._failures):
                    failure = error
                else:
                    raise error
        for late in pending:
            asked[late][0].lost = True
        return failure


class ReplicatedWorldModel(WorldModel):
    """A world model with a predictor on each of its devices; all else is on the first."""

    def __init__(
        self,
        devices: Sequence[torch.device],
        encoder: Encoder | None,
        predictor: Predictor,
        *rest: Any,
        **options: Any,
    ) -> None:
        super().__init__(encoder, predictor, *rest, **options)
        copies = [copy.deepcopy(predictor).to(device) for device in devices[1:]]
        self._others = [WorldModel(None, one, **options) for one in copies]
        self._replicas = Replicas(len(devices), failures=())

    def cost(self, context: Context, goal: Goal, objective: Objective) -> Cost:
        """The energies, of which each device scores a share."""
        costs = [one.cost(context, goal, objective) for one in self._others]
        return self._replicas.cost([super().cost(context, goal, objective), *costs])


def _grains(count: int) -> list[slice]:
    """Candidates by the grain; less than half of one that is left over joins the last."""
    starts = list(range(0, max(count - GRAIN // 2, 0) + 1, GRAIN))
    return [slice(*ends) for ends in pairwise([*starts, count])]


def _deal(grains: Sequence[slice], rates: Sequence[float | None]) -> list[list[slice]]:
    """Grains in the order given, to each as many as its rate is of all rates."""
    known = [rate for rate in rates if rate is not None] or [1.0]
    weights = [sum(known) / len(known) if rate is None else rate for rate in rates]
    ends = [round(len(grains) * part / sum(weights)) for part in accumulate(weights)]
    return [list(grains[start:end]) for start, end in pairwise([0, *ends])]
