"""Pages for readers: what they point to is there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "config").glob("*.md"),
    *(ROOT / "workflow/docs").glob("*.md"),
    *(ROOT / "results").glob("*.md"),
    *(ROOT / "results/reference").glob("*/*.md"),
]


def anchors(page: Path) -> set[str]:
    """What headings are called in addresses: lower case, words joined by hyphens."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def wrong(page: Path) -> list[str]:
    """Addresses in a page that lead nowhere in the repository."""
    found = []
    for address in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:|mailto:", address):
            continue
        name, _, anchor = address.partition("#")
        target = page.parent / name if name else page
        there = target.exists() and (not anchor or anchor in anchors(target))
        found += [] if there else [address]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_points_to_is_there(page):
    assert wrong(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "other.md").write_text("## One thing: `a`, and _b_\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[x](other.md#one-thing-a-and-_b_) [y](other.md#two) [z](none.md) [w](https://x.org)"
    )
    assert wrong(page) == ["other.md#two", "none.md"]


def test_every_page_can_be_reached_from_readme():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md" or not page.is_file():
            continue
        seen.add(page)
        names = re.findall(r"\]\(([^)\s#]+)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / name).resolve() for name in names if "://" not in name]
    docs = set((ROOT / "workflow/docs").glob("*.md"))
    assert docs - seen == set()


def test_the_version_is_the_last_one_of_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version, date = re.search(r"^## ([\d.]+) \((\d{4}-\d\d-\d\d)\)$", text, re.MULTILINE).groups()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], str(citation["date-released"])) == (version, date)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == version
