"""What the training that is asked for is: its device, and whether it compiles."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnunet_doctor.facts.base import Detail, Unknown
from nnunet_doctor.facts.derive.rules import capability, first_unknown, is_in, release_row, rule
from nnunet_doctor.facts.tables import row_for
from nnunet_doctor.facts.trainers import is_plain


@rule("dataset.named", "dataset.requested")
def dataset_named(requested: str | None) -> bool:
    return requested is not None


@rule("dataset.ambiguous", "dataset.resolution", "dataset.matches")
def ambiguous(resolution: str | None, matches: tuple[Detail, ...] | None) -> tuple[Detail, ...] | None:
    return matches if resolution == "ambiguous" else None


@rule("dataset.convert_argument", "dataset.layout", "dataset.folder")
def convert_argument(layout: str | None, folder: str | None) -> str | None:
    return folder if layout in ("decathlon", "nnunet-v1") else None


@rule("training.follows_plans", "training.trainer")
def follows_plans(trainer: str) -> bool:
    return is_plain(trainer)


@rule("training.planned", "training.configuration")
def planned(configuration: str | None) -> bool:
    return configuration is not None


@rule("training.trains", "training.planned", "training.validates")
def trains(planned: bool, validates: bool) -> bool:
    return planned and not validates


@rule("dataset.raw_matters", "training.planned", "preprocessed.plans_state", "preprocessed.data_format")
def raw_matters(planned: bool, plans: str | None, stored: str | None) -> bool:
    """Training reads preprocessed data only (run_training.get_trainer_from_args)."""
    return not (planned and plans == "ok" and stored in ("npz", "b2nd"))


@rule(
    "training.device",
    "training.device_request",
    "torch.cuda_usable",
    "torch.mps_available",
    "platform.os",
    tolerant=True,
)
def device(request: str | Unknown, cuda: bool | Unknown, mps: bool | Unknown, system: str | Unknown) -> str | Unknown:
    if isinstance(request, Unknown) or request != "auto":
        return request
    if isinstance(cuda, Unknown):
        return cuda
    if cuda:
        return "cuda"
    if system != "macos":
        return "cpu"
    return mps if isinstance(mps, Unknown) else "mps" if mps else "cpu"


@rule("training.device_usable", "training.device", "torch.cuda_usable", "torch.mps_available", tolerant=True)
def device_usable(device: str | Unknown, cuda: bool | Unknown, mps: bool | Unknown) -> bool | Unknown:
    if isinstance(device, Unknown):
        return device
    usable: dict[str, bool | Unknown] = {"cpu": True, "cuda": cuda, "mps": mps}
    return usable.get(device, False)


_DEFAULT_DEVICE = ("training.device_request", "training.device", "training.planned", "gpu.present")


@rule("training.device_left_to_default", *_DEFAULT_DEVICE, tolerant=True)
def device_left_to_default(
    request: str | Unknown, device: str | Unknown, planned: bool | Unknown, present: bool | Unknown
) -> bool | Unknown:
    """nnUNetv2_train takes cuda unless -device says otherwise (run_training_entry)."""
    if isinstance(present, Unknown):
        return present
    return False if present else _falls_to_default(request, device, planned)


@rule("training.gpu_out_of_reach", *_DEFAULT_DEVICE, tolerant=True)
def gpu_out_of_reach(
    request: str | Unknown, device: str | Unknown, planned: bool | Unknown, present: bool | Unknown
) -> bool | Unknown:
    """Nobody who has a GPU, its driver silent or not, and says nothing means to train on the CPU for weeks."""
    return False if present is False else _falls_to_default(request, device, planned)


def _falls_to_default(request: str | Unknown, device: str | Unknown, planned: bool | Unknown) -> bool | Unknown:
    """Say whether a training is planned that names no device, and whose device is not the default."""
    if planned is False or (isinstance(request, str) and request != "auto"):
        return False
    if (unknown := first_unknown(planned, request)) is not None:
        return unknown
    return device if isinstance(device, Unknown) else device != "cuda"


@rule("training.is_trial", "training.trainer")
def is_trial(trainer: str) -> bool:
    """nnUNetTrainer_Xepochs.py and the benchmark trainers; 20 epochs are the longest of them."""
    found = re.search(r"_(\d+)epochs?(?:_|$)", trainer)
    return found is not None and int(found.group(1)) <= 20


@rule("training.is_whole", "training.is_trial", "dataset.predict_input")
def is_whole(is_trial: bool, predict_input: str | None) -> bool:
    return not is_trial and predict_input is None


@rule("training.cuda_in_vain", "training.device", "torch.build", "torch.cuda_usable")
def cuda_in_vain(device: str, build: str | None, usable: bool) -> bool:
    return device == "cuda" and build == "cuda" and not usable


@rule("training.on_mps", "training.device_request", "training.device", "platform.os", tolerant=True)
def on_mps(request: str | Unknown, device: str | Unknown, system: str | Unknown) -> bool | Unknown:
    if request == "auto" and system in ("linux", "windows"):
        return False
    return device if isinstance(device, Unknown) else device == "mps"


@rule("training.is_3d", "training.configuration", "preprocessed.patch_size")
def is_3d(configuration: str | None, patch_size: Sequence[int] | None) -> bool:
    if patch_size is not None:
        return len(patch_size) == 3
    return configuration is not None and configuration.startswith("3d")


@rule("training.may_be_3d", "training.planned", "training.is_3d", tolerant=True)
def may_be_3d(planned: bool | Unknown, is_3d: bool | Unknown) -> bool | Unknown:
    if planned is False:
        return True
    return planned if isinstance(planned, Unknown) else is_3d


@rule("training.uses_variants", "training.trainer", "nnunet.behaves_as")
def uses_variants(trainer: str, release: str | None) -> bool | Unknown:
    """From 2.6.2 on, the search for another trainer imports the Primus trainers, and with them timm and torchvision."""
    if release is None or trainer == "nnUNetTrainer":
        return False
    return is_in(release, ">=2.6.2")


@rule(
    "training.compiles",
    "nnunet.behaves_as",
    "platform.os",
    "training.device",
    "nnunet.compile_variable",
    "triton.compile_off",
    tolerant=True,
)
def compiles(
    release: str | None | Unknown,
    system: str | Unknown,
    device: str | Unknown,
    variable: str | None | Unknown,
    off: str | None | Unknown = None,
) -> bool | Unknown:
    """Take the decision that nnU-Net takes (nnUNetTrainer._do_i_compile and initialize, per release).

    A variable of torch can make torch.compile hand back what it is given, whatever nnU-Net decides.
    """
    if isinstance(off, str):
        return False
    if isinstance(release, Unknown):
        return release
    if isinstance(variable, Unknown):
        return variable
    if release is None:
        return False
    mode = release_row(release)["compile"]
    asked = variable is not None and _is_true(variable)
    if mode == "never" or (variable is not None and not asked):
        return False
    if mode == "asked":
        return asked
    if mode == "everywhere":
        return True
    if isinstance(system, Unknown):
        return system
    if isinstance(device, Unknown):
        return device
    return device == "cuda" and system != "windows"


def _is_true(variable: str) -> bool:
    """Read nnUNet_compile as every release does: only these words mean on, in any case and without blanks."""
    return variable.lower() in ("true", "1", "t")


@rule("training.compiles_for_cuda", "training.compiles", "training.device", "torch.build")
def compiles_for_cuda(compiles: bool, device: str, build: str | None) -> bool:
    return compiles and device == "cuda" and build == "cuda"


@rule(
    "training.compiles_late",
    "training.compiles",
    "nnunet.behaves_as",
    "nnunet.compile_variable",
    "triton.compile_off",
    tolerant=True,
)
def compiles_late(
    compiles: bool | Unknown,
    release: str | None | Unknown,
    variable: str | None | Unknown,
    off: str | None | Unknown,
) -> bool | Unknown:
    """The predictor of the final validation has its own test, which asks for neither device nor system (2.5.1 on)."""
    if isinstance(off, str):
        return False
    if variable is None or release is None or (isinstance(variable, str) and not _is_true(variable)):
        return False
    if (unknown := first_unknown(variable, release)) is not None:
        return unknown
    if isinstance(compiles, Unknown):
        return compiles
    return not compiles and release_row(str(release))["compile"] == "cuda-not-windows"


@rule(
    "training.compiles_late_in_vain",
    "training.compiles_late",
    "training.device",
    "triton.importable",
    "triton.cpp_compiler",
    tolerant=True,
)
def compiles_late_in_vain(
    late: bool | Unknown, device: str | Unknown, triton: bool | Unknown, compiler: str | None | Unknown
) -> bool | Unknown:
    """On CUDA it takes Triton, on the CPU a C++ compiler; on MPS it does not work for nnU-Net."""
    if isinstance(late, Unknown) or not late:
        return late
    if isinstance(device, Unknown):
        return device
    if device == "cuda":
        return triton if isinstance(triton, Unknown) else not triton
    if device == "cpu":
        return compiler if isinstance(compiler, Unknown) else compiler is None
    return True


@rule("training.compile_python_newest", "torch.version")
def compile_python_newest(torch: str | None) -> str | None | Unknown:
    row = row_for("torch", torch) if torch else None
    if row is None:
        return None if torch is None else Unknown(f"torch {torch} is not in the table of releases")
    return str(row["compile_python"])


@rule("training.compile_python_fits", "python.version", "training.compile_python_newest")
def compile_python_fits(python: str, newest_python: str | None) -> bool | None | Unknown:
    if newest_python is None:
        return None
    major, _, minor = newest_python.partition(".")
    return is_in(python, f"<{major}.{int(minor) + 1}.dev0")


@rule("training.gpu_compilable", "gpu.oldest_capability")
def gpu_compilable(oldest: str | None) -> bool | None:
    """Torch refuses Triton below compute capability 7.0 (torch._inductor, GPUTooOldForTriton)."""
    return None if oldest is None else capability(oldest) >= (7, 0)
