"""Which releases of nnU-Net the interpreter can take, how they get into it, and packages that do not go together."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_doctor.facts.base import Unknown
from nnunet_doctor.facts.derive.rules import is_in, release_row, rule
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


@rule("python.too_new", "python.version")
def too_new(python: str) -> bool | Unknown:
    return is_in(python, f">={table('nnunet')['python_too_new']}")


@rule(
    "python.installs_with",
    "python.pip",
    "python.uv",
    "python.environment",
    "python.externally_managed",
    "python.writable",
    "python.user_site",
    "python.venv_module",
)
def installs_with(
    pip: bool, uv: str | None, environment: str, managed: bool, writable: bool, user: bool, ensurepip: bool
) -> str:
    """Where the folder of packages is not writable, pip turns to that of the user by itself, outside environments."""
    if managed or (not writable and (environment != "system" or not user or not pip)):
        return "venv"
    if pip:
        return "pip"
    if uv is not None:
        return "uv"
    if environment == "conda":
        return "conda"
    return "ensurepip" if ensurepip else "nothing"


@rule("python.torch_from_conda", "python.from_conda")
def torch_from_conda(packages: Sequence[str]) -> bool:
    return "torch" in packages


@rule("python.torch_over_conda", "python.conda_torch", "python.from_conda", "torch.installed")
def torch_over_conda(conda: str | None, packages: Sequence[str], installed: bool) -> bool:
    return installed and conda is not None and "torch" not in packages


@rule("python.numpy_too_new", "python.numpy", "torch.version", "platform.os")
def numpy_too_new(numpy: str | None, torch: str | None, system: str) -> bool | None | Unknown:
    """Torch is built for numpy 2 from 2.3 on, on Windows from 2.4.1 on (pytorch/pytorch#107302, #131668)."""
    if numpy is None or torch is None:
        return None
    for version, wanted in ((numpy, ">=2"), (torch, "<2.4.1" if system == "windows" else "<2.3")):
        inside = is_in(version, wanted)
        if inside is not True:
            return inside
    return True


@rule("python.numpy_too_old", "python.numpy", "python.blosc2", "nnunet.behaves_as")
def numpy_too_old(numpy: str | None, blosc2: str | None, release: str | None) -> bool | None | Unknown:
    """blosc2 3.9.0 takes numpy.isdtype at its import, although its metadata allow numpy 1.26."""
    if numpy is None or release is None:
        return None
    wanted = str(release_row(release)["numpy"]) + (",>=2" if blosc2 == "3.9.0" else "")
    fits = is_in(numpy, wanted.strip(","))
    return fits if isinstance(fits, Unknown) else not fits


@rule("python.blosc2_lacking", "python.acvl_utils", "python.blosc2")
def blosc2_lacking(acvl_utils: str | None, blosc2: str | None) -> bool | Unknown:
    """acvl-utils imports it from 0.2.1 on, in cropping_and_padding/bounding_boxes.py."""
    return False if acvl_utils is None or blosc2 is not None else is_in(acvl_utils, ">=0.2.1")


@rule("python.threadpoolctl_fails", "python.threadpoolctl", "python.numpy", "python.from_conda", "platform.os")
def threadpoolctl_fails(
    threadpoolctl: str | None, numpy: str | None, conda: Sequence[str], system: str
) -> bool | Unknown:
    """Wheels of numpy 1.22 to 1.26 name the functions of OpenBLAS with a suffix, which releases before 3 do not know.

    On Linux the error is raised in a callback of C, and passed over.
    """
    if threadpoolctl is None or numpy is None or "numpy" in conda or system not in ("windows", "macos"):
        return False
    for version, wanted in ((threadpoolctl, "<3"), (numpy, ">=1.22,<2")):
        inside = is_in(version, wanted)
        if inside is not True:
            return inside
    return True


@rule("python.distutils", "python.version", "python.setuptools")
def distutils(python: str, setuptools: str | None) -> bool | Unknown:
    return True if setuptools is not None else is_in(python, "<3.12")


@rule("nnunet.distutils_lacking", "python.distutils", "nnunet.version", "preprocessed.cases", tolerant=True)
def distutils_lacking(
    distutils: bool | Unknown, release: str | None | Unknown, cases: int | None | Unknown
) -> bool | Unknown:
    """From 2.1.2 on, preprocess_dataset copies the labels with distutils, after the last case."""
    if isinstance(distutils, Unknown):
        return distutils
    if isinstance(release, Unknown):
        return release
    if distutils or release is None or (isinstance(cases, int) and cases > 0):
        return False
    return is_in(release, ">=2.1.2")


@rule("python.on_wrong_chip", "python.emulated", "platform.os")
def on_wrong_chip(emulated: bool | None, system: str) -> bool:
    """The build for Intel sees no GPU of the Mac, and torch ends with 2.2.2 for it; Windows has no other way."""
    return emulated is True and system == "macos"
