"""What stands in the way of `make setup` is one line that says what to do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
import bootstrap  # noqa: E402


@pytest.fixture
def checkout(tmp_path):
    """As much of the repository as set-up reads, with no environment in it."""
    for folder in ("scripts", "requirements", "vjepa_msgs", *bootstrap.BORROWED, "gate", "sim"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("setup.py", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def set_up(checkout: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "scripts/bootstrap.py"],
        cwd=checkout,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def only_line(shown: subprocess.CompletedProcess) -> str:
    assert shown.returncode == 1
    (line,) = shown.stderr.splitlines()
    return line


def test_no_compiler(checkout):
    line = only_line(set_up(checkout, CC="no-such-cc"))
    assert "no-such-cc" in line
    assert "apt install build-essential" in line
    assert not (checkout / ".venv").exists()


def test_no_network(checkout):
    """Nobody listens on the discard port of this machine."""
    nowhere = "http://127.0.0.1:9/simple"
    line = only_line(
        set_up(
            checkout,
            PIP_INDEX_URL=nowhere,
            PIP_EXTRA_INDEX_URL=nowhere,
            PIP_CONFIG_FILE=os.devnull,
            PIP_RETRIES="0",
        )
    )
    assert "no network" in line
    assert "make setup" in line
    assert (checkout / "build" / "setup.log").exists()


def test_an_old_python(monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 18))
    assert bootstrap.main() == 1
    assert "Python 3.9 found, 3.11 or 3.12 needed" in capsys.readouterr().err


def test_a_processor_without_ros_wheels(monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "ROS_SOURCED", False)
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "aarch64")
    assert bootstrap.main() == 1
    assert "source /opt/ros/jazzy/setup.bash" in capsys.readouterr().err


def test_no_disk(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap.shutil, "disk_usage", lambda _: SimpleNamespace(free=1.5e9))
    assert bootstrap.main() == 1
    assert "1.5 GB of disk free" in capsys.readouterr().err


def test_a_disk_that_fills_up_while_installing(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    (tmp_path / "build").mkdir()
    with pytest.raises(bootstrap.SetupError, match="the disk is full"):
        bootstrap.run(["sh", "-c", "echo OSError: No space left on device; exit 1"], "pip failed")


def test_a_ros_without_control_msgs(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "ROS_SOURCED", True)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    with pytest.raises(bootstrap.SetupError, match="apt install ros-jazzy-control-msgs"):
        bootstrap.interface_packages()
    (tmp_path / "share" / "control_msgs").mkdir(parents=True)
    packages = [package.name for package in bootstrap.interface_packages()]
    missing = [name for name in bootstrap.BORROWED if name != "control_msgs"]
    assert packages == [*missing, "vjepa_msgs"]


def test_interfaces_that_ros_brings_are_not_built(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "ROS_SOURCED", True)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{bootstrap.VENV}:{tmp_path}")  # as make sets it
    for name in bootstrap.BORROWED:
        (tmp_path / "share" / name).mkdir(parents=True)
    assert [package.name for package in bootstrap.interface_packages()] == ["vjepa_msgs"]


def test_a_stage_runs_once_and_again_when_its_inputs_change(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    made_from, runs = tmp_path / "requirements.txt", []
    made_from.write_text("numpy")
    for _ in range(2):
        bootstrap.stage("packages", [made_from], lambda: runs.append(made_from.read_text()))
    made_from.write_text("torch")
    bootstrap.stage("packages", [made_from], lambda: runs.append(made_from.read_text()))
    assert runs == ["numpy", "torch"]


def test_a_stage_that_failed_is_not_taken_for_done(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    (tmp_path / "build").mkdir()
    with pytest.raises(bootstrap.SetupError):
        bootstrap.stage("packages", [], lambda: bootstrap.run(["false"], "pip failed"))
    assert not bootstrap.stamp_file("packages").exists()
