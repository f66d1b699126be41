"""Makes the pages of the site that the repository already holds in another form: README, check files, options.

MkDocs calls ``on_files``. A page of a check says, word for word, what ``nnunet-doctor explain`` prints.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from nnunet_doctor import catalogue, cli
from nnunet_doctor.check import AREAS, Check
from nnunet_doctor.explanation import Part, explanation

ROOT = Path(__file__).resolve().parents[1]
OTHER = {"en": ("zh", "中文"), "zh": ("en", "English")}
HEADS = {
    "en": ("Checks", "check", "severity", "problem", "Each page says what `nnunet-doctor explain ID` says."),
    "zh": ("检查项", "检查", "级别", "问题", "每一页的内容与 `nnunet-doctor explain ID --lang zh` 的输出相同。"),
}
MOVED = {".docs/pages/": "", "checks/README.md": "format.md", "CHANGELOG.md": "changes.md", ".github/": ""}
"""Where a link of the README leads on the site."""

_GITHUB = re.compile(r"^([\w.-]+/[\w.-]+)#(\d+)$")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    files.append(File.generated(config, "report.svg", abs_src_path=str(ROOT / ".github" / "report.svg")))
    return files


def pages() -> dict[str, str]:
    """Return all pages that are made, as Markdown by path."""
    checks = catalogue.load(with_examples=True)
    found = {
        "index.md": _moved((ROOT / "README.md").read_text(encoding="utf-8")),
        "format.md": (ROOT / "checks" / "README.md").read_text(encoding="utf-8"),
        "changes.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "options.md": options(),
    }
    for language in OTHER:
        found[f"{language}/index.md"] = index(checks, language)
        found |= {f"{language}/{check.id}.md": page(check, language) for check in checks}
    return found


def index(checks: tuple[Check, ...], language: str) -> str:
    """Return the list of all checks of a language, by area."""
    title, check_word, severity, problem, note = HEADS[language]
    other, name = OTHER[language]
    lines = [f"# {title}", "", f"[{name}](../{other}/index.md)", "", note]
    for area in AREAS:
        lines += ["", f"## {area}", "", f"| {check_word} | {severity} | {problem} |", "| --- | --- | --- |"]
        lines += [
            f"| [{check.id}]({check.id}.md) | {check.severity} | {_plain(_without_facts(check.text[language].title))} |"
            for check in checks
            if check.area == area
        ]
    return "\n".join(lines) + "\n"


def page(check: Check, language: str) -> str:
    """Return the page of a check."""
    other, name = OTHER[language]
    blocks = [f"---\ntitle: {check.id}\n---", f"[{name}](../{other}/{check.id}.md)"]
    blocks += [_block(part) for part in explanation(check, language) if part.kind != "gap"]
    return "\n\n".join(blocks) + "\n"


def _block(part: Part) -> str:
    if part.kind == "title":
        return f"# {_plain(part.text)}"
    if part.kind == "command":
        return f"```text\n{part.text}\n```"
    if part.kind == "fact":
        name, _, doc = part.text.partition(": ")
        return f"- `{name}`: {_plain(doc)}"
    if part.kind == "reference":
        return ", ".join(_linked(word) for word in part.text.split(", "))
    return _plain(part.text)


def _linked(word: str) -> str:
    *before, last = word.split(" ")
    found = _GITHUB.match(last)
    link = (
        f"https://github.com/{found[1]}/issues/{found[2]}" if found else last if last.startswith("https://") else None
    )
    shown = f"[{_plain(last)}]({link})" if link else _plain(last)
    return " ".join([*map(_plain, before), shown])


def options() -> str:
    """Return the help of every command, as it is printed in 80 columns."""
    import argparse
    import os

    os.environ["COLUMNS"] = "80"
    lines = ["# Options", ""]
    for action in cli._parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, parser in action.choices.items():
                lines += [f"## {name}", "", "```text", parser.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


def _moved(text: str) -> str:
    for old, new in MOVED.items():
        text = text.replace(f"]({old}", f"]({new}")
    return text


def _without_facts(title: str) -> str:
    return re.sub(r"\{[a-z0-9_.]+\}", "…", title)


def _plain(text: str) -> str:
    """Return a text that Markdown takes as it is."""
    text = re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", text)
    return (
        text.replace("\\<", "&lt;")
        .replace("\\>", "&gt;")
        .replace("\\&", "&amp;")
        .replace("\\|", "&#124;")
        .replace("\\~", "~")
    )
