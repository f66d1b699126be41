"""The code keeps to its own rules."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "nnunet_doctor"
PURE = ("engine.py", "plan.py", "check.py", "when.py", "settings.py", "shell.py")
LOOKS = {
    "os",
    "os.path",
    "pathlib",
    "time",
    "datetime",
    "subprocess",
    "socket",
    "shutil",
    "tempfile",
    "platform",
    "psutil",
}


def imports_of(path: Path) -> set[str]:
    """Return the modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff(command: list[str]) -> None:
    """Lint and format are clean."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, str(ROOT)], capture_output=True, encoding="utf-8", check=False
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_mypy() -> None:
    """The package is strictly typed."""
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == 0, done.stdout


def test_facts_import_nothing_else_of_ours() -> None:
    """Facts are the ground that everything stands on."""
    for path in (PACKAGE / "facts").rglob("*.py"):
        ours = {
            name
            for name in imports_of(path)
            if name.startswith("nnunet_doctor") and not name.startswith("nnunet_doctor.facts")
        }
        assert ours == set(), path


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_look_at_nothing(name: str) -> None:
    """Engine, plan, check and condition know no clock, environment, disk or process; shell only quotes."""
    allowed = {"subprocess"} if name == "shell.py" else set()
    ours = {
        module
        for module in imports_of(PACKAGE / name)
        if module.startswith(("nnunet_doctor.probes", "nnunet_doctor.launch"))
    }

    assert imports_of(PACKAGE / name) & LOOKS - allowed == set()
    assert ours == set()


def test_readme_test_line_is_what_ci_runs() -> None:
    """CI takes its line from the README, so the two cannot part."""
    line = next(
        line
        for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
        if "pytest" in line and "python3 -m venv" in line
    )

    assert line.startswith("python3 -m venv .venv-test && ")
    assert "grep -m1 '^python3 -m venv .venv-test '" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
