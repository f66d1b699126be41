"""Of the modules that read logs, one opens files; the rest only compute."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "nnunet_doctor" / "log"
PURE = ("course", "diagnose", "facts", "literals", "prefix", "reading", "signatures", "traceback")
LOOKS = {"os", "pathlib", "time", "datetime", "subprocess", "io", "shutil", "tempfile", "psutil", "socket", "sys"}


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_look_at_nothing(name: str) -> None:
    """No clock, environment, disk or process; of the doctor nothing that looks at the machine or prints."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    allowed = {"sys"} if name == "literals" else set()  # the parser of expressions moved in Python 3.11

    assert found & LOOKS - allowed == set()
    assert [module for module in found if module.startswith(("nnunet_doctor.probes", "nnunet_doctor.report"))] == []


def test_every_module_is_sorted() -> None:
    """A new module is either pure, or known to open files."""
    assert {path.stem for path in PACKAGE.glob("*.py")} == {*PURE, "__init__", "source", "whole"}
