"""Facts about PyTorch in the interpreter under examination."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


class TorchFacts:
    """PyTorch: what its files say, and what happens when it is imported."""

    installed: bool | Unknown = fact("whether PyTorch can be found, without importing it")
    version: str | None | Unknown = fact("release with its build label, from torch/version.py; None without torch")
    build: str | None | Unknown = fact("cuda, cpu, rocm or xpu; None without torch")
    cuda_build: str | None | Unknown = fact("CUDA release of the build, such as 12.8; None for other builds")
    import_outcome: str | None | Unknown = fact("ok, error, crash or timeout of 'import torch'; None without torch")
    importable: bool | Unknown = fact("whether 'import torch' works")
    import_error: str | None | Unknown = fact("what 'import torch' failed with; None when it worked")
    import_seconds: float | None | Unknown = fact("time that 'import torch' took")
    cuda_available: bool | Unknown = fact("torch.cuda.is_available()")
    cuda_devices: int | Unknown = fact("torch.cuda.device_count()")
    device_names: tuple[str, ...] | Unknown = fact("GPUs that torch sees, in its own order; empty without any")
    device_capabilities: tuple[str, ...] | Unknown = fact("their compute capabilities, such as 8.6")
    cuda_message: str | None | Unknown = fact("what torch warned of while it looked for CUDA; None for nothing")
    arch_list: tuple[str, ...] | None | Unknown = fact("torch.cuda.get_arch_list(); None for builds without CUDA")
    cudnn: str | None | Unknown = fact("version of cuDNN that torch loads")
    mps_available: bool | Unknown = fact("torch.backends.mps.is_available()")
    torchvision: str | None | Unknown = fact("version of torchvision from its files; None when absent")
    torchvision_importable: bool | None | Unknown = fact(
        "whether 'import torchvision' works; None when it is absent, or when nothing in this run imports it"
    )
    torchvision_error: str | None | Unknown = fact("what 'import torchvision' failed with; None when it worked")

    release: str | None | Unknown = derived("release without its build label, as pip wants it; None without torch")
    label: str | None | Unknown = derived(
        "label of the PyTorch package index that the build comes from, such as rocm6.4; None without one"
    )
    newest_known: str | Unknown = derived("newest release that the table of releases holds")
    newer_than_known: bool | Unknown = derived("whether the release is newer than the table")
    newest_cuda: str | Unknown = derived("newest CUDA release whose builds the table holds")
    cuda_newer_than_known: bool | Unknown = derived("whether its CUDA release is newer than that")
    driver_minimum: str | None | Unknown = derived("oldest NVIDIA driver for this build; None for builds without CUDA")
    driver_fits: bool | None | Unknown = derived(
        "whether the NVIDIA driver is new enough for this build; None without a driver or without a CUDA build"
    )
    gpus_without_kernels: tuple[str, ...] | None | Unknown = derived(
        "visible GPUs that this build has no code for, as NAME (capability); None without GPUs or without a CUDA build"
    )
    gpu_too_new: bool | None | Unknown = derived("whether such a GPU is newer than the build; None without one")
    wanted_index: str | None | Unknown = derived(
        "label of the PyTorch package index whose builds fit driver, GPUs, system, Python and nnU-Net, such as cu126; "
        "None when no published one does"
    )
    cudnn_release: str | None | Unknown = derived("version of cuDNN that torch loads, such as 9.10.2; None without it")
    conv3d_slow: bool | Unknown = derived("whether 3D convolutions of this torch are known to be several times slower")
    cudnn_without_gpu: bool | Unknown = derived("whether a GPU is older than what the loaded cuDNN has code for")
    cuda_proven: bool | Unknown = derived("whether torch was asked and says that CUDA works, whatever tables say")
    cuda_usable: bool | Unknown = derived(
        "whether training on CUDA can start: what torch says, else what its build and the GPUs allow to conclude"
    )
