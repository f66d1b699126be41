"""Facts about Python, torch, Triton and nnU-Net in the examined interpreter, from one child process with a deadline."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, UndefinedEnvironmentName, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from nnunet_doctor.facts import Detail, Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.probes.child import Report, start

TRITONS: tuple[str, ...] = ("triton", "triton-windows", "triton-rocm", "triton-xpu")
TRITONS += ("pytorch-triton", "pytorch-triton-rocm", "pytorch-triton-xpu")


def look(context: Context, examined: Callable[[], Report] | None = None) -> Notes:
    """Note the facts of areas python, torch and triton, and those of nnunet that need the interpreter.

    Args:
        context: Where to look.
        examined: Waits for the report of a child that was started before; without it one is started now.

    Raises:
        NotAnInterpreterError: The examined program is no Python.
    """
    report = (examined or start(context))()
    notes = Notes()
    _python(report, notes)
    _torch(report, notes, context)
    _triton(report, notes, context)
    _nnunet(report, notes)
    _packages(report, notes)
    _trainer(report, notes, context)
    notes.see("PATH", python__uv=shutil.which("uv", path=context.environ.get("PATH", os.defpath)))
    notes.see("CONDA_EXE, MAMBA_EXE and PATH", python__conda=_conda(context.environ))
    return notes


def _conda(environ: Mapping[str, str]) -> str | None:
    """Return the program that looks after conda's environments; what activated one names it in a variable."""
    named = next((environ[name] for name in ("CONDA_EXE", "MAMBA_EXE") if environ.get(name)), None)
    path = environ.get("PATH", os.defpath)
    return named or next(
        filter(None, (shutil.which(name, path=path) for name in ("conda", "mamba", "micromamba"))), None
    )


def _not_seen(report: Report, stage: str) -> Unknown:
    """Say why a stage saw nothing."""
    complaint = report.complaint(stage)
    if complaint is None:
        stuck = next((name for name in report.stages if report.outcome(name) in ("crash", "timeout")), None)
        if stuck:
            complaint = f"the look at {stuck} came first: {report.complaint(stuck)}"
        else:
            complaint = "it was not looked at" if report.ended.code == 0 else report.end
    return Unknown(complaint)


def _python(report: Report, notes: Notes) -> None:
    names = (
        "version",
        "implementation",
        "executable",
        "prefix",
        "environment",
        "bits",
        "free_threaded",
        "headers",
        "headers_folder",
        "pip",
        "arch",
        "emulated",
        "externally_managed",
        "writable",
        "user_site",
        "made_by",
        "conda_base",
        "store",
        "venv_module",
        "optimize",
    )
    saw = report.saw("python")
    notes.see(
        "the examined interpreter", **{f"python__{name}": saw.get(name, _not_seen(report, "python")) for name in names}
    )


def _torch(report: Report, notes: Notes, context: Context) -> None:
    files = report.saw("files") if report.outcome("files") == "ok" else None
    if files is None:
        unknown = _not_seen(report, "files")
        from_files = ("installed", "version", "build", "cuda_build", "torchvision")
        notes.see("torch/version.py", **{f"torch__{name}": unknown for name in from_files})
    else:
        _torch_files(files, report, notes)
    if files is not None and files.get("torch") is None:
        notes.see("the examined interpreter", **_without_torch())
        return
    if context.quick:
        names = ("import_outcome", "importable", "import_error", "import_seconds", *_DEVICE_NAMES)
        unknown = Unknown("--quick starts no torch")
        notes.see("--quick", **{f"torch__{name}": unknown for name in names})
    else:
        _torch_import(report, notes)
    _torchvision(report, notes, context)


_DEVICE_NAMES = (
    "cuda_available",
    "cuda_devices",
    "device_names",
    "device_capabilities",
    "cuda_message",
    "arch_list",
    "cudnn",
    "mps_available",
)


