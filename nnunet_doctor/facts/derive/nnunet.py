"""What the release of nnU-Net means for the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnunet_doctor.facts.base import Detail, Unknown
from nnunet_doctor.facts.derive.rules import is_in, release_row, rule, whole
from nnunet_doctor.facts.tables import is_newer_than_known, newest, row_for, table


@rule("nnunet.newest_known")
def newest_known() -> str:
    return newest("nnunet")


@rule("nnunet.behaves_as", "nnunet.version")
def behaves_as(version: str | None) -> str | None | Unknown:
    if version is None:
        return None
    row = row_for("nnunet", version)
    return str(row["version"]) if row else Unknown(f"nnU-Net {version} is not in the table of releases")


@rule("nnunet.newer_than_known", "nnunet.version")
def newer_than_known(version: str | None) -> bool:
    return version is not None and is_newer_than_known("nnunet", version)


@rule("nnunet.outdated", "nnunet.version")
def outdated(version: str | None) -> bool | Unknown:
    if version is None:
        return False
    return is_in(version, f"<{newest('nnunet')}")


@rule("nnunet.torch_wanted", "nnunet.behaves_as")
def torch_wanted(release: str | None) -> str | None:
    return None if release is None else str(release_row(release)["torch"])


@rule("nnunet.torch_requirement", "nnunet.torch_wanted", "python.version", "nnunet.requires_torch", tolerant=True)
def torch_requirement(
    wanted: str | None | Unknown, python: str | Unknown, required: str | None | Unknown
) -> str | Unknown:
    """Take what it trains with by its code and by its metadata, and avoid what the table of problems says to avoid.

    Without nnU-Net, the release that pip would choose for this Python counts.
    """
    if isinstance(wanted, Unknown):
        return wanted
    rows = table("nnunet")["release"]
    fitting = rows if isinstance(python, Unknown) else [row for row in rows if is_in(python, row["python"]) is True]
    parts = [*(wanted or (fitting or rows)[-1]["torch"]).split(",")]
    parts += [row["avoid"] for row in table("torch_problems")["problem"]]
    parts += required.split(",") if isinstance(required, str) else []
    return "torch" + ",".join(dict.fromkeys(part.strip() for part in parts if part))


@rule("nnunet.torch_fits", "torch.version", "nnunet.torch_wanted")
def torch_fits(torch: str | None, wanted: str | None) -> bool | None | Unknown:
    return None if torch is None or wanted is None else is_in(torch, wanted)


@rule("nnunet.torch_excluded", "torch.version", "nnunet.requires_torch")
def torch_excluded(torch: str | None, bound: str | None) -> bool | None | Unknown:
    if torch is None or bound is None:
        return None
    inside = is_in(torch, bound)
    return inside if isinstance(inside, Unknown) else not inside


@rule("nnunet.bad_numbers", "nnunet.workers_variable", "nnunet.processes_variable")
def bad_numbers(workers: str | None, processes: str | None) -> tuple[Detail, ...]:
    """Both go through int() when nnU-Net starts; a negative worker count hangs, 0 processes fails at the end."""
    least = {"nnUNet_n_proc_DA": 0, "nnUNet_def_n_proc": 1}
    values = {"nnUNet_n_proc_DA": workers, "nnUNet_def_n_proc": processes}
    return tuple(
        Detail(name, value) for name, value in values.items() if value is not None and whole(value, least[name]) is None
    )


@rule("nnunet.misspelt_variables", "nnunet.unknown_variables")
def misspelt_variables(unknown: Sequence[Detail]) -> tuple[Detail, ...]:
    return tuple(item for item in unknown if _is_slip(item.subject, item.message))


@rule("nnunet.foreign_variables", "nnunet.unknown_variables")
def foreign_variables(unknown: Sequence[Detail]) -> tuple[Detail, ...]:
    """nnU-Net v1, forks and scripts around nnU-Net have names of their own, such as nnUNet_raw_data."""
    return tuple(Detail(item.subject) for item in unknown if not _is_slip(item.subject, item.message))


def _is_slip(name: str, real: str) -> bool:
    from difflib import SequenceMatcher

    return bool(real) and SequenceMatcher(None, name.lower(), real.lower()).ratio() >= ONE_SLIP


ONE_SLIP = 0.85
"""Likeness of two names from which on one is taken for the other: nnUNetv2_raw is, nnUNet_raw_data is not."""


@rule("nnunet.unmet", "nnunet.conflicts")
def unmet(conflicts: Sequence[Detail]) -> tuple[Detail, ...]:
    """nnU-Net's bound on torch, and torch's on Triton, have facts of their own."""
    told = re.compile("nnunetv2.* torch|torch (pytorch-)?triton.*", re.IGNORECASE)
    return tuple(item for item in conflicts if not told.fullmatch(f"{item.subject} {_requirement(item.message)}"))


def _requirement(complaint: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", complaint, maxsplit=1)[0].replace("_", "-")


@rule("nnunet.idle_variables", "nnunet.variables", "nnunet.behaves_as")
def idle_variables(variables: Sequence[Detail], release: str | None) -> tuple[Detail, ...]:
    """nnUNet_keep_files_open only saves time, compiling is a wish, and the rest of wandb's follow its first."""
    if release is None:
        return ()
    harmless = {"nnUNet_keep_files_open", "nnUNet_compile", "nnUNet_wandb_project", "nnUNet_wandb_mode"}
    read = {"nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", *release_row(release)["variables"], *harmless}
    off = [Detail("nnUNet_wandb_enabled", word) for word in WANDB_OFF]
    return tuple(
        Detail(item.subject, _releases_with(item.subject))
        for item in variables
        if item.subject not in read and item not in off
    )


