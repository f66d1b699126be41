"""Recorded machines give the findings and the plan that they must."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from shared import CHECKS, FOLDER, concluded
from shared import MACHINES as NAMES
from shared import facts_of as _facts
from together import together

from nnunet_doctor.engine import diagnose
from nnunet_doctor.facts import CATALOGUE, Observed, Unknown
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.facts.tables import newest, table
from nnunet_doctor.plan import plan
from nnunet_doctor.probes.look import noted_by
from nnunet_doctor.report.record import Report, build
from nnunet_doctor.settings import overlay, parse_options

SEVERITY = {check.id: check.severity for check in CHECKS}


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


RECORDED = {name: _read(FOLDER / f"{name}.json")["facts"] for name in NAMES}
EXPECTED = {name: _read(FOLDER / f"{name}.expected.json") for name in NAMES}


def _is_healthy(name: str) -> bool:
    """Say whether a training is planned that works as things are: nothing but remarks is expected, and no setting."""
    expected = EXPECTED[name]
    silent = all(SEVERITY.get(id) == "info" for id in expected["findings"]) and not expected["unknown"]
    return silent and RECORDED[name]["training.configuration"] is not None


HEALTHY = [name for name in NAMES if _is_healthy(name)]


@functools.cache
def _report(name: str, language: str) -> Report:
    found = concluded(name)
    return build(found.facts, found.diagnosis, found.plan, (), language, "error")


def test_every_recording_has_its_expectation() -> None:
    """No recording lies about untested."""
    recorded = {path.stem for path in FOLDER.glob("*.json") if not path.name.endswith(".expected.json")}

    assert recorded == set(NAMES)


WHYS = Counter(expected["why"] for expected in EXPECTED.values())


@together("name", NAMES)
def test_expectation_says_what_the_machine_shows(name: str) -> None:
    """Each has a sentence of its own, known ids only, and a verdict that its findings carry."""
    expected = EXPECTED[name]
    has_error = any(SEVERITY.get(id) == "error" for id in expected["findings"])

    assert expected["why"].endswith(".")
    assert WHYS[expected["why"]] == 1
    assert (expected["verdict"] == "problems") is has_error
    assert {*expected["blocked_by"], *expected["folded"]} <= {*expected["findings"]}
    assert {*expected["findings"], *expected["unknown"]} <= set(SEVERITY)


# --- the matrix -----------------------------------------------------------------------------------------------------

OCCURS: dict[str, set[Any]] = {
    "platform.os": {"linux", "windows", "macos"},
    "platform.arch": {"x86_64", "arm64"},
    "platform.wsl": {1, 2},
    "platform.wsl_gpu": {True, False},
    "platform.container": {"docker", "podman", "kubernetes", "apptainer"},
    "platform.scheduler": {"slurm", "lsf"},
    "platform.shell": {"posix", "powershell", "cmd"},
    "platform.console_encoding": {"utf-8", "cp1252", "cp936", "gbk"},
    "platform.ci": {True, False},
    "python.environment": {"venv", "conda", "system"},
    "python.pip": {True, False},
    "torch.build": {"cuda", "cpu", "rocm", "xpu", None},
    "triton.package": {"triton", "triton-windows", None},
    "resources.cpus_limited_by": {"affinity", "cgroup", "slurm", None},
    "paths.preprocessed_filesystem": {"ext4", "xfs", "NTFS", "apfs", "lustre", "nfs4", "9p", "overlay"},
    "preprocessed.data_format": {"npz", "b2nd"},
    "training.device_request": {"auto", "cuda", "cpu", "mps"},
    "training.num_gpus": {1, 2},
}
"""Values that the matrix holds, some machine each."""

MENTIONED = {
    "platform.version": ["Windows 10", "Windows 11", "macOS 13", "macOS 14", "macOS 15", "macOS 26"],
    "platform.release": [".el7.", ".el8", ".el9", "-generic", "-azure", "-tegra", "-Microsoft", "-microsoft-"],
    "platform.glibc": ["2.17", "2.28", "2.31", "2.34", "2.35", "2.36", "2.39"],
    "gpu.names": ["GTX 1080", "P100", "V100", "T4", "A100", "H100", "H200", "GH200", "Orin"],
    "gpu.capabilities": ["6.0", "6.1", "7.0", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "12.0", "12.1"],
    "torch.device_names": ["MIG", "AMD"],
    "torch.cuda_build": ["11.7", "11.8", "12.1", "12.4", "12.6", "12.8", "13.0", "13.2"],
    "python.prefix": ["pipx", ".venv", "conda", "miniforge", "/usr"],
    "paths.results": ["/content/drive"],
}
"""Parts of values that the matrix holds, some machine each: distributions show in the kernel and the C library."""


@together("fact", OCCURS)
def test_matrix_holds_every_value(fact: str) -> None:
    """Every system, environment and accelerator that users have is recorded."""
    assert OCCURS[fact] - {RECORDED[name][fact] for name in NAMES} == set()


@together("fact, word", [(fact, word) for fact, words in MENTIONED.items() for word in words])
def test_matrix_holds_every_name(fact: str, word: str) -> None:
    """Every release of a system, family of GPUs and CUDA release that users have is recorded."""
    assert any(word in json.dumps(RECORDED[name][fact], ensure_ascii=False) for name in NAMES)


def test_matrix_holds_every_python() -> None:
    """Every Python release for which nnU-Net installs is recorded."""
    releases = {RECORDED[name]["python.version"].rpartition(".")[0] for name in NAMES}

    assert {f"3.{minor}" for minor in range(9, 15)} - releases == set()


def test_matrix_holds_every_behaviour_of_nnunet() -> None:
    """Every way to compile and to store of the table is recorded, its first and last release, and one it does not hold."""
    rows = {row["version"]: row for row in table("nnunet")["release"]}  # oldest first
    releases = {RECORDED[name]["nnunet.version"] for name in NAMES} - {None}

    assert {row["compile"] for row in rows.values()} == {rows[item]["compile"] for item in releases & set(rows)}
    assert {row["storage"] for row in rows.values()} == {rows[item]["storage"] for item in releases & set(rows)}
    assert {next(iter(rows)), newest("nnunet")} <= releases
    assert releases - set(rows)
    assert len(releases) >= 12


def test_matrix_is_large_and_mostly_about_silence() -> None:
    """False alarms are the worst bug: a hundred machines, and about half of them must be left alone."""
    assert len(NAMES) >= 100
    assert len(HEALTHY) >= 50
    assert {RECORDED[name]["platform.os"] for name in HEALTHY} == {"linux", "windows", "macos"}


@together("name", NAMES)
def test_recording_is_complete(name: str) -> None:
    """A recording holds every observed fact: a value, null where it does not apply, or unknown with the reason."""
    assert set(RECORDED[name]) == {name for name, info in CATALOGUE.items() if not info.derived}


def _contradictions(facts: Mapping[str, Any]) -> list[str]:
    """List what no machine can have, as the probes look: hand-written facts must be possible ones."""
    known = {name: value for name, value in facts.items() if not isinstance(value, dict)}
    system, cuda = known["platform.os"], known.get("torch.cuda_devices")
    cpus, whole = known["resources.cpus"], known["resources.cpus_machine"]
    rules = {
        "each GPU has a name and a capability": {
            len(known[name]) for name in ("gpu.names", "gpu.capabilities", "gpu.free_gib") if name in known
        }
        <= {known.get("gpu.count")},
        "each device of torch has a name and a capability": cuda is None
        or {len(known["torch.device_names"]), len(known["torch.device_capabilities"])} == {cuda},
        "CUDA is available when torch sees a device": cuda is None or known["torch.cuda_available"] is (cuda > 0),
        "a release of CUDA belongs to a build for it": (known["torch.build"] == "cuda")
        is (known["torch.cuda_build"] is not None),
        "Triton is importable only when a package brings it": known.get("triton.importable") is not True
        or known["triton.package"] is not None,
        "what limits the processors is named": (cpus < whole) is (known["resources.cpus_limited_by"] is not None),
        "no more memory is free than granted, and granted than there": known["resources.memory_available_gib"]
        <= known["resources.memory_gib"]
        <= known["resources.memory_machine_gib"],
        "glibc, /dev/shm and libcuda.so.1 belong to Linux": {
            known[name] is not None for name in ("platform.glibc", "resources.shm_gib", "triton.libcuda")
        }
        == {system == "linux"},
        "a libcuda.so lies beside a libcuda.so.1": known["triton.libcuda"] is True
        or known["triton.libcuda_link"] is None,
        "long paths and distributions of WSL belong to Windows": (known["platform.long_paths"] is not None)
        is (known["platform.wsl_distributions"] is not None)
        is (system == "windows"),
        "only WSL2 has a device of its own for the GPU": (known["platform.wsl"] == 2)
        is (known["platform.wsl_gpu"] is not None),
        "preprocessed data belong to a dataset": known["dataset.requested"] is not None
        or all(value is None for name, value in known.items() if name.startswith("preprocessed.")),
        "the interpreter lies in its environment": known["python.executable"].startswith(known["python.prefix"]),
    }
    return [rule for rule, holds in rules.items() if not holds]


@together("name", NAMES)
def test_recording_is_possible(name: str) -> None:
    """The facts of a machine do not contradict each other."""
    assert _contradictions(RECORDED[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_machine_gives_what_it_must(name: str) -> None:
    """Verdict, exit code, findings, what is folded, undecided checks, plan and what still blocks are as expected."""
    expected = EXPECTED[name]
    report = _report(name, "en")
    got = {
        "why": expected["why"],
        "verdict": report.verdict,
        "exit_code": report.exit_code("error"),
        "findings": [finding.id for finding in report.findings],
        "folded": [finding.id for finding in report.findings if finding.explained_by is not None],
        "unknown": [item.id for item in report.unknown],
        "plan": {"env": report.plan.env, "args": report.plan.args},
        "blocked_by": report.plan.blocked_by,
    }

    assert got == expected


@together("name", [name for name in NAMES if EXPECTED[name]["folded"]])
def test_what_is_folded_is_named(name: str) -> None:
    """A finding that another one explains stands under that one, which is itself shown: none is lost in a chain."""
    found = _report(name, "en").findings
    shown = {finding.id for finding in found if finding.explained_by is None}

    assert {finding.id: finding.explained_by for finding in found if finding.explained_by not in {None, *shown}} == {}


@together("name", NAMES)
def test_plan_of_machine_is_proven(name: str) -> None:
    """The settings laid over the facts leave exactly what the plan says is left."""
    planned = concluded(name).plan
    again = diagnose(overlay(_facts(name), {**planned.env, **parse_options(planned.args)}), CHECKS)

    assert again.blocking == planned.diagnosis.blocking
    assert planned.is_safe is (not again.blocking)


def test_healthy_machines_block_nothing_and_set_nothing() -> None:
    """Where only remarks are expected, a training starts as the user wrote it."""
    plans = {name: (EXPECTED[name]["plan"], EXPECTED[name]["blocked_by"]) for name in HEALTHY}

    assert {name: plan for name, plan in plans.items() if plan != ({"env": {}, "args": []}, [])} == {}


QUICK = "--quick starts no torch"
STARTED = ("torch.import_", "torch.importable", "torch.cuda_", "torch.device_", "torch.arch_list", "torch.cudnn")
STARTED += ("torch.mps_available", "torch.torchvision_", "triton.importable", "triton.import_error")


def _of_quick(name: str) -> bool:
    """Say whether a fact takes an import of torch, which --quick leaves out; the build is read from a file."""
    return name.startswith(STARTED) and name != "torch.cuda_build"


SILENT: dict[str, Callable[[str], bool]] = {
    "--quick": _of_quick,
    "the interpreter does not answer": lambda name: noted_by(name) == "interpreter",
    "the driver does not answer": lambda name: noted_by(name) == "NVML",
    "neither answers": lambda name: noted_by(name) in ("interpreter", "NVML"),
}


@together("name, case", [(name, case) for name in HEALTHY for case in SILENT])
def test_less_knowledge_raises_no_alarm(name: str, case: str) -> None:
    """What child processes would have told is unknown: on a healthy machine checks may be undecided, and none alarms."""
    lost: dict[str, Observed] = {
        fact: Unknown(QUICK) for fact, info in CATALOGUE.items() if not info.derived and SILENT[case](fact)
    }
    found = diagnose(derive(_facts(name).with_values(lost)), CHECKS)

    assert [finding.check.id for finding in found.findings if finding.check.severity != "info"] == []


@together("name, language", [(name, language) for name in NAMES for language in ("en", "zh")])
def test_report_of_machine_has_no_holes(name: str, language: str) -> None:
    """Every title and reason is filled: what fires knows the facts that its words mention."""
    report = _report(name, language)
    texts = [text for finding in report.findings for text in (finding.title, finding.why)]

    assert [text for text in texts if "{" in text or "(?" in text or " ? " in text] == []


@pytest.mark.parametrize(
    ("changes", "alarm"),
    [
        ({}, True),
        ({"platform.os": "linux", "triton.cpp_compiler": "/usr/bin/g++"}, False),
        ({"platform.os": "macos", "triton.cpp_compiler": "/usr/bin/clang++"}, False),
        ({"nnunet.version": "2.5.1"}, False),
        ({"nnunet.version": "2.8.1"}, False),
        ({"nnunet.version": "9.9.9"}, False),
        ({"nnunet.version": "2.3.1"}, False),
        ({"nnunet.version": "2.3.1", "nnunet.compile_variable": "true"}, True),
        ({"nnunet.compile_variable": "false"}, False),
    ],
)
def test_the_story_and_its_neighbours(changes: dict[str, str], alarm: bool) -> None:
    """`nnUNetv2_train 10 2d 3 -device cpu` with nnU-Net 2.4.2 on Windows alarms; elsewhere, and with others, it does not."""
    facts = derive(_facts("windows-cpu-nnunet242").with_values(changes))
    found = diagnose(facts, CHECKS)

    assert ("compile-on-windows" in found.ids) is alarm
    assert plan(facts, CHECKS).env.get("nnUNet_compile") == ("false" if alarm else None)


def test_fixes_of_the_story_come_in_the_order_of_effort() -> None:
    """First the setting that `run` takes by itself, then the upgrade, WSL2 with how to get it, and a Linux machine with a GPU."""
    fixes = next(
        finding.fixes
        for finding in _report("windows-cpu-nnunet242", "en").findings
        if finding.id == "compile-on-windows"
    )

    assert fixes[0].launch.env == {"nnUNet_compile": "false"}
    assert "pip install --upgrade nnunetv2 torch==2.1.2" in str(fixes[1].command)
    assert fixes[2].command == "wsl --install -d Ubuntu"
    assert "Linux machine with an NVIDIA GPU" in fixes[3].text


@pytest.mark.parametrize(
    ("changed", "env", "safe"),
    [
        ({"triton.own_cache_writable": False}, {"nnUNet_compile": "false"}, True),
        ({"triton.cache_writable": False}, {}, False),
    ],
)
def test_a_cache_that_takes_no_files_costs_torch_compile_only_where_that_helps(
    changed: dict[str, bool], env: dict[str, str], safe: bool
) -> None:
    """From torch 2.10 on the import itself makes one of the two folders, and no training starts without it."""
    made = derive(_facts("linux-cuda-healthy").with_values(changed))

    planned = plan(made, CHECKS)

    assert (planned.env, planned.is_safe) == (env, safe)
