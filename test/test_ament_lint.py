"""ROS's own linters on all packages, where they are installed.

Of their style what is this project's, too: setup.cfg says of flake8 what is not.
"""

import importlib
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ("setup.py", "launch", "vjepa_ros", "gate/vjepa_gate", "sim/vjepa_sim")
# Summaries may be questions, names or two lines long, and begin on the first line.
OTHER_DOCSTRINGS = ("D205", "D209", "D213", "D400", "D401", "D402", "D403", "D415")
LINTERS = {
    "ament_flake8": ("--config", "setup.cfg", *CODE),
    "ament_pep257": ("--add-ignore", *OTHER_DOCSTRINGS, "--", *CODE),
    "ament_xmllint": (
        "package.xml",
        *(f"{name}/package.xml" for name in ("gate", "sim", "vjepa_msgs")),
    ),
}


@pytest.mark.parametrize("linter", LINTERS)
def test_it_has_nothing_to_say(linter, monkeypatch, capsys):
    pytest.importorskip(linter, reason=f"{linter} is not here: it comes with ROS")
    if linter == "ament_xmllint" and not shutil.which("xmllint"):
        pytest.skip("xmllint is not here: on Ubuntu and Debian `sudo apt install libxml2-utils`")
    monkeypatch.chdir(ROOT)
    ended = importlib.import_module(f"{linter}.main").main(LINTERS[linter])
    said = capsys.readouterr()
    assert not ended, said.out[-2000:] + said.err[-2000:]
