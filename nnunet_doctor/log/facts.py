"""What a log tells of the machine, the installation and the training: facts with the source "log"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping

from nnunet_doctor.facts import Facts, Observed, Unknown
from nnunet_doctor.facts.derive import derive

SOURCE = "log"

Learn = Callable[[re.Match[str]], Mapping[str, Observed]]


def _is(**known: Observed) -> Learn:
    """Return what a line shows by being there; ``area__noun`` stands for ``area.noun``."""
    values = {name.replace("__", "."): value for name, value in known.items()}
    return lambda _found: values


def _named(*names: str) -> Learn:
    """Return the groups of an expression as values of facts."""
    return lambda found: {name: value for name, value in zip(names, found.groups(), strict=False) if value}


def _dataset(found: re.Match[str]) -> Mapping[str, Observed]:
    name = found.group(1)
    return {"dataset.name": name, "dataset.id": int(name[7:10]), "dataset.requested": name}


def _torch(found: re.Match[str]) -> Mapping[str, Observed]:
    version, label = found.group(1), found.group(2) or ""
    known: dict[str, Observed] = {"torch.version": version + label, "torch.installed": True}
    if label.startswith("+cu"):
        digits = label[3:]
        known |= {"torch.build": "cuda", "torch.cuda_build": f"{digits[:-1]}.{digits[-1]}"}
    elif label == "+cpu":
        known |= {"torch.build": "cpu", "torch.cuda_build": None}
    return known


def _nnunet(found: re.Match[str]) -> Mapping[str, Observed]:
    return {"nnunet.version": found.group(1), "nnunet.installed": True}


def _device(found: re.Match[str]) -> Mapping[str, Observed]:
    return {"training.device": found.group(1)}


def _folder(found: re.Match[str]) -> Mapping[str, Observed]:
    return {f"paths.{found.group(1)}": None if found.group(2) == "None" else found.group(2)}


def _absent(found: re.Match[str]) -> Mapping[str, Observed]:
    return {"dataset.id": int(found.group(1)), "dataset.requested": found.group(1)}


def _planned(found: re.Match[str]) -> Mapping[str, Observed]:
    names = tuple(re.findall(r"'([^']{1,80})'", found.group(2)))
    return {"training.configuration": found.group(1), "preprocessed.configurations": names}


_WINDOWS = _is(platform__os="windows")
_LINUX = _is(platform__os="linux")
_MACOS = _is(platform__os="macos")
_RELEASE = r"(\d\.\d{1,2}\.\d{1,2})(\+\w{1,20})?"
_VERSION = r"(\d+\.\d+(?:\.\d+)?(?:\.?(?:dev|post|rc|a|b)\d+)?)"

DETECTORS: tuple[tuple[re.Pattern[str], Learn], ...] = tuple(
    (re.compile(pattern), learn)
    for pattern, learn in (
        # the system, by paths that Python, shells and nnU-Net print
        (r'File "[A-Za-z]:\\', _WINDOWS),
        (
            r"(?:^|[ '\"=(])[A-Za-z]:\\\\?(?:Users|Program|[Aa]naconda|miniconda|Windows|Python)[^>]*$",
            _WINDOWS,
        ),
        (r"\[WinError \d", _WINDOWS),
        (r"is not recognized as an internal or external command", _is(platform__os="windows", platform__shell="cmd")),
        (r"不是内部或外部命令", _is(platform__os="windows", platform__shell="cmd")),
        (
            r"is not recognized as (?:the|a) name of a cmdlet|CommandNotFoundException|^PS [A-Z]:\\",
            _is(platform__os="windows", platform__shell="powershell"),
        ),
        (r"^(?:\([\w. -]{1,40}\) )?[A-Z]:\\[^<>|?*]{0,200}>(?! )", _is(platform__os="windows", platform__shell="cmd")),
        (r'File "/(?:Users|opt/homebrew|Library/Frameworks|System/Volumes|private/)', _MACOS),
        (r"\bmacosx_\d|\bmacOS-\d", _MACOS),
        (
            r'File "/(?:home|root|usr/lib|usr/local/lib|data|mnt|scratch|gpfs|lustre|workspace|opt/conda|kaggle)/',
            _LINUX,
        ),
        (
            r"-x86_64-linux-gnu|linux-gnu|manylinux|\bld: cannot find|\bGLIBC_",
            _LINUX,
        ),
        (r"/usr/lib/wsl/|microsoft-standard-WSL2|\bWSL2\b", _is(platform__os="linux", platform__wsl=2)),
        (r'File "/mnt/[c-z]/', _is(platform__os="linux", platform__wsl=2)),
        # what lies between
        (
            r"slurmstepd|^srun: |\bSLURM_[A-Z]|DUE TO TIME LIMIT|StepId=\d",
            _is(platform__os="linux", platform__scheduler="slurm"),
        ),
        (r"=>> PBS: |\bPBS_JOBID|\bPBS Job ", _is(platform__os="linux", platform__scheduler="pbs")),
        (
            r"TERM_(?:RUNLIMIT|MEMLIMIT|OWNER): |\bLSB_JOBID|^Sender: LSF System",
            _is(platform__os="linux", platform__scheduler="lsf"),
        ),
        (r"\bdocker run\b|^docker: |/var/lib/docker/|/\.dockerenv", _is(platform__container="docker")),
        (
            r"\bOOMKilled\b|std(?:out|err) F |\bkubepods\b|/var/run/secrets/kubernetes",
            _is(platform__os="linux", platform__container="kubernetes"),
        ),
        (
            r"\b(?:singularity|apptainer) (?:exec|run)\b|/\.singularity\.d/|INFO: {4}(?:Cleaning up|Converting SIF)",
            _is(platform__os="linux", platform__container="apptainer"),
        ),
        # the interpreter and its packages
        (
            r"[/\\][Pp]ython(3\.\d{1,2})[/\\](?:site-packages|dist-packages|multiprocessing|threading|concurrent|runpy|lib2to3|json)",
            _named("python.version"),
        ),
        (
            r"[/\\][Pp]ython3(\d{1,2})\\(?:[Ll]ib|Scripts|python\.exe)",
            lambda found: {"python.version": f"3.{found.group(1)}"},
        ),
        (r"(?:^|\b)Python (?:version: )?(3\.\d{1,2}\.\d{1,2})\b", _named("python.version")),
        (
            r"[/\\](?:mini|ana)conda3?[/\\]|[/\\]miniforge3?[/\\]|[/\\]mambaforge[/\\]|^\$? ?conda ",
            _is(python__environment="conda"),
        ),
        (
            rf"\b(?:torch|pytorch|PyTorch)(?:==| [Vv]ersion: ?|-|[ ]{{1,30}})v?{_RELEASE}(?![\w.]*\.so)",
            _torch,
        ),
        (r"\bnnunetv2(?:==|-|[ ]{1,30})v?" + _VERSION, _nnunet),
        (r"\bnnU-?Net(?:v2)? [Vv]ersion:? v?" + _VERSION, _nnunet),
        (r"[/\\]nnunetv2[/\\]\w", _is(nnunet__installed=True, torch__installed=True)),
        (r"No module named '?torch'?$", _is(torch__installed=False)),
        (r"No module named '?nnunetv2'?$", _is(nnunet__installed=False)),
        # the folders, as nnU-Net prints them with some of its errors
        (r"^nnUNet_(raw|preprocessed|results)=(.{1,1000}?) *$", _folder),
        # the training
        (r"^Using device: (cuda|cpu|mps)", _device),
        (r"^(?:Using torch\.compile|Compiling network)\.\.\.", _is(training__compiles=True)),
        (r"INFO: torch\.compile disabled because", _is(training__compiles=False)),
        (r"'dataset_name': '(Dataset\d{3}_\w{1,100})'", _dataset),
        (r"[/\\](Dataset\d{3}_[A-Za-z0-9_]{1,100})[/\\]", _dataset),
        (r"Could not find a dataset with the ID (\d{1,6})\.", _absent),
        (r"Requested configuration (\S{1,80}) not found in plans\. Available configurations: \[(.{1,400})\]", _planned),
        (r"^Configuration name: (\S{1,60})", _named("training.configuration")),
        (r"^Desired fold for training: (\w{1,10})", _named("training.fold")),
        (r"'plans_name': '(\w{1,80})'", _named("training.plans")),
        (
            r"[/\\](\w{0,60}Plans\w{0,60}?)_((?:2d|3d_)[a-z_]{0,40})(?=[/\\'\"])",
            _named("training.plans", "training.configuration"),
        ),
        (
            r"[/\\](nnUNetTrainer\w{0,80}?)__(\w{1,60}?)__([A-Za-z0-9][A-Za-z0-9_]{0,60}?)[/\\]+(?:fold_(\w{1,10})[/\\'\"])?",
            _named("training.trainer", "training.plans", "training.configuration", "training.fold"),
        ),
        (
            r"\bnnUNetv2_train(?:\.exe)?\s+(?!error)(?:Dataset)?\d\w{0,60} ([23]d\w{0,40}) (\d|all)\b",
            _named("training.configuration", "training.fold"),
        ),
    )
)
"""Expressions, and what a line that matches them shows."""

_AFTER_DERIVING = ("training.device", "training.compiles")
"""Facts that follow from others on a machine, and that a log states."""

_ELSEWHERE: Mapping[str, Observed] = {
    "platform.wsl": None,
    "platform.container": None,
    "platform.scheduler": None,
    "platform.glibc": None,
    "resources.shm_gib": None,
    "resources.shm_free_gib": None,
}
"""What does not apply on Windows and on a Mac."""


class Learner:
    """Gathers what lines show; where they contradict each other, what most of them show."""

    def __init__(self) -> None:
        """Begin without knowing anything."""
        self._seen: dict[str, Counter[Observed]] = {}

    def take(self, detector: int, text: str, raw: str) -> None:
        """Look at a line with one detector, without and with what others put in front of it."""
        expression, learn = DETECTORS[detector]
        found = expression.search(text) or expression.search(raw)
        for name, value in learn(found).items() if found else ():
            self._seen.setdefault(name, Counter())[value] += 1

    def note(self, values: Mapping[str, Observed]) -> None:
        """Add what is known from elsewhere than lines, as from debug.json or the name of a file."""
        for name, value in values.items():
            self._seen.setdefault(name, Counter())[value] += 1000

    def facts(self) -> Facts:
        """Return all that was learnt, with what follows from it; all else is unknown."""
        known = {name: counts.most_common(1)[0][0] for name, counts in self._seen.items()}
        known |= {name: False for name in ("torch.installed", "nnunet.installed") if False in self._seen.get(name, ())}
        if known.get("platform.os") in ("windows", "macos"):
            known = {**known, **_ELSEWHERE}
        elif known.get("platform.os") == "linux":
            known.setdefault("platform.shell", "posix")
        if known.get("platform.os") == "macos":
            known.setdefault("platform.shell", "posix")
        if known.get("platform.scheduler"):
            known.setdefault("platform.wsl", None)
        if known.get("platform.os") == "windows" and "platform.shell" not in known:
            # the prompt of conda is one of cmd
            known["platform.shell"] = "cmd" if known.get("python.environment") == "conda" else "powershell"
        return laid_over(Facts(), known)


def laid_over(facts: Facts, known: Mapping[str, Observed]) -> Facts:
    """Lay what a log states over facts, and derive what follows anew."""
    observed = {name: value for name, value in known.items() if name not in _AFTER_DERIVING}
    stated = {name: value for name, value in known.items() if name in _AFTER_DERIVING}
    sources = dict.fromkeys(known, SOURCE)
    derived = derive(facts.with_values(observed, sources)).with_values(stated, sources)
    compiles = derived["training.compiles"]
    if "training.device" in stated and not isinstance(compiles, Unknown):
        # what rests on the device was derived from the one that a machine would choose
        for_cuda = compiles is True and stated["training.device"] == "cuda"
        derived = derived.with_values({"training.compiles_for_cuda": for_cuda}, {"training.compiles_for_cuda": SOURCE})
    return derived


def observed_in(facts: Facts) -> dict[str, Observed]:
    """Return what a log itself states, without what follows from it."""
    return {
        name: facts[name]
        for name in facts.values
        if facts.source(name) == SOURCE and not isinstance(facts[name], Unknown)
    }


def from_debug(debug: Mapping[str, str]) -> dict[str, Observed]:
    """Return what debug.json tells, which nnUNetTrainer._save_debug_information writes."""
    known: dict[str, Observed] = {}
    version = re.fullmatch(_RELEASE, debug.get("torch_version", ""))
    if version:
        known |= _torch(version)
    device = re.match(r"(cuda|cpu|mps)", debug.get("device", ""))
    if device:
        known |= _device(device)
    for key, name in (("fold", "training.fold"), ("configuration_name", "training.configuration")):
        if re.fullmatch(r"\w{1,60}", debug.get(key, "")):
            known[name] = debug[key]
    return known


def from_name(name: str) -> dict[str, Observed]:
    """Return what the name and the folder of a log tell."""
    known: dict[str, Observed] = {}
    if re.search(r"(?:^|[/\\])slurm-\d+", name):
        known |= {"platform.os": "linux", "platform.scheduler": "slurm"}
    place = name.replace("\\", "/")
    found = re.search(r"/(Dataset\d{3}_\w{1,100})/(\w{1,80}?)__(\w{1,60}?)__(\w{1,60}?)/fold_(\w{1,10})/", place)
    if found:
        keys = ("training.trainer", "training.plans", "training.configuration", "training.fold")
        known |= dict(zip(keys, found.groups()[1:], strict=True))
        known |= {"dataset.name": found.group(1), "dataset.id": int(found.group(1)[7:10])}
    return known
