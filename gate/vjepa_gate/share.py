"""Where the packages of this repository keep what is no Python."""

from importlib.util import find_spec
from pathlib import Path


def config_folder(package: str) -> Path:
    """The folder config/ beside a package's source, or where colcon has installed it."""
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parents[1] / "config"
    if folder.is_dir():
        return folder
    from ament_index_python.packages import get_package_share_directory

    return Path(get_package_share_directory(package)) / "config"
