"""What leads from one document to another; `make docs` looks after those in docs/."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "vjepa_ros/weights/MODEL_CARD.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    document = ROOT / name
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target


def test_every_page_of_docs_is_in_the_navigation_and_the_contents():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"index.md"}
    navigation = (ROOT / "mkdocs.yml").read_text()
    contents = (ROOT / "docs" / "index.md").read_text()
    for page in pages:
        assert page in navigation, page
        assert f"({page})" in contents, page
