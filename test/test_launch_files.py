"""Launch files without `launch`: that they compile, and which Python they find."""

import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "launch"


@pytest.mark.parametrize(
    ("active", "said"), [(sys.prefix, sys.prefix), ("", "activate the virtual environment")]
)
def test_launch_files_find_torch_where_an_environment_is_active(active, said):
    """Though they run in a Python that has none: that of apt's `ros2`."""
    program = "from vjepa_ros import active_environment; import torch; print(torch.__file__)"
    base = shutil.which(f"python3.{sys.version_info.minor}", path=f"{sys.base_prefix}/bin")
    done = subprocess.run(
        [base, "-S", "-c", program],  # without what else is installed there
        env={"VIRTUAL_ENV": active, "PYTHONPATH": str(FOLDER.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said in done.stdout + done.stderr


def test_launch_file_compiles(tmp_path):
    for path in FOLDER.glob("*.launch.py"):
        py_compile.compile(str(path), cfile=str(tmp_path / path.name), doraise=True)
