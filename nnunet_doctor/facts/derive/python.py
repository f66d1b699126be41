"""Which releases of nnU-Net the interpreter can take."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown
from nnunet_doctor.facts.derive.rules import is_in, rule
from nnunet_doctor.facts.tables import table


@rule("python.supported", "python.version", "nnunet.version", "nnunet.requires_python")
def python_supported(python: str, nnunet: str | None, requires: str | None) -> bool | Unknown:
    wanted = (requires or "") if nnunet else str(table("nnunet")["release"][-1]["python"])
    return is_in(python, wanted)


@rule("python.newest_nnunet", "python.version")
def newest_nnunet_for(python: str) -> str | Unknown:
    for row in reversed(table("nnunet")["release"]):
        if is_in(python, row["python"]) is True:
            return str(row["version"])
    return Unknown(f"no known release of nnU-Net accepts Python {python}")
