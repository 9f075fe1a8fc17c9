"""A hook of mkdocs: for each package a page of its docstrings, read without importing it."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# In the order of their dependencies; of the first the modules that are in no folder.
PACKAGES = (
    "vjepa_gate",
    "vjepa_ros",
    "vjepa_ros.model",
    "vjepa_ros.planning",
    "vjepa_ros.episodes",
    "vjepa_ros.training",
    "vjepa_ros.evaluation",
    "vjepa_ros.replay",
    "vjepa_ros.nodes",
    "vjepa_sim",
)
# Of packages that are not at the top.
_HOMES = {"vjepa_gate": ROOT / "gate", "vjepa_sim": ROOT / "sim"}


def on_config(config: MkDocsConfig) -> None:
    """Add the pages to the navigation."""
    assert config.nav is not None
    config.nav.append({"API": [{package: _page(package)} for package in PACKAGES]})


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Make the pages."""
    for package in PACKAGES:
        parts = [f"# {package}", *(f"::: {module}" for module in _modules(package))]
        files.append(File.generated(config, _page(package), content="\n\n".join(parts)))


def _page(package: str) -> str:
    return f"api/{package}.md"


def _modules(package: str) -> list[str]:
    """Those with a public name; below a folder all, whose pages are one."""
    home = _HOMES.get(package, ROOT)
    folder = home / package.replace(".", "/")
    found = folder.glob("*.py") if package == "vjepa_ros" else folder.rglob("*.py")
    paths = sorted(path.relative_to(home) for path in found if not path.name.startswith("_"))
    return [".".join(path.with_suffix("").parts) for path in paths]
