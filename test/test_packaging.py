"""What colcon installs is what `ros2 run` and `ros2 launch` look for."""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {"vjepa_ros": ROOT, "vjepa_gate": ROOT / "gate", "vjepa_sim": ROOT / "sim"}


@pytest.fixture(scope="module", params=["copied", "symlinked"])
def workspace(request, tmp_path_factory):
    """The ament_python packages built in a workspace of their own."""
    base = tmp_path_factory.mktemp(request.param)
    options = ["--symlink-install"] if request.param == "symlinked" else []
    built = subprocess.run(
        [sys.executable, "-m", "colcon", "--log-base", base / "log", "build",
         "--base-paths", *SOURCES.values(), "--packages-select", *SOURCES,
         "--build-base", base / "build", "--install-base", base / "install", *options],
        capture_output=True, text=True, cwd=base,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return base / "install"


def version_of(package: Path) -> str:
    return ElementTree.parse(package / "package.xml").findtext("version")


def test_all_packages_have_one_version():
    """Those of other projects, of which there are parts here, have their own."""
    found = {path.parent for path in (ROOT / "package.xml", *ROOT.glob("*/package.xml"))}
    assert {ROOT, ROOT / "sim", ROOT / "vjepa_msgs"} < found
    others = {"bond", "control_msgs", "controller_manager_msgs", "franka_msgs", "tf2_msgs"}
    for package in found - {ROOT / name for name in others}:
        assert version_of(package) == version_of(ROOT), package
        if (setup := package / "setup.py").exists():
            assert f'version="{version_of(ROOT)}"' in setup.read_text(), setup


def test_manifests_and_changelogs_are_as_tools_of_ros_read_them():
    from catkin_pkg.changelog import get_changelog_from_path
    from catkin_pkg.package import parse_package

    versions = re.findall(r"^## \[([\d.]+)\] - (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert versions
    for folder in (ROOT, ROOT / "gate", ROOT / "sim", ROOT / "vjepa_msgs"):
        warnings = []
        package = parse_package(folder, warnings=warnings)
        assert not warnings, package.name
        changelog = get_changelog_from_path(folder / "CHANGELOG.rst", package.name)
        told = [(version, f"{date:%Y-%m-%d}") for version, date, _ in changelog.foreach_version()]
        assert told == versions, package.name


def test_what_is_installed_has_the_version_of_its_package(workspace):
    executable = workspace / "vjepa_ros" / "lib" / "vjepa_ros" / "vjepa-ros"
    shown = subprocess.run(
        ["sh", "-c", f". {workspace}/setup.sh && {sys.executable} {executable} --version"],
        capture_output=True,
        text=True,
    )
    assert shown.stdout == f"vjepa-ros {version_of(ROOT)}\n", shown.stderr


EXECUTABLES = [
    ("vjepa_ros", "vjepa-ros"),
    ("vjepa_gate", "vjepa_arm_gate"),
    ("vjepa_sim", "vjepa-sim"),
]


@pytest.mark.parametrize(("package", "name"), EXECUTABLES)
def test_executables_run_in_whatever_environment_is_active(workspace, tmp_path, package, name):
    """colcon may be the system's Python; torch is in the environment that is active later."""
    executable = workspace / package / "lib" / package / name
    assert executable.read_text().startswith("#!/usr/bin/env python3\n")

    active = tmp_path / "python3"
    active.write_text(f'#!/bin/sh\necho active >&2\nexec {sys.executable} "$@"\n')
    active.chmod(0o755)
    sourced = f". {workspace}/setup.sh && exec {executable} --help"
    shown = subprocess.run(
        ["sh", "-c", sourced],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    assert shown.returncode == 0, shown.stderr
    assert "active" in shown.stderr
    assert "usage" in shown.stdout


def test_pages_are_installed_with_their_templates(workspace):
    code = "from vjepa_ros import html; print(html.__file__, *html.TEMPLATES.list_templates())"
    shown = subprocess.run(
        ["sh", "-c", f'. {workspace}/setup.sh && {sys.executable} -c "{code}"'],
        capture_output=True,
        text=True,
        cwd=workspace,
    )
    module, *templates = shown.stdout.split()
    assert workspace.parent in Path(module).parents
    assert templates == sorted(path.name for path in (ROOT / "vjepa_ros/templates").iterdir())


@pytest.mark.parametrize("package", SOURCES)
def test_the_index_finds_packages_and_what_they_share(workspace, package):
    code = (
        "from ament_index_python.packages import get_package_share_directory as share;"
        f"print(share('{package}'))"
    )
    shown = subprocess.run(
        ["sh", "-c", f'. {workspace}/setup.sh && {sys.executable} -c "{code}"'],
        capture_output=True,
        text=True,
    )
    share = Path(shown.stdout.strip())
    assert share == workspace / package / "share" / package
    for folder in ("launch", "config"):
        expected = {p.name for p in (SOURCES[package] / folder).glob("*") if p.is_file()}
        installed = {p.name for p in (share / folder).glob("*")}
        assert installed == expected, f"{share / folder}"
    assert (share / "package.xml").is_file()
