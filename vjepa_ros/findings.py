"""Lines of a report: ok, or what was found and what to do."""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Problem(Exception):
    """A check that failed: what was found, and what to do."""


class Note(Exception):
    """Something that is missing and that many users can do without."""


class Check(NamedTuple):
    """One line of the report."""

    name: str
    look: Callable[[], str]


def report(checks: Sequence[Check]) -> int:
    """Print a line for each; 1 when something is wrong."""
    failed = [check.name for check in checks if not _passes(check)]
    if failed:
        print(f"\n{len(failed)} of {len(checks)} checks failed: {', '.join(failed)}")
        return 1
    print(f"\nall {len(checks)} checks passed")
    return 0


def _passes(check: Check) -> bool:
    try:
        status, text = "ok  ", check.look()
    except Note as note:
        status, text = "note", str(note)
    except Problem as problem:
        status, text = "FAIL", str(problem)
    print(f"{status}  {check.name:<12} {text}", flush=True)
    return status != "FAIL"
