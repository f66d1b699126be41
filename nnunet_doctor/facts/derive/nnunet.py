"""What the release of nnU-Net means for the rest."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown
from nnunet_doctor.facts.derive.rules import is_in, release_row, rule, whole
from nnunet_doctor.facts.tables import is_newer_than_known, newest, row_for


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


@rule("nnunet.torch_requirement", "nnunet.torch_wanted")
def torch_requirement(wanted: str | None) -> str:
    """2.9 is left out for every release: its 3D convolutions are several times slower (pytorch/pytorch#166122)."""
    return f"torch{wanted or release_row(newest('nnunet'))['torch']},!=2.9.*"


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
