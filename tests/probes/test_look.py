"""All probes together: what one of them loses, and what the others keep."""

from __future__ import annotations

import importlib
import threading
import time
from pathlib import Path

import pytest

from nnunet_doctor.facts import CATALOGUE, Unknown
from nnunet_doctor.probes import child, paths
from nnunet_doctor.probes import look as module
from nnunet_doctor.probes.child import NotAnInterpreterError
from nnunet_doctor.probes.dataset import NoSuchDatasetError
from nnunet_doctor.request import FACTS


@pytest.fixture
def look(monkeypatch):
    """Return the facts that are seen with some probes instead of others."""

    def look(context, **instead):
        real = module._looks
        given = {name.replace("_", " "): probe for name, probe in instead.items()}
        monkeypatch.setattr(module, "_looks", lambda names, examined: {**real(names, examined), **given})
        return module.look(context)

    return look


def raises(error):
    """Make a probe that fails."""

    def probe(_context):
        raise error

    return probe


@pytest.fixture
def hangs():
    """Make a probe that hangs for as long as the test takes."""
    over = threading.Event()
    yield lambda _context: over.wait(60)
    over.set()


def test_everything_is_looked_at(context_of, packages):
    """Every fact that is observed is one that some probe looks at, and each has a source."""
    packages.torch("")
    packages.distribution("nnunetv2", "2.8.1", ["torch>=2.1.2"])

    facts = module.look(context_of())

    observed = [name for name, info in CATALOGUE.items() if not info.derived]
    assert [name for name in observed if facts[name] == Unknown("no probe looks at it")] == []
    assert [name for name in observed if facts.source(name) == "not recorded"] == []
    assert (facts["torch.importable"], facts["nnunet.version"]) == (True, "2.8.1")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("out of luck"), "RuntimeError: out of luck"),
        (MemoryError(), "MemoryError: "),
        (SystemExit(3), "SystemExit: 3"),
        (RecursionError("too deep"), "RecursionError: too deep"),
    ],
)
def test_probe_that_fails_costs_its_own_facts(context_of, look, error, reason):
    """A probe that fails leaves its facts unknown, with the reason, and nothing else."""
    facts = look(context_of({"nnUNet_raw": "/raw"}), NVML=raises(error))

    assert facts["gpu.count"] == Unknown(f"the probe of NVML failed ({reason})")
    assert facts["paths.raw"] == "/raw"
    assert facts["python.environment"] == "venv"


def test_probes_that_hang_cost_one_deadline(context_of, look, hangs, monkeypatch):
    """Three probes that hang, as in a dead network folder, hold the doctor for one deadline and not for three."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.3)
    context = context_of(timeout=0.5, quick=True)

    begun = time.monotonic()
    facts = look(context, paths=hangs, dataset=hangs, toolchain=hangs)
    seconds = time.monotonic() - begun

    assert 0.7 < seconds < 2.2
    for name in ("paths.raw", "dataset.name", "triton.c_compiler"):
        assert isinstance(facts[name], Unknown)
        assert "the probe of paths failed (no end after 0.5 s)" in facts[name].reason
    assert facts["python.environment"] == "venv"
    assert facts["platform.release"] != ""


def test_hanging_probe_does_not_lose_what_another_saw_late(context_of, look, hangs, monkeypatch):
    """A probe that ends in time is heard, although another one that is asked before it hangs."""
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.2)

    def slow(context):
        time.sleep(0.3)
        return paths.look(context)

    facts = look(context_of({"nnUNet_raw": "/raw"}, timeout=0.5, quick=True), NVML=hangs, paths=slow)

    assert facts["paths.raw"] == "/raw"
    assert isinstance(facts["gpu.count"], Unknown)


def test_what_the_user_means_is_a_fact(context_of):
    """The request itself is part of the facts, with the command line as its source."""
    facts = module.look(context_of(quick=True, configuration="2d", fold="all", device="cpu"))

    assert (facts["training.configuration"], facts["training.fold"]) == ("2d", "all")
    assert facts.source("training.device_request") == "command line"


@pytest.mark.parametrize("name", module.PROBES)
def test_probe_notes_what_it_is_known_for(context_of, packages, name):
    """Each probe notes just the facts that are declared beside it; a look at some facts starts the right ones."""
    packages.torch("")
    packages.distribution("nnunetv2", "2.8.1", ["torch>=2.1.2"])
    observed = {fact for fact, info in CATALOGUE.items() if not info.derived} - set(FACTS.values())
    look = importlib.import_module(f"nnunet_doctor.probes.{module.PROBES[name].module}").look

    notes = look(context_of())

    assert set(notes.values) == {fact for fact in observed if module.noted_by(fact) == name}


def test_only_what_is_asked_is_looked_at(context_of, monkeypatch):
    """Facts that are not asked for are unknown and say so, and no interpreter is started for those of the folders."""
    monkeypatch.setattr(child, "start", raises(AssertionError("a child was started")))

    facts = module.look(context_of({"nnUNet_raw": "/raw"}), {"paths.raw_kind", "paths.missing", "nnunet.command"})

    assert (facts["paths.raw"], facts["paths.raw_kind"]) == ("/raw", "missing")
    assert not isinstance(facts["nnunet.command"], Unknown)
    for name in ("python.version", "torch.version", "gpu.count", "resources.cpus", "training.compiles"):
        assert facts[name] == Unknown("not asked for")


@pytest.mark.parametrize("name", ["python.version", "torch.importable", "triton.package", "nnunet.version"])
def test_interpreter_is_started_for_what_only_it_knows(context_of, name):
    """A fact of the examined interpreter is learnt when it alone is asked for."""
    facts = module.look(context_of(quick=True), {name})

    assert facts[name] != Unknown("not asked for")
    assert facts["python.environment"] == "venv"


def test_interpreter_is_named_without_being_started(context_of, bare_python, monkeypatch):
    """Commands can be shown with the examined interpreter although it is not started for that."""
    monkeypatch.setattr(child, "start", raises(AssertionError("a child was started")))

    facts = module.look(context_of(), {"python.executable", "platform.shell"})

    assert facts["python.executable"] == str(bare_python)
    assert isinstance(facts["platform.shell"], str)


def test_dataset_that_is_named_is_always_looked_up(context_of):
    """A slip of the pen in the name of a dataset is the user's to hear of, whatever else is asked."""
    with pytest.raises(NoSuchDatasetError):
        module.look(context_of(dataset="colon"), {"paths.raw_kind"})


def test_wrong_use_is_raised(context_of, tmp_path):
    """An interpreter or a dataset that does not exist is the user's slip, and not an unknown."""
    with pytest.raises(NotAnInterpreterError):
        module.look(context_of(python=tmp_path / "python", quick=True))
    with pytest.raises(NoSuchDatasetError):
        module.look(context_of(dataset="colon", quick=True))


def test_nothing_is_written(context_of, packages, tmp_path):
    """A look leaves no file behind, neither in the folders of nnU-Net nor beside the packages."""
    packages.torch("")
    folders = {f"nnUNet_{name}": str(tmp_path / name) for name in ("raw", "preprocessed", "results")}
    for folder in folders.values():
        Path(folder, "Dataset010_Colon").mkdir(parents=True)
    words = {"dataset": "10", "configuration": "2d", "fold": "0"}

    before = sorted(tmp_path.rglob("*"))
    module.look(context_of(folders | {"PYTHONDONTWRITEBYTECODE": "1"}, **words))

    assert sorted(tmp_path.rglob("*")) == before
