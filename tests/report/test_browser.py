"""The page in a real browser: at the width of a phone and of a screen, in light and in dark, and on paper."""

from __future__ import annotations

import base64
import importlib.util
import io
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
from made_up import clean_environ
from PIL import Image
from report import browser
from report.browser import Browser, Page
from report.nasty import manner, nasty
from report.test_html import cases, palettes

from nnunet_doctor.probes.raw.picture import COLOURS
from nnunet_doctor.report.forms import render
from nnunet_doctor.words import say

WIDTHS = (360, 1280)
NAMES = ("checked", "en", "zh")
"""What a check of a faulty dataset writes, and a report full of awkward names in both languages."""
TRIED = ["checked", *(pytest.param(name, marks=pytest.mark.slow) for name in NAMES[1:])]
PROGRAM = browser.found()
AXE = importlib.util.find_spec("axe_core_python")

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="Chromium takes its pipes in another way on Windows"),
    pytest.mark.skipif(PROGRAM is None, reason=f"no browser is installed, of {', '.join(browser.NAMES)}"),
]

LAYOUT = """
(() => {
  const root = document.documentElement;
  const overflows = () => root.scrollWidth > root.clientWidth;
  const folded = overflows();
  const box = (item) => { const b = item.getBoundingClientRect(); return [b.x + scrollX, b.y + scrollY, b.width, b.height]; };
  document.querySelectorAll("details").forEach((part) => { part.open = true; });
  const found = {
    wide: root.clientWidth, overflows: folded || overflows(),
    buttons: document.querySelectorAll("button").length, commands: document.querySelectorAll("pre").length,
    broken: [...document.images].filter((image) => image.naturalWidth === 0).length, images: document.images.length,
    hidden: [...document.querySelectorAll("h1, h2, h3, p, li, code, td, svg")].filter(
      (item) => !item.checkVisibility() || item.getBoundingClientRect().width === 0).map((item) => item.textContent),
    outside: [...document.querySelectorAll("h1, h2, h3, p, li, pre, figure, svg")].map(box)
      .filter(([x, , wide]) => x < 0 || x + wide > root.clientWidth + 1),
    overlaps: [...document.querySelectorAll("main > section")].map(box)
      .filter(([, y, , high], at, all) => at && all[at - 1][1] + all[at - 1][3] > y + 1).length,
    sections: document.querySelectorAll("main > section").length,
  };
  return found;
})()
"""
BOX = """
((item) => { const b = item.getBoundingClientRect(); return [b.x + scrollX, b.y + scrollY, b.width, b.height]; })
"""


