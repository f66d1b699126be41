"""Makes the pages of the site that the repository already holds in another form: README, check files, options.

MkDocs calls the functions ``on_...``. A page of a check says, word for word, what ``nnunet-doctor explain`` prints.
Pages written by hand lie in ``pages``, those in Chinese in ``pages/zh``; the English ones of the same name are their
counterparts, and README.md and checks/README.md are those of ``zh/index.md`` and ``zh/format.md``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from nnunet_doctor import arguments, catalogue, manual
from nnunet_doctor.check import AREAS, Check
from nnunet_doctor.explanation import Part, explanation

ROOT = Path(__file__).resolve().parents[1]
OTHER = {"en": ("zh", "中文"), "zh": ("en", "English")}
HEADS = {
    "en": ("Checks", "check", "severity", "problem", "Each page says what `nnunet-doctor explain ID` says."),
    "zh": ("检查项", "检查", "级别", "问题", "每一页的内容与 `nnunet-doctor explain ID --lang zh` 的输出相同。"),
}
AREAS_IN_CHINESE = {
    "os": "操作系统",
    "python": "Python",
    "triton": "Triton",
    "device": "显卡",
    "wsl2": "WSL2",
    "nnunet": "nnU-Net",
    "paths": "文件夹",
    "resources": "内存、处理器和磁盘",
    "dataset": "数据集",
    "training": "训练",
}
PAGES = ".docs/pages/"
ELSEWHERE = {"README.md": "index.md", "checks/README.md": "format.md", "CHANGELOG.md": "changes.md"}
"""Files of the repository that are pages of the site."""

_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)[^)#\s]+")
_GITHUB = re.compile(r"^([\w.-]+/[\w.-]+)#(\d+)$")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_nav(nav: Any, config: Any, files: Any) -> Any:  # noqa: ARG001 - MkDocs gives all of them
    """Put each check under the list of its language, so that its page shows the way to the others in that language."""
    for language in OTHER:
        section = files.get_file_from_path(f"{language}/checks.md").page.parent
        for file in files.documentation_pages():
            if file.src_uri.startswith(f"{language}/") and file.page.parent is None:
                file.page.parent = section
    return nav


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links that lead in the repository into those that lead on the site."""
    return moved(markdown, page.file.src_uri)


def on_page_context(context: Any, page: Any, config: Any, **_: Any) -> Any:
    """Let the theme speak the language of the page, and lead to the first page in that language."""
    chinese = page.file.src_uri.startswith("zh/")
    config.theme["language"] = "zh" if chinese else "en"
    config.extra["homepage"] = "zh/index.html" if chinese else "index.html"
    return context


def pages() -> dict[str, str]:
    """Return all pages that are made, as Markdown by path."""
    checks = catalogue.load(with_examples=True)
    found = {path: (ROOT / source).read_text(encoding="utf-8") for source, path in ELSEWHERE.items()}
    # the README names pages of the repository and has no links, which would lead nowhere on the page of a package index
    found["index.md"] = re.sub(
        r"^中文说明.*$", "[中文](.docs/pages/zh/index.md)", found["index.md"], flags=re.MULTILINE
    )
    found["index.md"] = re.sub(r"`(\.docs/pages/[\w/-]+\.md)`", r"[`\1`](\1)", found["index.md"])
    found["changes.md"] = _below_title(found["changes.md"], "更新日志只有英文版。[中文首页](.docs/pages/zh/index.md)")
    found |= {"options.md": options("en"), "zh/options.md": options("zh")}
    for language in OTHER:
        found[f"{language}/checks.md"] = index(checks, language)
        found |= {f"{language}/{check.id}.md": page(check, language) for check in checks}
    return found


def moved(text: str, path: str) -> str:
    """Return the text of a page with its links as they lead on the site.

    Args:
        text: Markdown; its links lead in the repository, from where the page lies there.
        path: Where the page lies on the site.
    """
    source = {page: file for file, page in ELSEWHERE.items()}.get(path, PAGES + path)

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[0]))
        page = ELSEWHERE.get(target, target.removeprefix(PAGES))
        return posixpath.relpath(page, posixpath.dirname(path) or ".")

    return _LINK.sub(link, text)


def index(checks: tuple[Check, ...], language: str) -> str:
    """Return the list of all checks of a language, by area."""
    title, check_word, severity, problem, note = HEADS[language]
    other, name = OTHER[language]
    lines = [f"# {title}", "", f"[{name}](../{other}/checks.md)", "", note]
    for area in AREAS:
        heading = area if language == "en" else f"{AREAS_IN_CHINESE[area]}（{area}）"
        lines += ["", f"## {heading}", "", f"| {check_word} | {severity} | {problem} |", "| --- | --- | --- |"]
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
        name, colon, doc = re.split("(: |：)", part.text, maxsplit=1)
        return f"- `{name}`{colon}{_plain(doc)}"
    if part.kind == "reference":
        head, colon, items = re.split("(: |：)", part.text, maxsplit=1)
        return f"{_plain(head)}{colon}" + ", ".join(map(_linked, items.split(", ")))
    return _plain(part.text)


def _linked(word: str) -> str:
    *before, last = word.split(" ")
    found = _GITHUB.match(last)
    link = (
        f"https://github.com/{found[1]}/issues/{found[2]}" if found else last if last.startswith("https://") else None
    )
    shown = f"[{_plain(last)}]({link})" if link else _plain(last)
    return " ".join([*map(_plain, before), shown])


def options(language: str) -> str:
    """Return the help of every command, as it is printed in 80 columns."""
    import os

    os.environ["COLUMNS"] = "80"
    head = {"en": ("# Options", "[中文](zh/options.md)"), "zh": ("# 选项", "[English](../options.md)")}
    lines = [*head[language]]
    for command in manual._commands(arguments.command_line()):
        name = command.prog.removeprefix("nnunet-doctor ")
        lines += [f"## {name}", f"```text\n{arguments.help_of(command, language).rstrip()}\n```"]
    return "\n\n".join(lines) + "\n"


def _below_title(text: str, line: str) -> str:
    return text.replace("\n", f"\n\n{line}\n", 1)


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
