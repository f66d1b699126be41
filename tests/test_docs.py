"""The documentation says what the doctor says, the same in both languages, and every link in it leads somewhere."""

from __future__ import annotations

import html
import json
import os
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import markdown
import pytest
import tomli

from nnunet_doctor import catalogue, cli
from nnunet_doctor.check import LANGUAGES, Check
from nnunet_doctor.explanation import explanation

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / ".docs"
SITE: dict[str, Any] = runpy.run_path(str(DOCS / "site.py"))
CHECKS = catalogue.load(with_examples=True)
WRITTEN = {
    "README.md": "index.md",
    ".docs/pages/pipeline.md": "pipeline.md",
    ".docs/pages/packs.md": "packs.md",
    "checks/README.md": "format.md",
}
"""Pages that are written by hand in English, with their counterparts in .docs/pages/zh."""


class Page(HTMLParser):
    """What a page holds: its language, its links, the first of its text, what it loads, and the places in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.language = ""
        self.first_link: str | None = None
        self._in_text = False
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        if tag == "html":
            self.language = given["lang"]
        self._in_text |= tag == "article"
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
            if self._in_text and self.first_link is None and given.get("class") != "headerlink":
                self.first_link = given["href"]
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
                lost += [] if is_address(link) else [(path.name, link)]
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file() or (
                parts.fragment and target in pages and parts.fragment not in pages[target].places
            ):
                lost.append((path.relative_to(site.resolve()).as_posix(), link))

    assert lost == []
    assert len(pages) > 2 * len(CHECKS)


def is_address(link: str) -> bool:
    """Say whether a link to elsewhere has the form of one: https, a host, and no blank or mark of a sentence at its end."""
    parts = urlsplit(link)
    host = re.fullmatch(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", parts.netloc)
    is_issue = parts.netloc == "github.com" and re.search(r"/(?:issues|pull)(?:/|$)", parts.path)
    named = not is_issue or re.fullmatch(rf"/{OWNER}/{NAME}/(?:issues|pull)/[1-9]\d*", parts.path)
    return bool(parts.scheme == "https" and host and named and re.fullmatch(r"[!-~]*[^\s.,;:!?)\]'\"]", link))


OWNER, NAME = r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}", r"[\w.-]+"
_ISSUE = re.compile(rf"({OWNER}/{NAME})#([1-9]\d*)", re.ASCII)


@pytest.mark.parametrize(
    ("link", "good"),
    [
        ("https://docs.python.org/3/library/functions.html#open", True),
        ("https://github.com/MIC-DKFZ/nnUNet/issues/2219", True),
        ("http://docs.python.org/3", False),
        ("https://docs.python.org/3.", False),
        ("https://localhost/x", False),
        ("https://github.com/MIC-DKFZ/nnUNet/issues/", False),
        ("https://github.com/nnUNet/issues/22", False),
        ("https://github.com/MIC-DKFZ/nnUNet/issues/022", False),
        ("https://pypi.org/a b", False),
    ],
)
def test_form_of_an_address(link: str, good: bool) -> None:
    """What looks nearly like an address is none."""
    assert is_address(link) == good


def test_references_are_written_in_one_way() -> None:
    """An issue or a pull request is owner/repository#number, of one spelling each; everything else on the web an address."""
    wrong, spelt = [], {}
    for check in CHECKS:
        for reference in check.references:
            issue = _ISSUE.fullmatch(reference)
            if issue:
                wrong += [] if spelt.setdefault(issue[1].lower(), issue[1]) == issue[1] else [(check.id, reference)]
            elif re.search(r"#\d|://|github\.com|www\.", reference):
                is_web = is_address(reference) and not re.search(r"github\.com/.*/(?:issues|pull)/", reference)
                wrong += [] if is_web else [(check.id, reference)]

    assert wrong == []
    assert len(spelt) > 10


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_leads_where_explain_points(language: str, site: Path) -> None:
    """The links of a page are the references that explain prints: an address as it stands, an issue as GitHub finds it."""
    wrong = []
    for check in CHECKS:
        printed = [part.text for part in explanation(check, language) if part.kind == "reference"]
        words = re.split(r"[\s,，：]+", " ".join(printed))
        issues = [
            found and f"https://github.com/{found[1]}/issues/{found[2]}" for found in map(_ISSUE.fullmatch, words)
        ]
        expected = [issue or word for issue, word in zip(issues, words, strict=True) if issue or "://" in word]
        links = Page((site / language / f"{check.id}.html").read_text(encoding="utf-8")).links
        foreign = [link for link in links if urlsplit(link).netloc and "squidfunk" not in link]
        wrong += [(check.id, foreign, expected)] if foreign != expected else []

    assert wrong == []


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    """Whoever reads a page is seen by nobody: styles, scripts and pictures are files of the site."""
    foreign = {
        load
        for path in site.rglob("*.html")
        for load in Page(path.read_text(encoding="utf-8")).loads
        if urlsplit(load).scheme not in ("", "data") or urlsplit(load).netloc
    }

    assert foreign == set()


