"""What is shipped: the package with its checks and tables, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip builds it, without asking a package index for anything."""
    folder = tmp_path_factory.mktemp("wheel")
    builder = "import hatchling.build, os, sys; os.chdir(sys.argv[1]); print(hatchling.build.build_wheel(sys.argv[2]))"
    done = subprocess.run(
        [sys.executable, "-c", builder, str(ROOT), str(folder)], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.strip().splitlines()[-1]


def test_wheel_holds_the_package_and_its_metadata_only(wheel: Path) -> None:
    """One top-level package, with every module, check, table and sentence of the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "nnunet_doctor").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    checks = {
        f"nnunet_doctor/{path.relative_to(ROOT).as_posix()}"
        for path in (ROOT / "checks").rglob("*.*")
        if path.is_file()
    }

    manual = {f"nnunet_doctor-0.1.0.data/data/share/man/{man}/nnunet-doctor.1" for man in ("man1", "zh_CN/man1")}

    assert {
        name for name in names if not name.startswith(("nnunet_doctor/", "nnunet_doctor-0.1.0.dist-info/"))
    } == manual
    assert {name for name in names if name.startswith("nnunet_doctor/")} == here | checks


def test_wheel_works_on_its_own(wheel: Path, tmp_path: Path) -> None:
    """Unpacked far from the checkout, the command lists its checks."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    run = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from nnunet_doctor.cli import main; sys.exit(main(['list']))"
    done = subprocess.run([sys.executable, "-c", run], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)

    assert done.returncode == 0, done.stderr
    assert "triton-missing" in done.stdout


def test_core_never_imports_torch_or_nnunet() -> None:
    """Importing every module of the doctor's own process brings in neither torch nor nnunetv2."""
    code = (
        "import pkgutil, importlib, sys, nnunet_doctor\n"
        "for item in pkgutil.walk_packages(nnunet_doctor.__path__, 'nnunet_doctor.'):\n"
        "    if item.name.rpartition('.')[2] not in ('examine', 'trial_child', 'demo_data', '__main__'):\n"
        "        importlib.import_module(item.name)\n"
        "print(sorted(set(sys.modules) & {'torch', 'nnunetv2', 'numpy', 'SimpleITK'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)

    assert done.stdout.strip() == "[]", done.stderr