def _torch_files(files: Mapping[str, Any], report: Report, notes: Notes) -> None:
    torch, torchvision = files.get("torch"), files.get("torchvision")
    distributions = report.saw("distributions").get("distributions", {})
    version = None if torch is None else torch.get("__version__") or _version_of(distributions, "torch")
    notes.see(
        "torch/version.py",
        torch__installed=torch is not None,
        torch__version=Unknown("torch/version.py names no version") if torch is not None and not version else version,
        torch__build=None if torch is None else _build(torch, str(version)),
        torch__cuda_build=None if torch is None else torch.get("cuda"),
    )
    seen = None if torchvision is None else torchvision.get("__version__") or _version_of(distributions, "torchvision")
    notes.see("torchvision/version.py", torch__torchvision=seen)


def _version_of(distributions: Mapping[str, Any], name: str) -> str | None:
    found = distributions.get(name)
    return found["version"] if found else None


def _build(torch: Mapping[str, str], version: str) -> str:
    for build, key in (("rocm", "hip"), ("cuda", "cuda"), ("xpu", "xpu")):
        if torch.get(key):
            return build
    label = version.partition("+")[2]
    return "xpu" if label.startswith("xpu") else "rocm" if label.startswith("rocm") else "cpu"


def _without_torch() -> dict[str, Observed]:
    return {
        "torch__import_outcome": None,
        "torch__importable": False,
        "torch__import_error": None,
        "torch__import_seconds": None,
        "torch__cuda_available": False,
        "torch__cuda_devices": 0,
        "torch__device_names": (),
        "torch__device_capabilities": (),
        "torch__cuda_message": None,
        "torch__arch_list": None,
        "torch__cudnn": None,
        "torch__mps_available": False,
        "torch__torchvision_importable": None,
        "torch__torchvision_error": None,
    }


def _torch_import(report: Report, notes: Notes) -> None:
    outcome = report.outcome("torch")
    unknown = _not_seen(report, "torch")
    timed_out = outcome == "timeout"
    notes.see(
        "import torch",
        torch__import_outcome=unknown if outcome is None else outcome,
        torch__importable=unknown if outcome in (None, "timeout") else outcome == "ok",
        torch__import_error=unknown if outcome is None else report.complaint("torch"),
        torch__import_seconds=report.saw("torch").get("seconds", None if outcome and not timed_out else unknown),
    )
    saw = report.saw("cuda")
    if not saw:
        failed = (
            _not_seen(report, "cuda")
            if outcome == "ok"
            else Unknown("torch cannot be imported" if not timed_out else unknown.reason)
        )
        notes.see("torch", **{f"torch__{name}": failed for name in _DEVICE_NAMES})
        return
    notes.see("torch/version.py", torch__cuda_build=saw["cuda_build"])
    notes.see(
        "torch.cuda",
        torch__cuda_available=saw["available"],
        torch__cuda_devices=saw["count"],
        torch__device_names=tuple(saw["names"]),
        torch__device_capabilities=tuple(saw["capabilities"]),
        torch__cuda_message=saw["message"],
        torch__arch_list=None if saw["arch_list"] is None else tuple(saw["arch_list"]),
        torch__cudnn=saw["cudnn"],
    )
    notes.see("torch.backends.mps", torch__mps_available=saw["mps"])


def _torchvision(report: Report, notes: Notes, context: Context) -> None:
    importable: Observed = None
    error: Observed = None
    if notes.values.get("torch.torchvision") is not None and context.request.trainer != "nnUNetTrainer":
        outcome = report.outcome("torchvision")
        decided = outcome in ("ok", "error", "crash")
        unknown = Unknown("--quick starts no torch") if context.quick else _not_seen(report, "torchvision")
        importable = outcome == "ok" if decided else unknown
        error = report.complaint("torchvision") if decided else unknown
    notes.see("import torchvision", torch__torchvision_importable=importable, torch__torchvision_error=error)


