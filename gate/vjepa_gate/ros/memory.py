"""How much memory this process takes."""

import resource
from pathlib import Path


def memory() -> dict[str, str]:
    """For a status, in MB."""
    return {"memory (MB)": f"{resident() / 1e6:.0f}"}


def resident() -> int:
    """Bytes of memory that the process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
