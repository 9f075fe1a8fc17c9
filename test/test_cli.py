"""The command as a newcomer meets it."""

import subprocess
import sys
from importlib import metadata

import pytest

from vjepa_gate.errors import UserError
from vjepa_ros import cli


def vjepa_ros(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "vjepa_ros.cli", *arguments], capture_output=True, text=True
    )


def test_without_arguments_it_shows_the_commands():
    shown = vjepa_ros()
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in cli.COMMANDS)


def test_it_tells_the_version_that_is_installed():
    shown = vjepa_ros("--version")
    assert (shown.returncode, shown.stdout) == (0, f"vjepa-ros {metadata.version('vjepa_ros')}\n")


def test_an_unknown_command_is_refused_with_the_known_ones():
    shown = vjepa_ros("docter")
    assert shown.returncode == 2
    assert "docter" in shown.stderr
    assert "doctor" in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command):
    shown = vjepa_ros(command, "--help")
    assert shown.returncode == 0
    assert f"vjepa-ros {command}" in shown.stdout


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_help_waits_for_nothing_heavy(command):
    code = (
        "import sys; from vjepa_ros import cli; cli.parser_of(sys.argv[1]); "
        "heavy = {'torch', 'cv2', 'scipy', 'rclpy', 'pybullet'} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    built = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr


def test_an_unknown_option_is_refused_with_the_nearest_known_one(capsys):
    assert cli.main(["evaluate", "--task", "reach", "--sampels", "3"]) == 2
    expected = "vjepa-ros evaluate: --sampels is unknown, expected --samples\n"
    assert capsys.readouterr().err == expected


def test_an_error_that_the_user_can_mend_is_one_line(monkeypatch, capsys):
    from vjepa_ros.commands import doctor

    def fail(_):
        raise UserError("goal.png: not there, expected a picture: check the path")

    monkeypatch.setattr(doctor, "run", fail)
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err == (
        "vjepa-ros doctor: goal.png: not there, expected a picture: check the path\n"
    )


def test_a_reader_that_has_enough_is_no_error():
    words = [sys.executable, "-m", "vjepa_ros.cli", "weights", "inspect", "tiny"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