def write_pages(folder: Path) -> dict[str, Path]:
    """Write the pages; those that are not made from a dataset show a picture of one pixel."""
    from in_process import call

    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    known = cases(40)
    drawn = {id: replace(item, png=item.png and pixel) for id, item in known.pictures.items()}
    known = replace(known, pictures=drawn, undrawn=3, hurried=True)
    pages = {name: folder / f"{name}.html" for name in NAMES}
    for language in ("en", "zh"):
        text = render("html", nasty(language), manner(language)._replace(cases=known))
        pages[language].write_text(text, encoding="utf-8")
    dataset = planted.build("ct", folder)
    for name in ("label with 3", "label moved by 5 mm"):
        next(fault for fault in planted.FAULTS if fault.name == name).plant(dataset)
    environ = {**clean_environ(), "XDG_CACHE_HOME": str(folder), "LOCALAPPDATA": str(folder)}
    call(["check", dataset, "--select", "dataset", "--lang", "en", "--report", pages["checked"]], environ, folder)
    return pages


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the files."""
    return write_pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Return one browser for all tests: to start it takes a second."""
    running = Browser(str(PROGRAM), tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


class Opened(dict[tuple[str, int], Page]):
    """Opens what is not open yet."""

    def __init__(self, chromium: Browser, pages: dict[str, Path]) -> None:
        super().__init__()
        self.chromium, self.pages = chromium, pages

    def __missing__(self, key: tuple[str, int]) -> Page:
        name, width = key
        return self.setdefault(key, self.chromium.open(self.pages[name], width))


@pytest.fixture(scope="module")
def shown(chromium: Browser, pages: dict[str, Path]) -> Opened:
    """Return each file at each width, opened when it is first asked for."""
    return Opened(chromium, pages)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def colour(text: str) -> list[int]:
    return [int(text[at : at + 2], 16) for at in (1, 3, 5)]


def every(test: Any) -> Any:
    """Try each page at each width."""
    return pytest.mark.parametrize("width", WIDTHS)(pytest.mark.parametrize("name", TRIED)(test))


@every
def test_nothing_is_asked_for_and_nothing_complained_of(
    shown: Opened, pages: dict[str, Path], name: str, width: int
) -> None:
    """The browser reads the one file, and neither the policy nor the script gives it anything to say."""
    page = shown[name, width]
    asked = {item["request"]["url"] for item in page.told("Network.requestWillBeSent")}

    assert {url for url in asked if not url.startswith("data:image/png;base64,")} == {pages[name].as_uri()}
    for complaint in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Network.loadingFailed"):
        assert page.told(complaint) == [], complaint


@every
def test_nothing_runs_over_the_edge(shown: Opened, name: str, width: int) -> None:
    """Folded or not, the page is as wide as its window, no part lies over another, and no word and no picture is lost."""
    found = shown[name, width].ask(LAYOUT)

    assert found["wide"] == width
    assert {key: found[key] for key in ("overflows", "hidden", "outside", "overlaps", "broken")} == {
        "overflows": False,
        "hidden": [],
        "outside": [],
        "overlaps": 0,
        "broken": 0,
    }
    assert found["buttons"] == found["commands"] > 0
    assert found["images"] > 0
    assert found["sections"] >= 5


@every
def test_a_screenshot_shows_the_verdict_and_the_findings(shown: Opened, name: str, width: int) -> None:
    """What is seen at first is no blank sheet: the verdict and the edge of the first finding have their colour."""
    page = shown[name, width]
    seen = pixels(page.screenshot())
    x, y, wide, high = map(int, page.ask(f"{BOX}(document.querySelector('.verdict'))"))
    verdict = pixels(page.screenshot({"x": x, "y": y, "width": wide, "height": high}))
    x, y, wide, high = map(int, page.ask(f"{BOX}(document.querySelector('article'))"))
    edge = pixels(page.screenshot({"x": x, "y": y, "width": wide, "height": high}))
    light = palettes()["light"]
    severity = page.ask("document.querySelector('article').className")

    assert seen.shape == (900, width, 3)
    assert 0.005 < (np.abs(seen - colour(light["ground"])).sum(-1) > 300).mean() < 0.5
    assert (verdict == colour(light["error"])).all(-1).mean() > 0.05
    assert (edge[high // 4 : -high // 4, 2] == colour(light[severity])).all()
    assert (edge[high // 2, 8 : wide - 4] == colour(light["panel"])).all(-1).any()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_screenshot_shows_the_picture_of_a_case(shown: Opened, width: int) -> None:
    """The picture that is drawn is the one that is seen, pixel by pixel, with an outline of the label in it."""
    page = shown["checked", width]
    x, y, wide, high = page.ask(f"{BOX}(document.querySelector('figure img'))")
    seen = pixels(page.screenshot({"x": x, "y": y, "width": wide, "height": high}))
    source = page.ask("document.querySelector('figure img').src")
    drawn = pixels(base64.b64decode(source.partition(",")[2]))

    assert seen.shape == drawn.shape
    assert np.abs(seen - drawn).max() <= 2
    assert max((seen == colour(text)).all(-1).sum() for text in COLOURS) > 20


@pytest.mark.parametrize("width", WIDTHS)
def test_a_screenshot_shows_the_plots(shown: Opened, width: int) -> None:
    """Each plot has bars, of at least a few pixels."""
    page = shown["checked", width]
    bars = colour(palettes()["light"]["bars"])
    for number in range(page.ask("document.querySelectorAll('svg.plot').length")):
        x, y, wide, high = page.ask(f"{BOX}(document.querySelectorAll('svg.plot')[{number}])")
        seen = pixels(page.screenshot({"x": x, "y": y, "width": wide, "height": high}))

        assert (seen == bars).all(-1).sum() > 50, number


def test_whoever_likes_it_dark_gets_it_dark(chromium: Browser, pages: dict[str, Path]) -> None:
    """The ground is dark and the words are light."""
    page = chromium.open(pages["checked"], 1280, scheme="dark")
    seen = pixels(page.screenshot())
    dark = palettes()["dark"]

    assert (seen == colour(dark["ground"])).all(-1).mean() > 0.3
    assert (seen == colour(dark["text"])).all(-1).any()
    assert not (seen == 255).all(-1).any()


def bookmarks(pdf: bytes) -> set[str]:
    """Return the titles of the outline of a PDF: texts in brackets, or UTF-16 in hexadecimal digits."""
    found = set()
    for plain, digits in re.findall(rb"/Title ?(?:\(((?:\\.|[^\\)])*)\)|<([0-9A-Fa-f]+)>)", pdf):
        if digits:
            found.add(bytes.fromhex(digits.decode("ascii")).decode("utf-16"))
        else:
            found.add(re.sub(rb"\\(.)", rb"\1", plain).decode("latin-1"))
    return found


@pytest.mark.parametrize("name", TRIED)
def test_paper_loses_no_section(chromium: Browser, pages: dict[str, Path], name: str) -> None:
    """Every section and every finding is in the PDF, and what is folded on a screen is unfolded; only what found nothing is left out."""
    page = chromium.open(pages[name], 1280)
    pdf = page.printed()
    headings = page.ask("[...document.querySelectorAll('h2, h3')].map((item) => [item.id, item.innerText.trim()])")
    page.emulate("print", "light")
    lost = page.ask(
        "[...document.querySelectorAll('main details > *, main article, main figure')].filter((item) =>"
        " !item.closest('[aria-labelledby=passed]') && !item.checkVisibility())"
        ".map((item) => item.textContent)"
    )
    passed = say("zh" if name == "zh" else "en", "html_passed")
    wanted = {" ".join(text.split()) for id, text in headings if id != "passed"}

    assert pdf.startswith(b"%PDF")
    assert wanted - {" ".join(text.split()) for text in bookmarks(pdf)} == set()
    assert len(wanted) > 8
    assert passed not in bookmarks(pdf)
    assert lost == []
    assert len(re.findall(rb"/Type ?/Page\b", pdf)) >= 2


@pytest.mark.skipif(AXE is None, reason="axe-core-python is not installed")
@every
def test_axe_finds_no_serious_obstacle(shown: Opened, name: str, width: int) -> None:
    """The rules of axe-core for people who do not see, hear or point well, contrasts included, are kept."""
    assert AXE is not None
    (folder,) = AXE.submodule_search_locations or ()
    page = shown[name, width]
    page.ask(Path(folder, "axe.min.js").read_text(encoding="utf-8") + "; 0")
    found = page.ask(
        "axe.run(document).then((result) => ({passes: result.passes.map((rule) => rule.id), violations:"
        " result.violations.map((rule) => [rule.id, rule.impact, rule.nodes.map((node) => node.html.slice(0, 200))])}))"
    )

    assert [item for item in found["violations"] if item[1] in ("serious", "critical")] == []
    assert {"color-contrast", "image-alt", "document-title", "html-has-lang"} <= set(found["passes"])
