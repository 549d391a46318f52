"""What code and documents cite is there, and is named so that a number cannot come to mean another page."""

import re
from pathlib import Path

from steadyrun.model.containment import BackendName

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_code_cites_decisions_by_their_files():
    cites = [
        (path.name, cite)
        for path in sorted((ROOT / "src").rglob("*.py"))
        for cite in re.findall(r"docs/adr/[\w.-]*\w", path.read_text())
    ]
    assert cites
    assert [each for each in cites if not (ROOT / each[1]).is_file()] == []


def test_documents_cite_decisions_that_there_are():
    there = {path.name[:4] for path in (ROOT / "docs" / "adr").iterdir()}
    cites = [(path.name, n) for path in PAGES for n in re.findall(r"adr/(\d{4})", path.read_text())]
    assert cites
    assert [each for each in cites if each[1] not in there] == []


def test_the_outcomes_page_names_every_containment():
    page = (ROOT / "docs" / "run-json.md").read_text()
    assert [name.value for name in BackendName if f"`{name.value}`" not in page] == []
