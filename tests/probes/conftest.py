"""What the tests of probes share: a bare interpreter to examine, and packages that are made up for it."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nnunet_doctor.probes.base import Context
from nnunet_doctor.request import Request

TORCH = """
    class version:
        cuda, hip = "12.8", None

    class cuda:
        is_available = staticmethod(lambda: True)
        device_count = staticmethod(lambda: 2)
        get_device_name = staticmethod(lambda index: "Made-up GPU")
        get_device_capability = staticmethod(lambda index: (9, index))

    class backends:
        class cudnn:
            version = staticmethod(lambda: 91002)

        class mps:
            is_available = staticmethod(lambda: False)

    class _C:
        _cuda_getArchFlags = staticmethod(lambda: "sm_80 sm_90 compute_90")

    __version__ = "2.8.0+cu128"
"""
"""What the doctor asks of torch, answered as a CUDA build with two GPUs does."""


@dataclass(frozen=True)
class Packages:
    """A folder that stands on the PYTHONPATH of the examined interpreter."""

    folder: Path

    def module(self, name: str, code: str = "", version_file: str | None = None) -> Path:
        """Make a package with this code in its ``__init__``, and perhaps a ``version.py``."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").write_text(textwrap.dedent(code), encoding="utf-8")
        if version_file is not None:
            (folder / "version.py").write_text(version_file, encoding="utf-8")
        return folder

    def torch(self, code: str) -> Path:
        """Make a torch 2.8.0+cu128 that runs this code when it is imported, and answers as one should after that."""
        version = "__version__ = '2.8.0+cu128'\ncuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n"
        return self.module("torch", textwrap.dedent(code) + textwrap.dedent(TORCH), version)

    def distribution(
        self, name: str, version: str, requires: Sequence[str] = (), requires_python: str | None = None
    ) -> Path:
        """Make the metadata of an installed distribution."""
        folder = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Python: {requires_python}"] if requires_python else []
        lines += [f"Requires-Dist: {item}" for item in requires]
        (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return folder


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    """Return an empty folder for made-up packages."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return Packages(folder)


@pytest.fixture
def context_of(bare_python: Path, packages: Packages) -> Callable[..., Context]:
    """Return a maker of contexts that examine the bare interpreter with the made-up packages."""

    def make(
        environ: dict[str, str] | None = None, python: Path = bare_python, timeout: float = 30.0, **words: Any
    ) -> Context:
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
        quick = words.pop("quick", False)
        given = {**kept, "PYTHONPATH": str(packages.folder), **(environ or {})}
        return Context(python, given, Request(**words), quick=quick, timeout=timeout)

    return make


@pytest.fixture
def program() -> Callable[..., Path]:
    """Return a maker of programs that do nothing but can be found on PATH."""

    def make(folder: Path, name: str, text: str | None = None) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (f"{name}.bat" if sys.platform == "win32" else name)
        path.write_text(text or ("@exit 0\n" if sys.platform == "win32" else "#!/bin/sh\n"), encoding="utf-8")
        path.chmod(0o755)
        return path

    return make
