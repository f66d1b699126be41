"""Fixtures of all tests."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_up import Installation, make_installation, make_python

from nnunet_doctor import catalogue
from nnunet_doctor.check import Check

gc.set_threshold(50_000)  # as the doctor itself does; to search what is collected, which stays, takes seconds


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter with no package at all, whatever the tests themselves run in."""
    return make_python(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def training_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter that starts the nnU-Net of a made-up installation."""
    return make_python(tmp_path_factory.mktemp("training"), trains=True)


@pytest.fixture
def installation(tmp_path: Path, training_python: Path) -> Installation:
    """nnU-Net 2.8.1 on torch 2.13.0+cpu, with Dataset010_Colon planned, preprocessed and ready to train in 2d."""
    return make_installation(tmp_path, training_python)


@pytest.fixture(scope="session", autouse=True)
def _built_in_checks_are_read_once() -> Iterator[None]:
    """Hundreds of commands read the catalogue, which no test changes."""
    read = catalogue.read_file
    once = functools.cache(read)

    def read_file(path: Path, area: str, origin: str, *, with_examples: bool = True) -> Check:
        return (once if origin == "built in" else read)(path, area, origin, with_examples=with_examples)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "read_file", read_file)
        yield
