"""The forms of a report, by name and by the suffix of a file. Each is made from the same record."""

from __future__ import annotations

import importlib
import io
from typing import TYPE_CHECKING, NamedTuple

from nnunet_doctor.report.record import Report

if TYPE_CHECKING:
    from nnunet_doctor.report.forms.manner import Manner


class Form(NamedTuple):
    """A form: its module, and the suffixes of files that hold it; OASIS knows two of SARIF."""

    module: str
    suffixes: tuple[str, ...]


FORMS = {
    "text": Form("text", (".txt",)),
    "json": Form("json", (".json",)),
    "sarif": Form("sarif", (".sarif", ".sarif.json")),
    "junit": Form("junit", (".xml",)),
    "github": Form("github", ()),
    "markdown": Form("markdown", (".md",)),
    "html": Form("html", (".html", ".htm")),
    "svg": Form("svg", (".svg",)),
}


def form_of(file: str) -> str | None:
    """Name the form of a file by the longest suffix of its name that is known; None for an unknown one."""
    known = {suffix: name for name, form in FORMS.items() for suffix in form.suffixes}
    found = [suffix for suffix in known if file.lower().endswith(suffix)]
    return known[max(found, key=len)] if found else None


def render(name: str, report: Report, manner: Manner) -> str:
    """Return a report in a form, named by a key of FORMS."""
    if name == "text":
        from nnunet_doctor.report.text import console_for, print_report

        stream = io.StringIO()
        print_report(report, console_for(stream, plain=True), manner.language, manner.shell)
        return stream.getvalue()
    if name == "json":
        from nnunet_doctor.report.record import to_json

        return to_json(report, ascii_only=False) + "\n"
    if name == "svg":
        from nnunet_doctor.report.text import to_svg

        return to_svg(report, manner.language, manner.shell)
    from nnunet_doctor.report.places import from_checkout

    module = importlib.import_module(f"nnunet_doctor.report.forms.{FORMS[name].module}")
    text: str = module.render(from_checkout(report, manner.places), manner)
    return text
