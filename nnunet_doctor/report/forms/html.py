"""One page of HTML that needs nothing else: no network, no script, no second file.

Findings with their evidence and fixes, the plan, what is undecided; of a dataset how its cases lie over sizes,
spacings, intensities and labels, a table of them, and pictures of those that a finding names. A small script adds
buttons for copying; a policy in the page forbids it, and everything else, to load anything.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

from nnunet_doctor.report.forms.manner import (
    MARKS,
    Manner,
    about_dataset,
    commands_of,
    consequences,
    counts,
    cut,
    evidence_of,
    settings_of,
    text_of,
    verdict_of,
    waived_because,
)
from nnunet_doctor.report.forms.markup import Markup, el, join
from nnunet_doctor.report.forms.plots import Row, Value, number, plot
from nnunet_doctor.report.record import FindingRecord, Report
from nnunet_doctor.report.text import about, value_of
from nnunet_doctor.shell import set_variable
from nnunet_doctor.words import JOINTS, say, translated

if TYPE_CHECKING:
    from nnunet_doctor.probes.raw.cases import CaseFacts, Cases
    from nnunet_doctor.probes.raw.picture import Picture

MOST_DETAILS = 200
OPEN_DETAILS = 12
"""Up to here a list of files is unfolded."""
MOST_LETTERS = 500
MOST_ROWS = 1000
MOST_CLASSES = 24
"""Classes that are plotted; the table has all."""
FEW_LABELS = 4
MOST_SIZE = 1e300
"""What is greater cannot be told from infinity after a few steps."""

SAID = ("other-shape", "no-time", "no-memory", "no-image")
"""Reasons of picture.py and cases.py that are words of ours; others are particulars, as in the details of findings."""

ABOUT: Mapping[str, frozenset[str]] = {
    "shape": frozenset({"shape-outlier", "shape-mismatch", "not-3d"}),
    "spacing": frozenset({"spacing-outlier", "spacing-mismatch", "spacing-ambiguous", "units", "input-spacing"}),
    "intensity": frozenset({"channels-mixed", "extreme-values", "constant-image", "nan", "inf", "bad-scaling"}),
    "label": frozenset({"class-in-one-case", "label-unexpected", "label-empty", "label-no-background"}),
}
"""The findings for which a case is marked in a plot."""

Named = Mapping[str, Sequence[FindingRecord]]
"""The findings that name a case, by its id."""


def render(report: Report, manner: Manner) -> str:
    """Return the report as HTML, in ASCII so that it is right in every code page."""
    language = manner.language
    style, script = _own("page.css"), _own("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    verdict = say(language, verdict_of(report))
    sections = _sections(report, manner)
    title = f"nnunet-doctor{JOINTS[language].place}{verdict}" + (f" - {report.dataset.name}" if report.dataset else "")
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        Markup(f"<style>{style}</style>"),
    )
    body = el(
        "body",
        el("a", say(language, "html_skip"), class_="skip", href="#main"),
        _header(report, language, verdict),
        _contents(sections, language),
        el("main", *(section for _, _, section in sections), id="main", tabindex="-1"),
        el("footer", el("p", say(language, "html_footer", version=report.doctor))),
        Markup(f"<script>{script}</script>"),
        data_copy=say(language, "html_copy"),
        data_copied=say(language, "html_copied"),
    )
    page = f"<!doctype html>\n{el('html', head, body, lang='zh-Hans' if language == 'zh' else 'en')}\n"
    return page.encode("ascii", "xmlcharrefreplace").decode("ascii")


def named_files(report: Report) -> list[str]:
    """Return the files of the dataset that findings name: one of each finding, the worst first, then the next."""
    turns = itertools.zip_longest(*(finding.subjects for finding in findings_of_files(report)))
    return list(dict.fromkeys(subject for turn in turns for subject in turn if subject is not None))


def findings_of_files(report: Report) -> list[FindingRecord]:
    """Return the findings that name files of the dataset."""
    return [finding for finding in report.findings if finding.area == "dataset" and finding.subjects]


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="ascii")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('ascii')).digest()).decode('ascii')}"


def _header(report: Report, language: str, verdict: str) -> Markup:
    dataset, notes = report.dataset, list[str]()
    if dataset is not None:
        notes.append(about_dataset(report, language))
        if dataset.interrupted:
            notes.append(say(language, "survey_interrupted"))
        elif dataset.depth != "deep" and dataset.files:
            notes.append(say(language, f"survey_{dataset.depth}"))
    return el(
        "header",
        el("h1", f"nnunet-doctor{JOINTS[language].place}", el("span", verdict, class_=f"verdict {report.verdict}")),
        el("p", counts(report, language), class_="counts"),
        el("p", about(report, language)),
        *(el("p", note) for note in notes),
    )


def _contents(sections: Iterable[tuple[str, str, Markup]], language: str) -> Markup:
    links = [el("li", el("a", title, href=f"#{id}")) for id, title, _ in sections]
    return el("nav", el("ul", *links), aria_label=say(language, "html_contents"))


def _sections(report: Report, manner: Manner) -> list[tuple[str, str, Markup]]:
    """Return id, title and content of each part that there is something in."""
    cases = manner.cases
    named = _named(report, cases) if cases is not None else {}
    depth = report.dataset.depth if report.dataset is not None else None
    parts = [
        ("findings", "html_findings", _findings(report, manner)),
        ("plan", "html_plan", _plan(report, manner)),
        ("undecided", "html_undecided", _undecided(report, manner.language)),
        ("waived", "html_waived", _waived(report, manner.language)),
    ]
    if cases is not None and cases.cases:
        parts += [
            ("pictures", "html_pictures", _pictures(cases, named, manner.language)),
            ("spread", "html_spread", _spread(cases, named, depth, manner.language)),
            ("labels", "html_labels", _labels(cases, manner.language)),
            ("cases", "html_cases", _cases(cases, named, manner.language)),
        ]
    parts.append(("passed", "html_passed", _passed(report, manner.language)))
    return [
        (id, title, el("section", el("h2", title, id=id), *content, aria_labelledby=id))
        for id, key, content in parts
        if content and (title := say(manner.language, key))
    ]


# --- findings ------------------------------------------------------------------------------------------------------


def _findings(report: Report, manner: Manner) -> list[Markup]:
    shown = [finding for finding in report.findings if finding.explained_by is None]
    if not shown:
        key = "waived_nothing_new" if report.known else "waived_nothing_else" if report.waived else "all_well"
        return [el("p", say(manner.language, "no_problem" if report.unknown else key))]
    return [_finding(finding, report, manner, "h3") for finding in shown]


def _finding(finding: FindingRecord, report: Report, manner: Manner, heading: str) -> Markup:
    language = manner.language
    mark = el("span", MARKS[finding.severity], class_=f"mark {finding.severity}")
    parts = [
        el(heading, mark, " ", finding.title, " ", el("code", finding.id, class_="id")),
        el("p", finding.why),
        *_files(finding, language),
        *_evidence(finding, language),
        *_fixes(finding, manner),
    ]
    if finding.references:
        parts.append(el("p", say(language, "explain_references", items=", ".join(finding.references)), class_="quiet"))
    folded = consequences(report, finding.id)
    if folded:
        ids = ", ".join(item.id for item in folded)
        inner = [_finding(item, report, manner, "h4") for item in folded]
        parts.append(el("details", el("summary", say(language, "follows", ids=ids)), *inner))
    return el("article", *parts, id=f"finding-{finding.id}", class_=finding.severity)


def _files(finding: FindingRecord, language: str) -> list[Markup]:
    if not finding.details:
        return []
    rows = [
        el("li", el("code", item.subject), *([" ", item.message] if item.message else []))
        for item in finding.details[:MOST_DETAILS]
    ]
    if len(finding.details) > MOST_DETAILS:
        rows.append(el("li", say(language, "also", count=len(finding.details) - MOST_DETAILS)))
    summary = el("summary", say(language, "html_files", count=len(finding.details)))
    return [el("details", summary, el("ul", *rows), open=True if len(rows) <= OPEN_DETAILS else None)]


def _evidence(finding: FindingRecord, language: str) -> list[Markup]:
    rows = [
        el(
            "tr",
            el("th", el("code", item.fact), scope="row"),
            el("td", cut(value_of(item.value, language), MOST_LETTERS)),
            el("td", translated(language, item.source)),
        )
        for item in evidence_of(finding)
    ]
    if not rows:
        return []
    head = _head(language, "html_fact", "html_value", "html_source")
    table = _table(say(language, "html_evidence"), head, rows, hidden_caption=True)
    return [el("details", el("summary", say(language, "html_evidence")), table)]


def _fixes(finding: FindingRecord, manner: Manner) -> list[Markup]:
    if not finding.fixes:
        return []
    items = [
        el("li", text_of(fix, finding, manner.language), *map(_command, commands_of(fix, manner.shell)))
        for fix in finding.fixes
    ]
    return [el("p", el("strong", say(manner.language, "html_fixes"))), el("ol", *items)]


def _command(line: str) -> Markup:
    return el("pre", el("code", line))


# --- plan and undecided --------------------------------------------------------------------------------------------


def _plan(report: Report, manner: Manner) -> list[Markup]:
    language, plan = manner.language, report.plan
    parts: list[Markup] = []
    if settings_of(report):
        lines = [set_variable(manner.shell, *item) for item in plan.env.items()]
        lines += [f"nnUNetv2_train ... {' '.join(plan.args)}"] if plan.args else []
        rows = [
            el(
                "tr",
                el("th", el("code", item.setting), scope="row"),
                el("td", el("code", item.value)),
                el("td", _link(item.because, report)),
            )
            for item in plan.reasons
        ]
        title = say(language, "run_settings" if plan.blocked_by else "plan_head")
        head = _head(language, "html_setting", "html_value", "html_asked_by")
        parts += [_table(title, head, rows), _command("\n".join(lines))]
    if plan.blocked_by:
        parts.append(el("p", say(language, "plan_blocked", ids=", ".join(plan.blocked_by))))
    return parts


def _link(id: str, report: Report) -> Markup:
    """Return the id of a check, as a link where the page has its finding: some fire only under other settings."""
    shown = any(finding.id == id for finding in report.findings)
    return el("a", id, href=f"#finding-{id}") if shown else el("code", id)


def _undecided(report: Report, language: str) -> list[Markup]:
    if not report.unknown:
        return []
    rows = [
        el("tr", el("th", el("code", item.id), scope="row"), el("td", cut(item.because, MOST_LETTERS)))
        for item in report.unknown
    ]
    title = say(language, "markdown_undecided", count=len(rows))
    table = _table(title, _head(language, "html_check", "html_reason"), rows, hidden_caption=True)
    return [el("details", el("summary", title), table)]


def _waived(report: Report, language: str) -> list[Markup]:
    rows = [
        el(
            "tr",
            el("th", el("code", item.id), scope="row"),
            el("td", item.title, *([": ", ", ".join(item.subjects[:FEW_LABELS])] if item.subjects else [])),
            el("td", waived_because(item, language)),
        )
        for item in report.waived
    ]
    head = _head(language, "html_check", "html_what", "html_reason")
    parts = [_table(say(language, "html_waived"), head, rows, hidden_caption=True)] if rows else []
    return [*parts, el("p", say(language, "waived_known", ids=", ".join(report.known)))] if report.known else parts


def _passed(report: Report, language: str) -> list[Markup]:
    if not report.passed:
        return []
    ids = [el("li", el("code", id)) for id in report.passed]
    return [
        el("details", el("summary", say(language, "html_passed_count", count=len(ids))), el("ul", *ids, class_="ids"))
    ]


def _head(language: str, *keys: str) -> list[str]:
    return [say(language, key) for key in keys]


def _table(caption: str, head: Sequence[str], rows: Iterable[Markup], *, hidden_caption: bool = False) -> Markup:
    """Return a table that can be scrolled with keys where it is wider than the page."""
    names = [el("th", name, scope="col") for name in head]
    table = el(
        "table",
        el("caption", caption, class_="unseen" if hidden_caption else None),
        el("thead", el("tr", *names)),
        el("tbody", *rows),
    )
    return el("div", table, class_="scroll", tabindex="0", role="group", aria_label=caption)


# --- cases ---------------------------------------------------------------------------------------------------------


def _named(report: Report, cases: Cases) -> Named:
    of_file = {path: case.id for case in cases.cases for path in case.files}
    named: dict[str, list[FindingRecord]] = {}
    for finding in report.findings:
        if finding.area == "dataset":
            for id in dict.fromkeys(of_file[subject] for subject in finding.subjects if subject in of_file):
                named.setdefault(id, []).append(finding)
    return named


def _pictures(cases: Cases, named: Named, language: str) -> list[Markup]:
    if not cases.pictures:
        return []
    figures = [_figure(id, picture, cases, named.get(id, ()), language) for id, picture in cases.pictures.items()]
    parts = [el("p", say(language, "html_pictures_what")), el("div", *figures, class_="pictures")]
    if cases.undrawn:
        key = "html_undrawn_hurried" if cases.hurried else "html_undrawn"
        parts.append(el("p", say(language, key, count=cases.undrawn, total=cases.undrawn + len(figures))))
    return parts


def _figure(id: str, picture: Picture, cases: Cases, findings: Sequence[FindingRecord], language: str) -> Markup:
    parts: list[Markup] = []
    if picture.png:
        place = say(language, "html_slice", number=picture.number, count=picture.slices)
        parts.append(
            el(
                "img",
                src=f"data:image/png;base64,{picture.png}",
                width=picture.width,
                height=picture.height,
                alt=say(language, "html_alt", id=id, place=place),
            )
        )
    else:
        place = ""
    reason = picture.reason
    because = say(language, f"html_{reason.replace('-', '_')}") if reason in SAID else translated(language, reason)
    reason = say(language, "html_no_picture" if not picture.png else "html_no_label", because=because)
    lines = [el("strong", id), *([Markup("<br/>"), place] if place else [])]
    lines += [Markup("<br/>"), reason] if picture.reason else []
    drawn = [
        el("li", el("span", class_=f"swatch l{_colour(value)}"), _class_name(value, cases)) for value in picture.values
    ]
    links = [el("li", el("a", finding.title, href=f"#finding-{_shown(finding)}")) for finding in findings]
    parts.append(
        el(
            "figcaption",
            el("p", *lines),
            *([el("ul", *drawn, class_="legend", aria_label=say(language, "html_outlines"))] if drawn else []),
            *([el("ul", *links, class_="links", aria_label=say(language, "html_named_in"))] if links else []),
        )
    )
    return el("figure", *parts)


def _shown(finding: FindingRecord) -> str:
    return finding.explained_by or finding.id


def _colour(value: float) -> int:
    """Return the number of the colour that an outline has; picture.py has as many."""
    return (abs(int(value)) - 1) % 7 if math.isfinite(value) else 0


def _class_name(value: float, cases: Cases) -> str:
    name = cases.names.get(value)
    return f"{number(value)} {name}" if name else number(value)


def _spread(cases: Cases, named: Named, depth: str | None, language: str) -> list[Markup]:
    """Return plots of what is known of the cases."""
    levels = []
    for channel in sorted({channel for case in cases.cases for channel in case.ranges}):
        for end, key in enumerate(("html_lowest", "html_highest")):
            known = [(case.id, case.ranges[channel][end]) for case in cases.cases if channel in case.ranges]
            name = f"{cases.channels.get(channel, channel)} {say(language, key)}"
            levels.append(Row(name, _values(known, named, "intensity")))
    decoded, total = sum(bool(case.ranges) for case in cases.cases), len(cases.cases)
    key = "html_undecoded" if depth == "deep" else "html_decoded"
    note = [el("p", say(language, key, count=decoded, total=total), class_="quiet")] if decoded < total else []
    parts = [
        *_plotted("sizes", "html_sizes", _axes(cases, named, "shape"), language, logarithmic=True),
        *_plotted("spacings", "html_spacings", _axes(cases, named, "spacing"), language, logarithmic=True),
        *_plotted("intensities", "html_intensities", levels, language, note),
        *_plotted("classes", "html_classes", _shares(cases, named), language, logarithmic=True),
    ]
    if not parts:
        return []
    return [el("p", say(language, "html_spread_what")), *parts, *([] if any(row.values for row in levels) else note)]


def _axes(cases: Cases, named: Named, what: Literal["shape", "spacing"]) -> list[Row]:
    """Return a row for each axis, of what is above zero along it."""
    lengths = [(case.id, case.shape if what == "shape" else case.spacing) for case in cases.cases]
    return [
        Row(name, _values([(id, of[axis]) for id, of in lengths if len(of) > axis and of[axis] > 0], named, what))
        for axis, name in enumerate("xyz")
    ]


def _values(known: Iterable[tuple[str, float]], named: Named, what: str) -> list[Value]:
    return [
        Value(id, float(value), _is_marked(id, named, what))
        for id, value in known
        if math.isfinite(value) and abs(value) < MOST_SIZE
    ]


def _is_marked(id: str, named: Named, what: str) -> bool:
    return any(finding.id in ABOUT[what] for finding in named.get(id, ()))


def _shares(cases: Cases, named: Named) -> list[Row]:
    """Return for each class the share of voxels in percent, over the cases that have it."""
    values: dict[float, list[Value]] = {value: [] for value in sorted(cases.names) if value != 0}
    for case in cases.cases:
        total = sum((case.labels or {}).values())
        for value, count in (case.labels or {}).items():
            if value != 0 and total and count:
                share = Value(case.id, 100 * count / total, _is_marked(case.id, named, "label"))
                values.setdefault(value, []).append(share)
    return [Row(_class_name(value, cases), found) for value, found in values.items()][:MOST_CLASSES]


def _plotted(
    id: str, key: str, rows: Sequence[Row], language: str, note: Sequence[Markup] = (), *, logarithmic: bool = False
) -> list[Markup]:
    """Return a plot with its heading, a note on it and its figures; nothing without values."""
    rows = [row for row in rows if row.values]
    if not rows:
        return []
    title = say(language, key)
    head = _head(language, "html_what", "html_least", "html_median", "html_greatest", "html_marked")
    body = [_extremes(row) for row in rows]
    return [
        el("h3", title),
        *note,
        el("div", plot(rows, title, f"plot-{id}", logarithmic=logarithmic), class_="plots"),
        _table(title, head, body, hidden_caption=True),
    ]


def _extremes(row: Row) -> Markup:
    least, most = min(row.values, key=lambda item: item.value), max(row.values, key=lambda item: item.value)
    marked = [item.case for item in row.values if item.marked]
    return el(
        "tr",
        el("th", row.name, scope="row"),
        el("td", f"{number(least.value)} ({least.case})"),
        el("td", number(median(item.value for item in row.values))),
        el("td", f"{number(most.value)} ({most.case})"),
        el("td", _listed(marked)),
    )


def _listed(ids: Sequence[str], most: int = 5) -> str:
    return ", ".join(ids[:most]) + (f", ... ({len(ids)})" if len(ids) > most else "")


def _labels(cases: Cases, language: str) -> list[Markup]:
    counted = [case for case in cases.cases if case.labels is not None]
    if not counted:
        return []
    values = sorted({*cases.names, *(value for case in counted for value in case.labels or {})})
    voxels = sum(sum((case.labels or {}).values()) for case in counted)
    rows = []
    for value in values[:MOST_ROWS]:
        found = [(case.labels or {}).get(value, 0) for case in counted]
        holding = sum(count > 0 for count in found)
        share = 100 * sum(found) / voxels if voxels else 0.0
        rows.append(
            el(
                "tr",
                el("th", number(value), scope="row"),
                el("td", cases.names.get(value, say(language, "html_undeclared"))),
                el("td", say(language, "html_of", count=holding, total=len(counted))),
                el("td", f"{number(share)} %"),
            )
        )
    head = _head(language, "html_label_value", "html_label_name", "html_label_cases", "html_label_share")
    return [_table(say(language, "html_labels"), head, rows, hidden_caption=True)]


def _cases(cases: Cases, named: Named, language: str) -> list[Markup]:
    # what is named comes into the table first, and then as many others as there is room for
    chosen = {case.id for case in sorted(cases.cases, key=lambda case: case.id not in named)[:MOST_ROWS]}
    rows = [_case(case, cases, named.get(case.id, ())) for case in cases.cases if case.id in chosen]
    head = _head(
        language, "html_case", "html_sizes", "html_spacings", "html_intensities", "html_classes", "html_named_in"
    )
    title = say(language, "html_cases_count", count=len(cases.cases))
    parts = [el("details", el("summary", title), _table(title, head, rows, hidden_caption=True))]
    left = len(cases.cases) - len(rows)
    return [*parts, el("p", say(language, "also", count=left))] if left else parts


def _case(case: CaseFacts, cases: Cases, findings: Sequence[FindingRecord]) -> Markup:
    total = sum((case.labels or {}).values()) or 1
    shares = [(value, 100 * count / total) for value, count in (case.labels or {}).items() if value != 0]
    labels = [f"{_class_name(value, cases)}: {number(share)}" for value, share in shares[:FEW_LABELS]]
    labels += [f"... ({len(shares)})"] if len(shares) > FEW_LABELS else []
    links = [el("a", finding.id, href=f"#finding-{_shown(finding)}") for finding in findings]
    mark = [el("span", "\u25c6", class_="diamond", aria_hidden="true"), " "] if findings else []
    return el(
        "tr",
        el("th", *mark, case.id, scope="row"),
        el("td", " \u00d7 ".join(map(str, case.shape))),
        el("td", " \u00d7 ".join(map(number, case.spacing))),
        el("td", "; ".join(f"{number(low)} \u2026 {number(high)}" for low, high in case.ranges.values())),
        el("td", ", ".join(labels)),
        el("td", join(itertools.chain.from_iterable(zip(links, itertools.repeat(" "), strict=False)))),
    )