def index_of(site: Path) -> Any:
    """Return what the search looks into, section by section, and how it tells words apart."""
    return json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))


def test_search_finds_checks_in_both_languages(site: Path) -> None:
    """The index holds the page of each check in English and in Chinese."""
    entries = index_of(site)["docs"]
    found = "".join(entry["title"] for entry in entries if entry["location"].startswith("zh/shm-too-small.html"))

    assert {f"{language}/{check.id}.html" for language in LANGUAGES for check in CHECKS} <= {
        entry["location"] for entry in entries
    }
    # a mark of no width tells the search where a word ends
    assert {check.id: check for check in CHECKS}["shm-too-small"].text["zh"].title in found.replace("\u200b", "")


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("安装", "zh/index.html"),
        ("豁免", "zh/index.html"),
        ("容器", "zh/pipeline.html"),
        ("探测", "zh/packs.html"),
        ("正则", "zh/format.html"),
        ("显卡", "zh/checks.html"),
        ("内存", "zh/memory-short.html"),
    ],
)
def test_search_finds_chinese_words(site: Path, word: str, page: str) -> None:
    """A Chinese word in the middle of a sentence is a word of its own to the search, which compares beginnings.

    A single character is none: the search would look for it in place of the word that begins with it.
    """
    index = index_of(site)
    separator = re.compile(index["config"]["separator"])
    words = {
        piece
        for entry in index["docs"]
        if entry["location"].partition("#")[0] == page
        for piece in separator.split(re.sub(r"<[^>]+>", " ", f"{entry['title']} {entry['text']}"))
    }

    assert any(piece.startswith(word) for piece in words)
    assert {piece for piece in words if re.fullmatch("[\u4e00-\u9fff]", piece)} == set()


def counterpart_of(path: str, site: Path) -> str:
    """Return the page that says the same in the other language."""
    name = path.rpartition("/")[2]
    if not path.startswith("zh/"):
        return f"zh/{name}"
    return f"en/{name}" if (site / "en" / name).is_file() else name


def test_each_page_leads_to_the_other_language(site: Path) -> None:
    """The first link of a page is its counterpart, the page says in which language it is, and the theme speaks that."""
    wrong = []
    for path in site.rglob("*.html"):
        name = path.relative_to(site).as_posix()
        if name in ("404.html", "changes.html"):
            continue
        page = Page(path.read_text(encoding="utf-8"))
        leads_to = os.path.normpath(Path(name).parent / (page.first_link or "")).replace(os.sep, "/")
        if (leads_to, page.language) != (counterpart_of(name, site), "zh" if name.startswith("zh/") else "en"):
            wrong.append((name, page.first_link, page.language))

    assert wrong == []
    assert Page((site / "changes.html").read_text(encoding="utf-8")).first_link == "zh/index.html"


class Section(NamedTuple):
    """A part of a page below a heading: what has to be the same in both languages."""

    level: str
    heading: str
    blocks: list[str]
    names: list[str]