def _releases_with(variable: str) -> str:
    """Return the releases that read a variable, as a range."""
    rows = table("nnunet")["release"]
    reading = [str(row["version"]) for row in rows if variable in row["variables"]]
    return f">={reading[0]}" if reading[-1] == rows[-1]["version"] else f">={reading[0]},<={reading[-1]}"


WANDB_OFF, WANDB_ON = ("0", "False", "false"), ("1", "True", "true")
"""What nnUNet_wandb_enabled can be (training/logging/nnunet_logger.py: MetaLogger._is_logger_enabled)."""


def _wandb(variables: Sequence[Detail], release: str | None) -> str:
    """Return what this release reads of nnUNet_wandb_enabled."""
    if release is None or "nnUNet_wandb_enabled" not in release_row(release)["variables"]:
        return WANDB_OFF[0]
    return next((item.message for item in variables if item.subject == "nnUNet_wandb_enabled"), WANDB_OFF[0])


@rule("nnunet.wandb_word", "nnunet.variables", "nnunet.behaves_as")
def wandb_word(variables: Sequence[Detail], release: str | None) -> str | None:
    word = _wandb(variables, release)
    return None if word in WANDB_OFF + WANDB_ON else word


@rule("nnunet.wandb_lacking", "nnunet.variables", "nnunet.behaves_as", "python.wandb")
def wandb_lacking(variables: Sequence[Detail], release: str | None, wandb: str | None) -> bool:
    return wandb is None and _wandb(variables, release) in WANDB_ON


@rule(
    "nnunet.resume_refused",
    "nnunet.version",
    "torch.version",
    "nnunet.load_variable",
    "training.trainer",
    "training.continues",
    "training.validates",
    "training.pretrained",
    "training.state",
)
def resume_refused(
    release: str | None,
    torch: str | None,
    variable: str | None,
    trainer: str,
    continues: bool,
    validates: bool,
    pretrained: str | None,
    state: str | None,
) -> bool | Unknown:
    """Torch loads plain weights only from 2.6 on, unless told otherwise.

    nnU-Net tells it from 2.6.0 on, except in the load_checkpoint of its warm-up trainer and of those built on that
    (variants/lr_schedule/nnUNetTrainer_warmup.py, up to 2.8.1).
    """
    loads = (continues and state in ("resumable", "finished")) or (validates and state == "finished")
    if release is None or torch is None or (variable or "").lower() in ("1", "y", "yes", "true"):
        return False
    old = is_in(release, "<2.6")
    alone = bool(_WARMS_UP.search(trainer)) and is_in(release, "<=2.8.1") is True
    if not (loads and (old or alone)) and not (old and pretrained is not None):
        return False
    return is_in(torch, ">=2.6")


_WARMS_UP = re.compile(r"nnUNetTrainer_warmup|^_?(nnUNet_)?Primus")
"""Trainers of nnU-Net that load their checkpoints themselves."""


@rule("nnunet.trainer_found", "nnunet.trainer_named", "nnunet.trainer_outside", "nnunet.behaves_as")
def trainer_found(named: bool | None, outside: bool | None, release: str | None) -> bool | None | Unknown:
    """nnUNet_extTrainer is searched from 2.8.0 on (utilities/find_objects.py)."""
    if named is None or release is None:
        return None
    return named or (outside is True and is_in(release, ">=2.8") is True)


_PARAMETERS = {"plans", "configuration", "fold", "dataset_json", "device"}


@rule("nnunet.trainer_fits", "nnunet.trainer_takes", "nnunet.trainer_hands_on", "nnunet.behaves_as")
def trainer_fits(takes: Sequence[str] | None, hands_on: bool | None, release: str | None) -> bool | None | Unknown:
    """nnU-Net calls it with these names, and looks up among its own each that it takes (nnUNetTrainer.__init__)."""
    if takes is None or release is None:
        return None
    unpacks = is_in(release, "<2.6")
    return set(takes) == _PARAMETERS | ({"unpack_dataset"} if unpacks else set()) and bool(unpacks or not hands_on)


@rule("nnunet.network_fits", "nnunet.network_takes", "nnunet.behaves_as")
def network_fits(takes: Sequence[str] | None, release: str | None) -> bool | None | Unknown:
    """Count as the calls in nnUNetTrainer.initialize do: 5 arguments until 2.3, 6 until 2.6.4, and then either."""
    names = [name for name in takes or () if name != "self"]
    if takes is None or release is None:
        return None
    if any(name.startswith("*") for name in names):
        return True
    if is_in(release, ">=2.7") and "plans_manager" in names:
        return len(names) >= 5 and "dataset_json" not in names
    return len(names) >= 6 if is_in(release, ">=2.3.1") else len(names) == 5 and "dataset_json" in names


@rule("nnunet.trainer_form", "nnunet.trainer_takes", "nnunet.network_takes")
def trainer_form(takes: Sequence[str] | None, network: Sequence[str] | None) -> str | None:
    """Tell by the parameters that releases have added and removed."""
    if network is not None and "dataset_json" in network:
        return "<2.3.1"
    if network is not None and "plans_manager" in network:
        return ">=2.7.0"
    if takes is not None and "unpack_dataset" in takes:
        return "<2.6"
    if network is not None and "architecture_class_name" in network:
        return ">=2.6.0,<2.7" if takes is not None else ">=2.3.1,<2.7"
    return None
