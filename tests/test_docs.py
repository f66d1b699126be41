"""The documentation says what the doctor says, and every link in it leads somewhere."""

from __future__ import annotations

import html
import json
import os
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import markdown
import pytest
import tomli

from nnunet_doctor import catalogue
from nnunet_doctor.check import LANGUAGES, Check
from nnunet_doctor.explanation import explanation

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / ".docs"
SITE: dict[str, Any] = runpy.run_path(str(DOCS / "site.py"))
CHECKS = catalogue.load(with_examples=True)


class Page(HTMLParser):
    """What a page holds: its links, what it loads, and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif "src" in given:
            self.loads.append(given["src"])
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(given.get("href", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as the workflow builds it; what MkDocs warns of is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--config-file",
        str(DOCS / "mkdocs.yml"),
    ]
    done = subprocess.run(
        [*command, "--site-dir", str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_link_leads_somewhere(site: Path) -> None:
    """Each link and each thing that a page loads is a file of the site, and each fragment a place on its page."""
    pages = {
        path.resolve(): Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
        if path.name != "404.html"  # is shown at any address, and so has links from the root
    }
    lost = []
    for path, page in pages.items():
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file() or (
                parts.fragment and target in pages and parts.fragment not in pages[target].places
            ):
                lost.append((path.relative_to(site.resolve()).as_posix(), link))

    assert lost == []
    assert len(pages) > 2 * len(CHECKS)


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """Whoever reads a page is seen by nobody: styles, scripts and pictures are files of the site."""
    foreign = {
        load
        for path in site.rglob("*.html")
        for load in Page(path.read_text(encoding="utf-8")).loads
        if urlsplit(load).scheme not in ("", "data") or urlsplit(load).netloc
    }

    assert foreign == set()


def test_search_finds_checks_in_both_languages(site: Path) -> None:
    """The index holds the page of each check in English and in Chinese."""
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]
    found = "".join(entry["title"] for entry in entries if entry["location"].startswith("zh/shm-too-small.html"))

    assert {f"{language}/{check.id}.html" for language in LANGUAGES for check in CHECKS} <= {
        entry["location"] for entry in entries
    }
    # a mark of no width tells the search where a word ends
    assert {check.id: check for check in CHECKS}["shm-too-small"].text["zh"].title in found.replace("\u200b", "")


def words_of(text: str) -> str:
    """Return the text that a reader sees, with the whitespace that does not count left out."""
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_page_says_what_explain_says(check: Check, language: str) -> None:
    """The words on the page of a check are those that explain prints, in the same order, no more and no fewer."""
    _, _, text = SITE["page"](check, language).partition("---\n")[2].partition("---\n")
    _, link, rest = text.partition(f"/{check.id}.md)")
    assert link
    seen = html.unescape(re.sub(r"<[^>]+>", "", markdown.markdown(rest, extensions=["fenced_code", "tables"])))

    assert words_of(seen) == words_of("".join(part.text for part in explanation(check, language)))


def test_made_pages_are_not_lost() -> None:
    """README, format, changes and options are pages, and the README's pictures and pages are found from there."""
    pages = SITE["pages"]()

    assert {"index.md", "format.md", "changes.md", "options.md", "en/index.md", "zh/index.md"} <= pages.keys()
    assert "](.github/" not in pages["index.md"]
    assert "## check\n" in pages["options.md"]


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / "pages" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_examples_of_packs_are_those_that_are_proven() -> None:
    """What the page about packs shows stands, line for line, in the packs that the tests install."""
    packs = ROOT / "tests" / "packs"
    rules = tomli.loads((packs / "house-rules" / "pyproject.toml").read_text(encoding="utf-8"))
    scanner = tomli.loads((packs / "scanner" / "pyproject.toml").read_text(encoding="utf-8"))
    project, facts, entries = (tomli.loads(text) for text in blocks("packs.md", "toml"))
    (look,) = blocks("packs.md", "python")
    probe = (packs / "scanner" / "scanner_pack" / "probe.py").read_text(encoding="utf-8")

    assert project["project"].items() <= rules["project"].items()
    assert facts == tomli.loads((packs / "scanner/scanner_pack/checks/facts.toml").read_text(encoding="utf-8"))
    assert entries["project"]["entry-points"] == scanner["project"]["entry-points"]
    assert look.split("\n", 1)[1] in probe
