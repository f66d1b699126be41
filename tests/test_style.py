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
STARTERS = {"run", "Popen", "check_output"}


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


@pytest.mark.parametrize(
    ("oldest", "path"),
    [
        ("3.10", ""),
        ("3.9", "demo_data.py"),
        ("3.9", "probes/pace_child.py"),
        ("3.9", "probes/trial_child.py"),
        ("3.6", "probes/examine.py"),
    ],
)
def test_runs_on_the_oldest_python(oldest: str, path: str) -> None:
    """Neither words nor calls are newer than the oldest Python: that of the doctor, or that of old releases of nnU-Net."""
    pytest.importorskip("vermin")
    command = [sys.executable, "-c", "import vermin; vermin.main()", "--violations", f"-t={oldest}-", PACKAGE / path]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", [PACKAGE, ROOT / "tests", ROOT / ".docs"], ids=lambda folder: folder.name)
def test_every_text_names_its_encoding(folder: Path) -> None:
    """Windows and old Pythons take that of the system for a text whose encoding is not named."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and takes_the_encoding_of_the_system(node)
    ]

    assert found == []


def takes_the_encoding_of_the_system(call: ast.Call) -> bool:
    """Say whether a call reads or writes text without a word on its encoding."""
    given = {word.arg for word in call.keywords}
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in ("read_text", "write_text"):
        return "encoding" not in given and len(call.args) < (1 if name == "read_text" else 2)
    return bool(given & {"text", "universal_newlines"}) and name in STARTERS and "encoding" not in given


def test_facts_import_nothing_else_of_ours() -> None:
    """Facts are the ground that everything stands on."""
    for path in (PACKAGE / "facts").rglob("*.py"):
        ours = {
            name
            for name in imports_of(path)
            if name.startswith("nnunet_doctor") and not name.startswith("nnunet_doctor.facts")
        }
        assert ours == set(), path


def test_no_thread_loads_a_part_of_the_rules() -> None:
    """Probes load modules while the main thread loads all rules; two threads in one package wait for each other."""
    loaded = {
        f"{path.name}: {node.module}"
        for path in (PACKAGE / "probes").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nnunet_doctor.facts.derive.")
    }

    assert loaded == set()


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
