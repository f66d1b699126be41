"""The page stands alone, reads without script, is built for all readers, and shows the cases of a dataset."""

from __future__ import annotations

import itertools
import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report.nasty import MESSAGE, NAMES, manner, nasty

from nnunet_doctor.probes.raw.cases import CaseFacts, Cases
from nnunet_doctor.probes.raw.picture import COLOURS, Picture
from nnunet_doctor.report.forms import html, render
from nnunet_doctor.report.forms.plots import Row, Value, plot

LANGUAGES = ("en", "zh")
CSS = Path(html.__file__).with_name("page.css").read_text(encoding="ascii")
VOID = {"meta", "img", "br", "rect", "line", "path"}
ODD = '病例 <1> & "x" ${y} \udcff'


class Page(HTMLParser):
    """Elements of a page with their attributes and texts, and whether each is closed where it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.crossed: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    def text(self, *tags: str) -> str:
        return "\n".join(data for tag, data in self.texts if not tags or tag in tags)


def cases(count: int = 30, pictures: int = 2) -> Cases:
    """Return cases of which one has an odd name, one is far out, and one could not be read."""
    found = [
        CaseFacts(
            f"case_{number:04d}",
            (f"imagesTr/case_{number:04d}_0000.nii.gz", f"labelsTr/case_{number:04d}.nii.gz"),
            (160 + number % 40, 170, 30 + number % 50),
            (0.7 + number % 7 / 10, 0.8, 3.0),
            {0: (-1024.0, 1000.0 + number)},
            {0.0: 900_000, 1.0: 5000 + number, 2.0: number % 3},
        )
        for number in range(count - 3)
    ]
    found += [
        CaseFacts(ODD, tuple(NAMES), (5000, 20, 20), (0.001, 0.001, 50.0), {0: (-1e30, 1e300)}, {0.0: 1, 7.0: 3}),
        CaseFacts("flat", ("imagesTr/flat.png",), (300, 200), (), {0: (0.0, float("inf"))}, {}),
        CaseFacts("lost", ("imagesTr/lost.nii.gz",)),
    ]
    drawn = Picture("iVBORw0KGgo=" * 3400, 224, 200, 12, 40, (1.0, 7.0, float("inf")), "")
    chosen = {item.id: drawn for item in found[-3 : -3 + pictures]} | {"lost": Picture(reason=MESSAGE)}
    return Cases(found, {0: "CT"}, {0: "background", 1: "liver", 2: "<lesion>", 3: "never"}, chosen)


def page_of(language: str = "en", count: int = 30, **report: object) -> tuple[str, Page]:
    text = render("html", nasty(language, **report), manner(language)._replace(cases=cases(count)))  # type: ignore[arg-type]
    return text, Page(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_html_in_ascii(language: str) -> None:
    """Every element is closed where it belongs, ids are there once, links lead to one, in any code page."""
    text, page = page_of(language)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    targets = {str(link["href"]) for link in page.all("a")}

    assert text.isascii()
    assert (page.crossed, page.open) == ([], [])
    assert len(ids) == len(set(ids))
    assert {target.removeprefix("#") for target in targets} <= set(ids)
    assert text.startswith(("<!doctype html>\n<html><head>", "<!doctype html>\n<html lang="))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_loaded_from_elsewhere(language: str) -> None:
    """No element and no style names another file or host, and a policy forbids what a name might sneak in."""
    text, page = page_of(language)
    sources = [
        value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")
    ]

    assert page.all("link", "iframe", "object", "embed", "base", "form") == []
    assert [source for source in sources if not str(source).startswith(("#", "data:image/png;base64,"))] == []
    assert re.findall(r"url\(|@import|https?:", CSS) == []
    assert any("default-src 'none'" in str(item.get("content")) for item in page.all("meta"))
    assert [name for _, attributes in page.elements for name in attributes if name.startswith("on")] == []
    assert "style=" not in text.partition("</style>")[2]


def test_only_our_own_style_and_script_are_let_in() -> None:
    """The policy holds the checksums of the style and the script that are in the page."""
    text, _ = page_of()
    script = text.partition("<script>")[2].partition("</script>")[0]
    style = text.partition("<style>")[2].partition("</style>")[0]

    assert html._hash(script) in text
    assert html._hash(style) in text
    assert (text.count("<script"), text.count("<style")) == (1, 1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_readers_find_their_way(language: str) -> None:
    """One h1, headings without gaps, landmarks, the language, texts for pictures, heads and names for tables."""
    _, page = page_of(language)
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h\d", tag)]
    tables = sum(tag == "table" for tag, _ in page.elements)

    assert page.all("html") == [{"lang": "zh-Hans" if language == "zh" else "en"}]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert max(after - before for before, after in itertools.pairwise(levels)) == 1
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "footer")] == [1, 1, 1, 1]
    assert all(image["alt"] for image in page.all("img"))
    assert all(item["role"] == "img" and item["aria-labelledby"] for item in page.all("svg"))
    assert len(page.all("caption")) == len(page.all("thead")) == tables > 0
    assert all(item["scope"] in ("col", "row") for item in page.all("th"))
    assert all(item["aria-label"] for item in page.all("nav"))


def test_all_of_the_report_is_there_without_script() -> None:
    """Findings with why, files, evidence and commands, what follows, the plan, what is undecided and what is well."""
    _, page = page_of()
    text, code = page.text(), page.text("code")

    for finding in nasty().findings:
        assert finding.id in code
        assert finding.title in text
    assert "rm -- '```' && echo $HOME" in code
    assert "export nnUNet_compile=false" in code
    assert "nnUNetv2_train ... -device cpu" in code
    assert "labelsTr/caf\\udce9.nii.gz" in code
    assert "gpu-too-small" in code
    assert "\\x00" in text
    assert "A training cannot start safely yet: label-unexpected" in text
    assert "waived: `so` @octocat ##[x]" in text
    assert "In the baseline already, not shown: shape-outlier" in text
    assert {"nan", "inf"} <= set(code.split("\n"))


def test_severity_is_a_word() -> None:
    """No colour is needed to tell an error from a remark."""
    _, page = page_of()

    assert page.text("span").count("FAIL") == 3
    assert page.text("span").count("info") == 1


def test_cases_are_shown() -> None:
    """Plots of sizes, spacings, intensities and labels with marks, tables with names, a row for each case, pictures."""
    text, page = page_of()
    plots = [str(item["id"]) for item in page.all("svg")]

    assert plots == ["plot-sizes", "plot-spacings", "plot-intensities", "plot-classes"]
    assert 'class="diamond"' in text
    assert "case_0007" in page.text("th")
    assert '病例 <1> & "x" ${y} \\udcff' in page.text("th")
    assert len(page.all("img")) == 2
    assert f"No picture: {MESSAGE}".replace("\x00", "\\x00").replace("\udcff", "\\udcff") in page.text("p")
    assert "0 of 29" in page.text("td")  # label 3 never occurs
    assert "not declared" in page.text("td")
    assert "Intensities are known of 29 of 30 cases" in page.text("p")


@pytest.mark.parametrize(
    ("hurried", "said"),
    [
        (True, "7 of 10 cases that findings name are not drawn; with --deep there is time for more pictures."),
        (False, "7 of 10 cases that findings name are not drawn"),
    ],
)
def test_what_is_not_drawn_is_said(hurried: bool, said: str) -> None:
    """The page says how many cases it leaves out, and which option draws more where time was short."""
    known = replace(cases(), undrawn=7, hurried=hurried)
    page = Page(render("html", nasty(), manner()._replace(cases=known)))

    assert said in page.text("p").splitlines()


@pytest.mark.parametrize(
    ("depth", "said"),
    [
        ("default", "Intensities are known of 29 of 30 cases; --deep decodes all images."),
        ("deep", "Intensities are known of 29 of 30 cases; images of the others could not be decoded."),
    ],
)
def test_a_plot_of_some_intensities_says_of_how_many(depth: str, said: str) -> None:
    """Beside the plot stands of how many cases it is, and --deep is named where it would add to them."""
    report = nasty()
    assert report.dataset is not None
    text = render(
        "html", replace(report, dataset=replace(report.dataset, depth=depth)), manner()._replace(cases=cases())
    )

    assert re.search(rf'<h3>Intensities</h3><p class="quiet">{re.escape(said)}</p><div class="plots">', text)


def test_a_machine_alone_has_no_part_for_cases() -> None:
    """Without a survey the page says nothing of cases."""
    page = Page(render("html", nasty(), manner()))

    assert page.all("svg", "img") == []
    assert page.crossed == []


def test_an_empty_report_says_that_all_is_well() -> None:
    """Nothing found is one warm sentence."""
    report = nasty()
    empty = type(report)("ok", [], [], ["nan"], [], type(report.plan)({}, [], []), report.machine)
    page = Page(render("html", empty, manner()))

    assert "All well: nothing stands in the way." in page.text("p")


def test_a_thousand_cases_are_a_few_megabytes() -> None:
    """With forty pictures and a finding for each case the page stays small, and is made in less than two seconds."""
    report = nasty(names=[f"labelsTr/case_{number:04d}.nii.gz" for number in range(1000)])
    known = cases(1000, pictures=2)
    many = {f"case_{number:04d}": next(iter(known.pictures.values())) for number in range(40)}
    begun = time.process_time()
    text = render("html", report, manner()._replace(cases=Cases(known.cases, known.channels, known.names, many)))

    assert time.process_time() - begun < 2
    assert len(text) < 3_000_000
    assert Page(text).text("th").count("case_") >= 990


def test_files_that_get_a_picture_are_of_all_findings() -> None:
    """One file of each finding comes first, so that a finding of a thousand files leaves room for the others."""
    report = nasty(names=("labelsTr/a.nii", "labelsTr/b.nii"), more=2)

    assert html.named_files(report) == ["labelsTr/a.nii", "labelsTr/0.nii.gz", "labelsTr/1.nii.gz", "labelsTr/b.nii"]


# --- colours -------------------------------------------------------------------------------------------------------


def palettes() -> dict[str, dict[str, str]]:
    """Return the colours of the page on screens of both kinds and on paper."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    return dict(
        zip(
            ("light", "dark", "print"), (dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in blocks), strict=True
        )
    )


def luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_words_stand_out(scheme: str) -> None:
    """Every colour of words has a contrast of 4.5 on both grounds, and what is drawn has 3."""
    colours = palettes()[scheme]
    words = ("text", "quiet", "link", "error", "warning", "info", "ok", "undecided")
    weak = {
        (name, ground)
        for name in (*words, "bars", "diamond")
        for ground in ("ground", "panel")
        if contrast(colours[name], colours[ground]) < (4.5 if name in words else 3.0)
    }

    assert weak == set()


def test_outlines_have_the_colours_of_their_legend() -> None:
    """Swatches of the page are the colours that outlines are drawn in."""
    swatches = re.findall(r"\.l\d \{ background: (#\w{6}); \}", CSS)

    assert tuple(swatches) == COLOURS
    assert len({html._colour(value) for value in range(1, 100)}) == len(COLOURS)


# --- plots ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("logarithmic", [False, True])
@pytest.mark.parametrize(
    "values",
    [[5], [1, 1], [1e-300, 1e299], [0.5, 0.75], [1, 2, 3, 1000], [2, 3e12]],
    ids=json.dumps,
)
def test_plots_keep_to_their_frame(values: list[float], logarithmic: bool) -> None:
    """Whatever the values, all that is drawn lies within the picture, and the ticks are few."""
    rows = [Row("x" * 40, [Value(f"c{number}", value, True) for number, value in enumerate(values)])]
    text = plot(rows, "label", "p", logarithmic=logarithmic)
    places = [float(x) for x in re.findall(r'(?:x\d?="|d="M|z M|zM)(-?[\d.]+)', text)]

    assert all(0 <= place <= 340 for place in places)
    assert 0 <= text.count('class="tick"') <= 7
    assert "nan" not in text


def test_values_of_both_signs_and_any_size_are_drawn() -> None:
    """An image of 1e30 beside others from -1000 to 3000 leaves those told apart."""
    values = [Value("a", -1e30, True), Value("b", -1000, False), Value("c", 3000, False), Value("d", 1e30, True)]
    text = plot([Row("CT", values)], "label", "p")

    assert len(set(re.findall(r'class="diamond" d="M([\d.]+)', text))) == 2
    assert "<text" in text
