"""The published schemas ask for all that is always written, and for no other version."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from nnunet_doctor.cli import main
from nnunet_doctor.report import diagnosis, record

MACHINE = Path(__file__).with_name("machines") / "windows-cpu-nnunet242.json"
LOG = "RuntimeError: CUDA error: device-side assert triggered\nException in thread Thread-1: x\n"


@pytest.fixture(params=["report", "diagnosis"])
def document(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Any, Any]:
    """A document as it is written, and its schema."""
    (tmp_path / "train.log").write_text(LOG, encoding="utf-8")
    if request.param == "report":
        main(["check", "--facts", str(MACHINE), "--format", "json"])
        return json.loads(capsys.readouterr().out), record.schema()
    main(["diagnose", str(tmp_path / "train.log"), "--format", "json"])
    return json.loads(capsys.readouterr().out), diagnosis.schema()


def records(written: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the places of all keys in a document, without those of tables whose keys are names."""
    if isinstance(written, dict) and place[-1:] not in (("env",), ("facts",), ("value",)):
        for key, value in written.items():
            yield (*place, key)
            yield from records(value, (*place, key))
    elif isinstance(written, list) and written:
        yield from records(written[0], (*place, 0))


def test_every_key_that_is_written_is_required(document: tuple[Any, Any]) -> None:
    """A document without one of its keys, at whatever depth, does not fit; as written it does."""
    written, schema = document
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    passed = []
    for place in records(written):
        changed = copy.deepcopy(written)
        inner = changed
        for part in place[:-1]:
            inner = inner[part]
        del inner[place[-1]]
        passed += [place] if validator.is_valid(changed) else []

    assert list(validator.iter_errors(written)) == []
    assert passed == []


def test_another_version_does_not_fit(document: tuple[Any, Any]) -> None:
    """Whoever reads a document of version 2 with the schema of version 1 is told."""
    written, schema = document

    assert not jsonschema.Draft202012Validator(schema).is_valid({**written, "schema_version": 2})