def _triton(report: Report, notes: Notes, context: Context) -> None:
    distributions = report.saw("distributions").get("distributions")
    if distributions is None:
        unknown = _not_seen(report, "distributions")
        names = ("package", "version", "importable", "import_error", "distributions", "required")
        notes.see("package metadata", **{f"triton__{name}": unknown for name in names})
        return
    package = next((name for name in TRITONS if name in distributions), None)
    version = _version_of(distributions, package) if package else None
    asked = distributions.get("torch", {"requires": ()})["requires"]
    notes.see(
        "package metadata",
        triton__package=package,
        triton__version=version,
        triton__distributions=tuple(
            f"{name} {_version_of(distributions, name)}" for name in TRITONS if name in distributions
        ),
        triton__required=required_triton(asked, report.saw("python").get("version", "")),
    )
    if package is None:
        notes.see("package metadata", triton__importable=False, triton__import_error=None)
        return
    outcome = report.outcome("triton")
    decided = outcome in ("ok", "error", "crash")
    unknown = Unknown("--quick imports nothing") if context.quick else _not_seen(report, "triton")
    notes.see(
        "import triton",
        triton__importable=outcome == "ok" if decided else unknown,
        triton__import_error=report.complaint("triton") if decided else unknown,
    )


def required_triton(requires: Sequence[str], python: str) -> str | None:
    """Return what torch asks of Triton here, without its marker; None when its metadata ask for none."""
    environment = _environment(python)
    for text in requires:
        try:
            requirement = Requirement(text)
            if canonicalize_name(requirement.name) not in TRITONS:
                continue
            if requirement.marker is None or requirement.marker.evaluate(environment):
                return f"{requirement.name}{requirement.specifier}"
        except (InvalidRequirement, InvalidMarker, UndefinedEnvironmentName):
            continue
    return None


def _environment(python: str) -> dict[str, str]:
    """Return what markers ask, for another release of Python; empty for that of the doctor."""
    environment: dict[str, str] = {**default_environment(), "extra": ""}  # type: ignore[dict-item]
    if python:
        environment |= {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python}
    return environment


def _nnunet(report: Report, notes: Notes) -> None:
    saw = report.saw("distributions")
    if not saw:
        unknown = _not_seen(report, "distributions")
        notes.see("package metadata", **{f"nnunet__{name}": unknown for name in _NNUNET_NAMES})
        return
    python, distributions = report.saw("python"), saw["distributions"]
    found = distributions.get(saw["provider"])
    files = report.saw("files") if report.outcome("files") == "ok" else None
    location: Observed = _not_seen(report, "files") if files is None else files.get("nnunetv2")
    version: Observed = found["version"] if found else None
    if found is None and isinstance(location, str):
        version = Unknown(f"{location} lies on the path of Python without having been installed")
    notes.see(
        "package metadata",
        nnunet__installed=found is not None or isinstance(location, str),
        nnunet__version=version,
        nnunet__location=location,
        nnunet__v1_version=_version_of(distributions, "nnunet"),
        nnunet__requires_python=found["requires_python"] if found else None,
        nnunet__requires_torch=_bound(found["requires"], "torch") if found else None,
        nnunet__conflicts=conflicts(distributions, python.get("version", "")),
        nnunet__distribution=saw["provider"],
        nnunet__origin=(saw["origin"] or {}).get("url"),
        nnunet__editable=(saw["origin"] or {}).get("editable"),
        nnunet__shadowed=_shadowed(saw["origin"], location),
    )
    notes.see("paths.py of nnU-Net", nnunet__own_paths=location if files is None else files.get("own_paths"))
    notes.see("scripts of the examined interpreter", nnunet__script=_script(python.get("scripts", "")))


_NNUNET_NAMES = (
    "installed",
    "version",
    "location",
    "v1_version",
    "requires_python",
    "requires_torch",
    "conflicts",
    "distribution",
    "origin",
    "editable",
    "shadowed",
    "own_paths",
    "script",
)


def _shadowed(origin: Mapping[str, Any] | None, location: Observed) -> str | None:
    """Return the folder that pip tells of, where the modules that Python finds lie elsewhere.

    A link to a checkout (pip install -e) may lead to any folder below it, so nothing is said of links.
    """
    if origin is None or origin["editable"] or not isinstance(location, str):
        return None
    meant = Path(origin["folder"], "nnunetv2")
    return str(meant) if meant.is_dir() and not meant.samefile(location) else None


