"""What an .rrd file holds, as Rerun's own reader tells."""

import re
import subprocess
import sys
from collections import Counter


def rows_of(file):
    """Rows by entity."""
    shown = subprocess.run(
        [sys.executable, "-m", "rerun", "rrd", "print", "-v", str(file)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    counts = Counter()
    for rows, entity in re.findall(r"with (\d+) rows .*? - (/\S*) - data", shown):
        counts[entity] += int(rows)
    return counts
