"""What one line says to install is what the package's extras bring."""

import ast
from pathlib import Path

import pytest

from vjepa_gate.errors import UserError
from vjepa_ros.extras import EXTRAS, extra

ROOT = Path(__file__).parents[1]


def test_they_are_those_of_the_package():
    setup = ast.parse((ROOT / "setup.py").read_text())
    keywords = {one.arg: one.value for one in ast.walk(setup) if isinstance(one, ast.keyword)}
    said = ast.literal_eval(keywords["extras_require"])
    del said["test"], said["ray"]  # episodes/workers.py says what Ray needs
    assert said == {name: list(brought.values()) for name, brought in EXTRAS.items()}


def test_ours_are_installed_where_tests_run_and_named_in_the_readme():
    installed = (ROOT / "requirements" / "dev.txt").read_text()
    readme = (ROOT / "README.md").read_text()
    for brought in EXTRAS.values():
        for requirement in brought.values():
            package = requirement.partition(">")[0]
            assert f"\n{package}>" in installed
            assert package in readme


def test_what_else_is_missing_is_no_matter_of_an_extra():
    with pytest.raises(ModuleNotFoundError), extra("lerobot", "it"):
        import nothing_of_this_name  # noqa: F401
    with pytest.raises(UserError, match="it needs the extra `lerobot`"), extra("lerobot", "it"):
        raise ModuleNotFoundError(name="pyarrow.parquet")