_VERSIONS = {
    "numpy": "numpy",
    "blosc2": "blosc2",
    "acvl_utils": "acvl-utils",
    "batchgenerators": "batchgenerators",
    "batchgeneratorsv2": "batchgeneratorsv2",
    "threadpoolctl": "threadpoolctl",
    "setuptools": "setuptools",
    "wandb": "wandb",
}
_COPIES = {"before_user": "user", "before_path": "PYTHONPATH", "twice": "twice"}


def _packages(report: Report, notes: Notes) -> None:
    saw = report.saw("distributions")
    if not saw:
        names = (*_VERSIONS, *_COPIES, "from_conda", "conda_torch", "hidden")
        notes.see("package metadata", **{f"python__{name}": _not_seen(report, "distributions") for name in names})
        return
    found = saw["distributions"]
    notes.see("package metadata", **{f"python__{fact}": _version_of(found, name) for fact, name in _VERSIONS.items()})
    for fact, way in _COPIES.items():
        listed = [item for item in saw["copies"] if item["way"] == way]
        details = tuple(Detail(item["name"], f"{item['used']} != {item['hidden']}") for item in listed)
        notes.see("package metadata", **{f"python__{fact}": details})
    notes.see("conda-meta", python__from_conda=tuple(saw["conda"]), python__conda_torch=saw["conda_torch"])
    notes.see("PYTHONPATH", python__hidden=tuple(Detail(item["file"], item["module"]) for item in saw["hidden"]))


_TRAINER = {
    "trainer_named": "named",
    "trainer_outside": "outside",
    "trainer_file": "file",
    "trainer_takes": "takes",
    "trainer_hands_on": "hands_on_unpacking",
    "network_takes": "network_takes",
}


def _trainer(report: Report, notes: Notes, context: Context) -> None:
    if context.request.trainer == "nnUNetTrainer":
        notes.see("command line", **dict.fromkeys((f"nnunet__{name}" for name in _TRAINER), None))
        return
    saw = report.saw("trainer")
    if not saw:
        notes.see("nnU-Net's files", **{f"nnunet__{name}": _not_seen(report, "trainer") for name in _TRAINER})
        return
    values = {f"nnunet__{fact}": saw.get(key) for fact, key in _TRAINER.items()}
    if values["nnunet__trainer_takes"] is None:
        values["nnunet__trainer_hands_on"] = None
    listed = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    notes.see("nnU-Net's files", **listed)


def _script(folder: str) -> str | None:
    for name in ("nnUNetv2_train", "nnUNetv2_train.exe"):
        path = Path(folder, name)
        if folder and path.is_file():
            return str(path)
    return None


def _bound(requires: Sequence[str], name: str) -> str | None:
    for text in requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.name.lower() == name and "extra" not in str(requirement.marker or ""):
            return str(requirement.specifier)
    return None


def conflicts(distributions: Mapping[str, Any], python: str) -> tuple[Detail, ...]:
    """List requirements that are not met, as pip check would for nnU-Net and what it brings.

    Args:
        distributions: Version and requirements by normalised name.
        python: Release of the examined interpreter, for markers.
    """
    environment = _environment(python)
    found = []
    for name, distribution in sorted(distributions.items()):
        for text in distribution["requires"]:
            if "extra ==" in text:  # not asked for, and dear to parse
                continue
            try:
                requirement = Requirement(text)
                if requirement.marker is not None and not requirement.marker.evaluate(environment):
                    continue
            except (InvalidRequirement, InvalidMarker, UndefinedEnvironmentName):
                continue
            complaint = _unmet(requirement, distributions)
            if complaint:
                found.append(Detail(name, complaint))
    return tuple(found)


def _unmet(requirement: Requirement, distributions: Mapping[str, Any]) -> str | None:
    wanted = f"{requirement.name}{requirement.specifier}"
    present = distributions.get(canonicalize_name(requirement.name))
    if present is None:
        return f"{wanted} != -"
    try:
        version = Version(present["version"])
    except InvalidVersion:
        return None
    return None if requirement.specifier.contains(version, prereleases=True) else f"{wanted} != {version}"
