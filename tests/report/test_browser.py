"""The page in a real browser, headless; collected only where chromium is installed."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from report.nasty import manner, nasty
from report.test_html import cases

from nnunet_doctor.report.forms import render

LOOK = """
onload = () => {
  const found = [...document.querySelectorAll("iframe")].map((frame) => {
    const page = frame.contentDocument;
    const root = page.documentElement;
    const folded = root.scrollWidth > root.clientWidth;
    page.querySelectorAll("details").forEach((part) => { part.open = true; });
    return {
      wide: root.clientWidth, overflows: folded || root.scrollWidth > root.clientWidth,
      buttons: page.querySelectorAll("button").length, commands: page.querySelectorAll("pre").length,
      broken: [...page.images].filter((image) => image.naturalWidth === 0).length, images: page.images.length,
      loaded: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name)
        .filter((name) => !name.startsWith("data:")),
      styled: frame.contentWindow.getComputedStyle(page.querySelector("article")).borderLeftWidth,
      hidden: [...page.querySelectorAll("h1, h2, h3, p, li, code")].filter(
        (item) => item.offsetWidth === 0 && !item.closest(".unseen")).length,
    };
  });
  document.title = JSON.stringify(found);
};
"""
WIDTHS = (360, 1280)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_works_in_a_browser(tmp_path: Path, language: str) -> None:
    """At the width of a phone and of a screen nothing runs over the edge, nothing is loaded or refused, no word is lost.

    The script that adds buttons runs under the page's own policy, and so does its style.
    """
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
    known = cases(40)
    drawn = {id: replace(item, png=item.png and pixel) for id, item in known.pictures.items()}
    known = replace(known, pictures=drawn)
    page = html.escape(render("html", nasty(language), manner(language)._replace(cases=known)))
    frames = "".join(
        f'<iframe width="{width}" height="900" style="border:0" srcdoc="{page}"></iframe>' for width in WIDTHS
    )
    file = tmp_path / "look.html"
    file.write_text(f"<!doctype html><title>none</title>{frames}<script>{LOOK}</script>", encoding="utf-8")
    done = subprocess.run(
        [
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--enable-logging=stderr",
            "--virtual-time-budget=10000",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
        timeout=120,
    )
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    found = json.loads(html.unescape(title[1]) if title else "null")

    assert "CONSOLE" not in done.stderr
    assert [item["wide"] >= width - 20 for item, width in zip(found, WIDTHS, strict=True)] == [True, True]
    assert [(item["overflows"], item["loaded"], item["hidden"], item["broken"]) for item in found] == [
        (False, [], 0, 0)
    ] * 2
    assert all(item["buttons"] == item["commands"] > 3 for item in found)
    assert all(item["images"] == 2 and item["styled"] != "0px" for item in found)
