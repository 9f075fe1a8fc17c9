"""`vjepa-ros doctor` on this machine, and on one where something is broken."""

import os
import subprocess
import sys

import pytest

from vjepa_ros.commands import doctor


def run_doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "vjepa_ros.cli", "doctor", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_this_machine_is_well():
    seen = run_doctor()
    assert seen.returncode == 0, seen.stdout
    assert "FAIL" not in seen.stdout
    for check in doctor.CHECKS:
        assert check.name in seen.stdout
    assert "median" in seen.stdout  # pictures did go over DDS and come back


@pytest.mark.parametrize(
    ("module", "line"), [("pybullet", "simulator"), ("vjepa_msgs", "interfaces")]
)
def test_what_is_broken_is_named_with_a_remedy(tmp_path, module, line):
    (tmp_path / f"{module}.py").write_text("raise ImportError('libnothing.so.1: cannot open')")
    seen = run_doctor("--no-dds", PYTHONPATH=str(tmp_path))
    assert seen.returncode == 1
    (failed,) = [text for text in seen.stdout.splitlines() if text.startswith("FAIL")]
    assert line in failed
    assert "libnothing.so.1: cannot open" in failed
    assert "make setup" in failed


def test_an_unbuilt_interface_folder_does_not_count(tmp_path):
    """An empty vjepa_msgs/ imports as a namespace package, but has no types."""
    (tmp_path / "vjepa_msgs").mkdir()
    (tmp_path / "vjepa_msgs" / "__init__.py").touch()
    seen = run_doctor("--no-dds", PYTHONPATH=str(tmp_path))
    assert seen.returncode == 1
    assert "vjepa_msgs.msg" in seen.stdout


def test_weights_are_found_where_they_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "WEIGHT_FOLDERS", (tmp_path,))
    with pytest.raises(doctor.Note, match="none in"):
        doctor.weights()
    (tmp_path / "vitl.pt").write_bytes(bytes(3 * 2**20))
    (tmp_path / "notes.txt").touch()
    assert doctor.weights() == "vitl.pt (3 MiB)"


def test_little_disk_is_told(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: doctor.argparse.Namespace(free=3e8))
    with pytest.raises(doctor.Problem, match=r"0\.3 GB free"):
        doctor.disk()
