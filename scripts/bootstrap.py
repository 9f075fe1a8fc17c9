"""Set up .venv: Python packages, ROS 2 wheels where no ROS is sourced, the interfaces, ours.

Called by `make setup`; needs nothing but Python and a compiler. Each stage leaves a stamp
of what it was made from, so that a second run has nothing to do. Written for any Python 3,
so that an old one gets as far as being told.
"""

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
OLDEST, NEWEST = (3, 11), (3, 12)
ROS_SOURCED = bool(os.environ.get("ROS_DISTRO"))
BORROWED = ("bond", "control_msgs", "controller_manager_msgs", "franka_msgs", "tf2_msgs")
DISK_NEEDED_GB = 4  # with a CPU-only torch; a CUDA one takes about 6 more

NETWORK_TROUBLE = re.compile(
    r"name resolution|Connection(Error| refused| reset|.*failed)|Network is unreachable"
    r"|Max retries|timed out|ProxyError|SSLError|from versions: none"
)


class SetupError(Exception):
    """What stands in the way, and what to do about it, in one line."""


def main() -> int:
    try:
        check_machine()
        with only_one_at_a_time():
            set_up()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def set_up() -> None:
    stage("environment", [], create_environment)
    requirements = sorted((ROOT / "requirements").glob("*.txt"))
    stage("Python packages", requirements, install_requirements)
    interfaces = interface_packages()
    stage("interfaces", files_of(*interfaces), lambda: build_interfaces(interfaces))
    packaging = [ROOT / p / f for p in (".", "gate", "sim") for f in ("pyproject.toml", "setup.py")]
    stage("vjepa_ros, vjepa_gate and vjepa_sim", packaging, install_packages)


@contextlib.contextmanager
def only_one_at_a_time():
    """`make demo` and `make test` in two terminals must not build in one folder."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_machine() -> None:
    """Find out before the long downloads what would make them useless."""
    found = sys.version_info[:2]
    if not OLDEST <= found <= NEWEST:
        raise SetupError(
            "Python %d.%d found, 3.11 or 3.12 needed: install one, "
            "then run `make setup PYTHON=python3.12`." % found
        )
    if not ROS_SOURCED and platform.machine() != "x86_64":
        raise SetupError(
            f"this is a {platform.machine()} machine and ROS wheels exist for x86_64 only: "
            "install ROS 2 Jazzy from apt, then `source /opt/ros/jazzy/setup.bash`."
        )
    compilers = (os.environ.get("CC", "cc"), os.environ.get("CXX", "c++"))
    missing = [name for name in compilers if not shutil.which(name)]
    if missing:
        raise SetupError(
            f"no compiler ({' and '.join(missing)} not found): "
            "install one, on Ubuntu and Debian with `sudo apt install build-essential`."
        )
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise SetupError(
            "Python.h not found: install Python's headers, on Ubuntu and Debian with "
            f"`sudo apt install python{found[0]}.{found[1]}-dev`."
        )
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if not (stamp_file("Python packages").exists() or free_gb >= DISK_NEEDED_GB):
        raise SetupError(
            f"{free_gb:.1f} GB of disk free in {ROOT}, {DISK_NEEDED_GB} GB needed: make room."
        )


# --- stages ------------------------------------------------------------------------------


def stage(name: str, inputs: list, work) -> None:
    """Do the work unless its stamp says that it was done from the very same inputs."""
    digest = hashlib.sha256()
    digest.update(f"{sys.version_info[:2]} {ROOT} {os.environ.get('ROS_DISTRO', '')}".encode())
    for path in inputs:
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    stamp = stamp_file(name)
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    print(f"setup: {name} …", flush=True)
    start = time.monotonic()
    work()
    stamp.write_text(digest.hexdigest())
    print(f"setup: {name} done in {time.monotonic() - start:.0f} s", flush=True)


def stamp_file(name: str) -> Path:
    return VENV / f".done-{name.replace(' ', '-')}"


def create_environment() -> None:
    """With a sourced ROS the environment sees the system's packages: rclpy is one."""
    shutil.rmtree(VENV, ignore_errors=True)
    options = ["--system-site-packages"] if ROS_SOURCED else []
    run(
        [sys.executable, "-m", "venv", *options, str(VENV)],
        "could not create .venv: on Ubuntu and Debian `sudo apt install python3-venv`",
    )


def install_requirements() -> None:
    names = ["base", "dev"] if ROS_SOURCED else ["base", "ros", "dev"]
    wanted = [option for name in names for option in ("-r", f"requirements/{name}.txt")]
    pip("install", "--upgrade", "pip>=24")
    pip("install", "--prefer-binary", *wanted)


def interface_packages() -> list:
    """vjepa_msgs, and of other projects' interfaces what ROS does not bring."""
    if ROS_SOURCED and not ros_brings("control_msgs"):
        raise SetupError(
            f"ROS {os.environ['ROS_DISTRO']} is sourced but control_msgs is not there: "
            f"`sudo apt install ros-{os.environ['ROS_DISTRO']}-control-msgs`."
        )
    missing = [name for name in BORROWED if not ros_brings(name)]
    return [ROOT / name for name in (*missing, "vjepa_msgs")]


def ros_brings(package: str) -> bool:
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))
    return ROS_SOURCED and any(
        Path(prefix, "share", package).is_dir() for prefix in prefixes if Path(prefix) != VENV
    )


def build_interfaces(packages: list) -> None:
    """Straight into .venv, so that there is nothing to source afterwards."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(VENV / "bin"), os.environ["PATH"]])
    options = [f"-DPython3_EXECUTABLE={PYTHON}", f"-DCMAKE_INSTALL_PREFIX={VENV}"]
    if not ROS_SOURCED:
        environment["AMENT_PREFIX_PATH"] = environment["CMAKE_PREFIX_PATH"] = str(VENV)
        options.append(f"-DCMAKE_PROJECT_INCLUDE={ROOT / 'cmake' / 'ros_wheels.cmake'}")
    for package in packages:
        build = ROOT / "build" / "setup" / package.name
        shutil.rmtree(build, ignore_errors=True)
        failed = f"could not build {package.name}"
        configure = ["cmake", "-S", str(package), "-B", str(build), "-G", "Ninja", *options]
        run(configure, failed, environment)
        run(["cmake", "--build", str(build), "--target", "install"], failed, environment)


def install_packages() -> None:
    pip("install", "--no-deps", "--no-build-isolation", "-e", ".", "-e", "./gate", "-e", "./sim")


# --- helpers -----------------------------------------------------------------------------


def files_of(*folders: Path) -> list:
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def pip(*arguments: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments, "--quiet"]
    run(command, "pip could not install the Python packages")


def run(command: list, failed: str, environment=None) -> None:
    """Run quietly; on failure keep the whole output in a file and say what it means."""
    result = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if result.returncode == 0:
        return
    log = ROOT / "build" / "setup.log"
    log.write_text(" ".join(command) + "\n" + result.stdout)
    if "No space left on device" in result.stdout:
        raise SetupError(f"the disk is full ({ROOT}): make room, then run `make setup` again.")
    if NETWORK_TROUBLE.search(result.stdout):
        raise SetupError(
            "no network, or the package index cannot be reached: check the connection and "
            f"the proxy settings, then run `make setup` again (details: {log})."
        )
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    reason = (errors or lines or ["no output"])[0].strip()
    raise SetupError(f"{failed}: {reason} (details: {log})")


if __name__ == "__main__":
    sys.exit(main())
