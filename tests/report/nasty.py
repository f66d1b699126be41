"""A report in which everything is in the way of its form: names, messages, values, lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from nnunet_doctor.report.forms.manner import Manner
from nnunet_doctor.report.places import Places
from nnunet_doctor.report.record import (
    DatasetRecord,
    DetailRecord,
    EvidenceRecord,
    FindingRecord,
    FixRecord,
    LaunchRecord,
    MachineRecord,
    PlanRecord,
    ReasonRecord,
    Report,
    UnknownRecord,
    WaivedRecord,
)

NAMES = {
    "imagesTr/case 1_0000.nii.gz": "imagesTr/case%201_0000.nii.gz",
    "imagesTr/#7?x=1&y_0000.nii.gz": "imagesTr/%237%3Fx%3D1%26y_0000.nii.gz",
    "imagesTr/100%_0000.nii.gz": "imagesTr/100%25_0000.nii.gz",
    "imagesTr/病例_0000.nii.gz": "imagesTr/%E7%97%85%E4%BE%8B_0000.nii.gz",
    "imagesTr/a:b_0000.nii.gz": "imagesTr/a%3Ab_0000.nii.gz",
    "labelsTr/caf\udce9.nii.gz": "labelsTr/caf%E9.nii.gz",
    "labelsTr/\ud83d.nii.gz": "labelsTr/%ED%A0%BD.nii.gz",
    "labelsTr/a\nb\x1b[31m\u202egz.nii": "labelsTr/a%0Ab%1B%5B31m%E2%80%AEgz.nii",
    "labelsTr/`x` [y](http:evil.example) <b>&amp; @octocat org/repo#12 ``` $a$.nii": (
        "labelsTr/%60x%60%20%5By%5D%28http%3Aevil.example%29%20%3Cb%3E%26amp%3B%20%40octocat%20org/repo%2312"
        "%20%60%60%60%20%24a%24.nii"
    ),
    ".": "dataset.json",
}
"""Names of files relative to the dataset, and what stands for each in a URI."""

MESSAGE = "::error::hijacked\n::set-env name=X::y %0A ]]> <!-- @octocat #12 ##[error]z \x00\udcff"


def nasty(
    language: str = "en", names: Sequence[str] = tuple(NAMES), more: int = 0, verdict: str = "problems"
) -> Report:
    """Return the report, with so many findings of one file more, and the same facts in another language."""
    words = {"en": "A title: with 100% of, everything @octocat", "zh": "标题：100% 的内容，@octocat"}[language]
    why = {"en": "It stops. `#12` fails.\n\n## Not a heading", "zh": "训练会停止。`#12` 失败。\n\n## 不是标题"}[
        language
    ]
    fix = FixRecord("Delete `it` @octocat", "rm -- '```' && echo $HOME", LaunchRecord())
    setting = FixRecord("Switch it off", None, LaunchRecord({"nnUNet_compile": "false"}, ["-device", "cpu"]))
    details = [DetailRecord(name, MESSAGE) for name in names]
    waived = replace(
        _finding("spacing-outlier", "warning", details[:2], words, why),
        waived=WaivedRecord("`so` @octocat ##[x]", None),
    )
    many = [
        _finding(f"more-{number}", "warning", [DetailRecord(f"labelsTr/{number}.nii.gz", "m")], words, why, fix)
        for number in range(more)
    ]
    findings = [
        _finding("label-unexpected", "error", details, words, why, fix),
        _finding("paths-unset", "error", [DetailRecord("nnUNet_raw", "not set")], words, why, setting, area="paths"),
        *many,
        _finding("torch-old", "info", [], words, why, area="python"),
        _finding("follower", "error", [], words, why, area="python", explained_by="paths-unset"),
    ]
    return Report(
        verdict=verdict,  # type: ignore[arg-type]
        findings=findings,
        unknown=[UnknownRecord("gpu-too-small", f"gpu.memory: {MESSAGE}")],
        passed=["nan", "inf"],
        ignored=[],
        plan=PlanRecord(
            {"nnUNet_compile": "false"},
            [],
            [ReasonRecord("nnUNet_compile", "false", "paths-unset")],
            ["label-unexpected"],
        ),
        machine=MachineRecord("Linux <x>", "3.12.1", None, "2.8.1", "?"),
        waived=[waived],
        known=["shape-outlier"],
        dataset=DatasetRecord("Dataset001_病 例", "default", 10, 1, 2, 20, "SimpleITKIO", None, interrupted=False),
    )


def _finding(
    id: str,
    severity: str,
    details: Sequence[DetailRecord],
    title: str,
    why: str,
    *fixes: FixRecord,
    area: str = "dataset",
    explained_by: str | None = None,
) -> FindingRecord:
    return FindingRecord(
        id=id,
        area=area,
        severity=severity,  # type: ignore[arg-type]
        title=title,
        why=why,
        subjects=[item.subject for item in details],
        details=list(details),
        evidence=[EvidenceRecord("paths.raw", "`", "x"), EvidenceRecord("gpu.x", {"unknown": MESSAGE}, "x")],
        fixes=list(fixes),
        references=[],
        explained_by=explained_by,
    )


def manner(
    language: str = "en",
    *,
    fail_on: str = "error",
    root: str = "/repo",
    dataset: str = "data/Dataset 1",
    shell: str = "posix",
) -> Manner:
    """Return how to tell it: the dataset lies in the folder ``data/Dataset 1`` of the repository."""
    repository = PurePosixPath(root)
    places = Places(repository, repository / dataset, ".github/workflows/check.yml", is_checkout=True)
    return Manner(language, shell, places, fail_on)