class Sections(HTMLParser):
    """The sections of a text in Markdown, as the site reads it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[Section] = []
        self._open: list[str] = []
        self.feed(markdown.markdown(text, extensions=["fenced_code", "tables"]))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser gives them
        self._open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.found.append(Section(tag, "", [], []))
        elif tag == "pre":
            self.found[-1].blocks.append("")
        elif tag == "code" and "pre" not in self._open:
            self.found[-1].names.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:  # some, such as br, have no end of their own
            pass

    def handle_data(self, data: str) -> None:
        if not self.found:
            return
        section = self.found[-1]
        if "pre" in self._open:
            section.blocks[-1] += data
        else:
            if "code" in self._open:
                section.names[-1] += data
            if section.level in self._open:
                self.found[-1] = section._replace(heading=section.heading + data)


def without_comments(block: str) -> list[str]:
    """Return the lines of a block of code; what is said beside the names of a folder tree is a comment too."""
    return [re.sub(r"((^|\s+)# .*|(?<=\S)\s{6,}\S.*)$", "", line) for line in block.splitlines()]


def differences(english: str, chinese: str) -> list[str]:
    """Name the sections that are not the same in both languages, with what is missing from the Chinese or too much."""
    found = []
    for here, there in zip_longest(Sections(english).found, Sections(chinese).found):
        if here is None or there is None or here.level != there.level:
            return [*found, f"{here and here.heading!r} stands where Chinese has {there and there.heading!r}"]
        place = f"{here.heading!r} ({there.heading})"
        mine, yours = ([without_comments(block) for block in section.blocks] for section in (here, there))
        found += [f"{place}, code: {ours} | {theirs}" for ours, theirs in zip_longest(mine, yours) if ours != theirs]
        named, said = ({" ".join(name.split()) for name in section.names} for section in (here, there))
        if named != said:
            found.append(f"{place}, names: missing {sorted(named - said)}, too much {sorted(said - named)}")
    return found


@pytest.mark.parametrize(("english", "chinese"), WRITTEN.items(), ids=WRITTEN.values())
def test_chinese_page_holds_what_the_english_one_holds(english: str, chinese: str) -> None:
    """The two have the same headings, and below each the same code, commands, options and names."""
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in (english, f".docs/pages/zh/{chinese}")]

    assert differences(*texts) == []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("## Slurm\n", "### Slurm\n", "'Slurm'"),
        ("--mem=48G", "--mem=64G", "'Slurm' (Slurm), code"),
        ("`--gpus all`", "`--gpus 1`", "'Containers' (容器), names"),
        ("## GitLab\n", "", "'pre-commit' (pre-commit), code"),
    ],
)
def test_a_page_that_changes_alone_is_named(old: str, new: str, named: str) -> None:
    """Whoever changes a heading, a line of code or an option in English only is told in which section."""
    english = (DOCS / "pages" / "pipeline.md").read_text(encoding="utf-8")
    chinese = (DOCS / "pages" / "zh" / "pipeline.md").read_text(encoding="utf-8")
    assert old in english

    assert named in "".join(differences(english.replace(old, new), chinese))


@pytest.mark.parametrize("name", WRITTEN.values())
def test_chinese_pages_are_written_as_chinese(name: str) -> None:
    """Punctuation beside Chinese is that of Chinese, and no line ends within a sentence: browsers show that as a blank."""
    text = (DOCS / "pages" / "zh" / name).read_text(encoding="utf-8")
    prose = re.sub(r"`[^`\n]+`", "`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))

    assert re.findall(r".{0,9}(?:[\u4e00-\u9fff`] ?[,;:?!(]|[,;:?!)] ?[\u4e00-\u9fff]).{0,9}", prose) == []
    assert re.findall(r".{0,9}[^|\s]\n[^|\s#!>].{0,9}", prose) == []


@pytest.mark.parametrize("path", [*WRITTEN, *(f".docs/pages/zh/{name}" for name in WRITTEN.values())])
def test_links_lead_somewhere_in_the_repository_too(path: str) -> None:
    """Pages are read where the code lies as well as on the site."""
    links = re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", (ROOT / path).read_text(encoding="utf-8"))

    assert [link for link in links if not ((ROOT / path).parent / link).is_file()] == []


def test_readme_leads_chinese_readers_to_their_page() -> None:
    """Whoever reads no English finds the way in the first lines."""
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:5]

    assert any(re.search("中文说明见 .docs/pages/zh/index.md", line) for line in first)


def test_readme_reads_as_well_where_it_is_no_part_of_a_repository() -> None:
    """A package index shows it alone: no link of it is relative, and each page that it names is there in the repository."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert [
        link for link in re.findall(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)", text) if not link.startswith("https://")
    ] == []
    named = re.findall(r"(?<![\w/])(?:\.docs|checks)/[\w/.-]+\.md", text)
    assert {".docs/pages/zh/index.md", ".docs/pages/pipeline.md"} <= set(named)
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_snippets_of_the_readme_are_those_that_are_proven() -> None:
    """GitLab's job, Slurm's prolog and the health check stand, line for line, on the page whose snippets are run."""
    part = (ROOT / "README.md").read_text(encoding="utf-8").partition("## In a pipeline\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```(yaml|bash|dockerfile)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    alone = []
    for language, snippet in found[1:]:  # the first is a step of the workflow
        lines = [line for line in without_comments(snippet) if line.strip()]
        proven = [
            [line for line in without_comments(block) if line.strip()] for block in blocks("pipeline.md", language)
        ]
        alone += [] if any([line for line in block if line in lines] == lines for block in proven) else [snippet]

    assert [language for language, _ in found] == ["yaml", "yaml", "bash", "dockerfile"]
    assert alone == []


@pytest.mark.parametrize(("language", "path"), [("en", "report.svg"), ("zh", "zh/report.svg")])
def test_picture_shows_what_the_command_beside_it_finds(
    language: str, path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report in the README holds the findings of today; the command with --report PATH draws it anew."""
    monkeypatch.chdir(ROOT)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = re.findall(r"`nnunet-doctor (check --facts tests/\S+ --ignore [^`]+)`", readme)[0].split()
    cli.main([*command, "--format", "text", "--lang", language])
    of_finding = re.compile(r"\[([a-z0-9-]+)\]")
    found = of_finding.findall(capsys.readouterr().out)

    assert found == of_finding.findall((DOCS / "pages" / path).read_text(encoding="utf-8"))
    assert found


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
    """README, format, changes and options are pages, and so are the lists of checks."""
    pages = SITE["pages"]()

    assert {"index.md", "format.md", "changes.md", "options.md", "zh/options.md"} <= pages.keys()
    assert {"en/checks.md", "zh/checks.md"} <= pages.keys()
    for path in ("options.md", "zh/options.md"):
        assert "\n## check\n" in pages[path]
        assert "\n## checks test\n" in pages[path]


@pytest.mark.parametrize(
    ("path", "text", "shown"),
    [
        ("index.md", "[x](.docs/pages/packs.md#a-folder)", "[x](packs.md#a-folder)"),
        ("index.md", "![x](.docs/pages/report.svg)", "![x](report.svg)"),
        ("zh/index.md", "[x](../../../README.md)", "[x](../index.md)"),
        ("zh/format.md", "[x](../../../checks/README.md)", "[x](../format.md)"),
        ("format.md", "[x](../.docs/pages/zh/format.md)", "[x](zh/format.md)"),
        (
            "zh/packs.md",
            "[x](format.md) [y](https://a.org/b.md) [z](#_1)",
            "[x](format.md) [y](https://a.org/b.md) [z](#_1)",
        ),
    ],
)
def test_links_of_the_repository_lead_on_the_site(path: str, text: str, shown: str) -> None:
    """A link to a file of the repository becomes one to the page that this file is; others stay."""
    assert SITE["moved"](text, path) == shown


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / "pages" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_examples_of_packs_are_those_that_are_proven() -> None:
    """What the page about packs shows stands, line for line, in the packs that the tests install."""
    packs = ROOT / "tests" / "packs"
    rules = tomli.loads((packs / "house-rules" / "pyproject.toml").read_text(encoding="utf-8"))
    scanner = tomli.loads((packs / "scanner" / "pyproject.toml").read_text(encoding="utf-8"))
    rule, project, facts, check, entries, _ = (tomli.loads(text) for text in blocks("packs.md", "toml"))
    (look,) = blocks("packs.md", "python")
    probe = (packs / "scanner" / "scanner_pack" / "probe.py").read_text(encoding="utf-8")
    checks = (
        "house-rules/house_rules/checks/training/house-fold-all",
        "scanner/scanner_pack/checks/dataset/scanner-unknown",
    )
    proven = [tomli.loads((packs / f"{name}.toml").read_text(encoding="utf-8")) for name in checks]

    assert project["project"].items() <= rules["project"].items()
    assert facts == tomli.loads((packs / "scanner/scanner_pack/checks/facts.toml").read_text(encoding="utf-8"))
    assert entries["project"]["entry-points"] == scanner["project"]["entry-points"]
    assert [rule, check] == proven
    assert [line for line in look.splitlines() if line not in probe.splitlines()] == []
    assert blocks("packs.md", "toml") == blocks("zh/packs.md", "toml")
    assert blocks("packs.md", "python") == blocks("zh/packs.md", "python")
