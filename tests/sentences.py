"""Finds the English sentences that stand in the code, and says which of them Chinese lacks.

``python tests/sentences.py`` prints those that are neither translated nor listed as nothing to read, ready to be put
into ``nnunet_doctor/words/zh-sentences.toml`` or ``zh-help.toml``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import tomli

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "nnunet_doctor"
UNREAD = Path(__file__).with_name("unread.toml")
"""Texts of the code with blanks in them that are no sentence to a reader: formats, commands, names, sources."""

GAP = "{}"
_WORDS = re.compile(r"[A-Za-z]{2,}[^ ]* +(?:[^ ]+ +)*[^ ]*[A-Za-z]{2,}")
_PATTERN = re.compile(r"\\[.()\[\]bdswSAZ*+?]|\(\?|\[\^|\.\*|\.\+|\[a-z")
_STYLE = re.compile(r"(?:bold|dim)(?: \w+)?")


class Sentence(NamedTuple):
    """A text of the code with two words or more; ``{}`` stands for what varies."""

    file: str
    line: int
    text: str


def sentences(words: int = 2) -> list[Sentence]:
    """Return all texts of the package that may be sentences, in the order of files and lines; with 1, all texts."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        file = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [Sentence(file, line, text) for line, text in _texts(tree) if words == 1 or _may_be_read(text)]
    return found


SAYS = {"Unknown": 0, "UserError": 0, "CheckError": 2, "Detail": 1}
"""What is said to a reader, and which argument of it is."""


def single_words() -> set[str]:
    """Return the texts of one word that are a whole reason, error or particular; elsewhere one is mostly a name."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in SAYS:
                parts = [part for item in node.args[SAYS[name] :] for part in _either(item)]
                found |= {
                    part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }
    return {text for text in found if re.fullmatch("[a-z]{2,}", text)}


def _either(node: ast.AST) -> list[ast.AST]:
    return [*_either(node.body), *_either(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def _may_be_read(text: str) -> bool:
    return bool(_WORDS.search(text.replace(GAP, "x"))) and not _PATTERN.search(text) and not _STYLE.fullmatch(text)


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    silent = {id(node) for node in _unspoken(tree)}
    for node in ast.walk(tree):
        if id(node) in silent:
            continue
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.Add)):
            text = _text(node)
            if text is not None:
                silent |= {id(part) for part in ast.walk(node)}
                yield node.lineno, text
        elif isinstance(node, ast.JoinedStr):
            silent |= {id(part) for part in node.values if isinstance(part, ast.Constant)}
            yield node.lineno, _text(node) or ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def _text(node: ast.AST) -> str | None:
    """Return a text with gaps; None where a part of it is no text that stands there."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else GAP for part in node.values]
        return re.sub(r"(\{\})+", GAP, "".join(map(str, parts)))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        left = _text(node.left)
        return left and re.sub(r"%[-.\d]*[sdrgf]", GAP, left)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return None if left is None or right is None else left + right
    return None


def _unspoken(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield docstrings, those of attributes too, and what describes schemas."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def translations() -> dict[str, str]:
    """Return all English sentences with their Chinese."""
    books = ("zh-sentences", "zh-facts", "zh-help")
    tables = [tomli.loads((PACKAGE / "words" / f"{book}.toml").read_text(encoding="utf-8")) for book in books]
    return {english: said for table in tables for part in table.values() for english, said in part.items()}


def unread() -> dict[str, list[str]]:
    """Return what is nothing to read, by file."""
    return tomli.loads(UNREAD.read_text(encoding="utf-8"))


def missing() -> list[Sentence]:
    """Return the sentences that Chinese lacks."""
    known, none = translations(), unread()
    return [item for item in sentences() if item.text not in known and item.text not in none.get(item.file, ())]


def main() -> None:
    """Print what is missing, by file."""
    file = ""
    for item in missing():
        if item.file != file:
            file = item.file
            print(f"\n# {file}")
        print(f'{_quoted(item.text)} = ""')


def _quoted(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    main()
