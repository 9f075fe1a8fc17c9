"""Import this before what needs torch, where another Python may run than the environment's.

apt's `ros2` names /usr/bin/python3 in its first line: launch files run in that one, even where a
virtual environment is active. What is installed there can be imported from here on.
"""

import os
import sys
import sysconfig
from importlib.util import find_spec

if _environment := os.environ.get("VIRTUAL_ENV"):
    sys.path.append(sysconfig.get_path("purelib", "venv", {"base": _environment}))
if find_spec("torch") is None:
    raise ModuleNotFoundError(
        f"{sys.executable} finds no torch: activate the virtual environment that has it in this "
        "shell, as README.md says"
    )
