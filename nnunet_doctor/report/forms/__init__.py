"""The forms of a report, by name and by the suffix of a file. Each is made from the same record."""

from __future__ import annotations

import importlib
import io
from typing import NamedTuple

from nnunet_doctor.report.places import Places
from nnunet_doctor.report.record import Report


class Form(NamedTuple):
    """A form: its module, and the suffixes of files that hold it."""

    module: str
    suffixes: tuple[str, ...]


FORMS = {
    "text": Form("text", (".txt",)),
    "json": Form("json", (".json",)),
    "sarif": Form("sarif", (".sarif",)),
    "junit": Form("junit", (".xml",)),
    "github": Form("github", ()),
    "markdown": Form("markdown", (".md",)),
    "svg": Form("svg", (".svg",)),
}


def form_of(suffix: str) -> str | None:
    """Name the form that files of a suffix hold; None for an unknown suffix."""
    return next((name for name, form in FORMS.items() if suffix.lower() in form.suffixes), None)


def render(name: str, report: Report, language: str, shell: str, places: Places) -> str:
    """Return a report in a form.

    Args:
        name: A key of FORMS.
        report: What to say.
        language: en or zh.
        shell: Shell that commands are written for.
        places: What paths are relative to.
    """
    if name == "text":
        from nnunet_doctor.report.text import console_for, print_report

        stream = io.StringIO()
        print_report(report, console_for(stream), language, shell)
        return stream.getvalue()
    if name == "json":
        from nnunet_doctor.report.record import to_json

        return to_json(report, ascii_only=False) + "\n"
    if name == "svg":
        from nnunet_doctor.report.text import to_svg

        return to_svg(report, language, shell)
    module = importlib.import_module(f"nnunet_doctor.report.forms.{FORMS[name].module}")
    text: str = module.render(report, language, shell, places)
    return text
