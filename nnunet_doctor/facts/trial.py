"""Facts about what was tried out on the machine, which ``--deep`` does."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, fact


class TrialFacts:
    """What the parts of a training do when they are tried. Every fact is None without ``--deep``."""

    tried: tuple[str, ...] | None | Unknown = fact(
        "trials that came to a verdict: raw, preprocessed, results, device, worker, convolution, compile"
    )
    device: str | None | Unknown = fact("device that was tried: cuda, cpu or mps; None without torch")
    device_error: str | None | Unknown = fact("what memory and a sum on the device failed with; None for nothing")
    convolution_error: str | None | Unknown = fact(
        "what the forward and backward pass of a small network on the device failed with; None for nothing"
    )
    convolution_seconds: float | None | Unknown = fact("time of one such step, once it is warm; None when it failed")
    compile_error: str | None | Unknown = fact(
        "what such a step of a compiled network failed with; None for nothing, and where nnU-Net does not compile"
    )
    compile_seconds: float | None | Unknown = fact(
        "time of compiling it and of its first step; None when it failed, and where nnU-Net does not compile"
    )
    worker_error: str | None | Unknown = fact(
        "what handing a batch from a worker process over shared memory failed with; None for nothing"
    )
    worker_seconds: float | None | Unknown = fact("time until that batch was there; None when it failed")
    folders_error: tuple[Detail, ...] | None | Unknown = fact(
        "folders of nnU-Net in which writing a file and reading it back failed: variable and error"
    )
    raw_write_mib_s: float | None | Unknown = fact("speed of writing to nnUNet_raw; None when it was not tried")
    preprocessed_write_mib_s: float | None | Unknown = fact(
        "speed of writing to nnUNet_preprocessed; None when it was not tried"
    )
    results_write_mib_s: float | None | Unknown = fact("speed of writing to nnUNet_results; None when it was not tried")
