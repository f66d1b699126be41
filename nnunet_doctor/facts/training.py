"""Facts about the run the user means to start, and what it will do on this machine."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


class TrainingFacts:
    """The request (from the command line) and what follows from it (derived)."""

    configuration: str | None | Unknown = fact("configuration that is asked for; None when none is")
    fold: str | None | Unknown = fact("fold that is asked for; None when none is")
    device_request: str | Unknown = fact("device that is asked for: auto, cuda, cpu or mps")
    trainer: str | Unknown = fact("trainer class that is asked for")
    plans: str | Unknown = fact("plans that are asked for")
    num_gpus: int | Unknown = fact("number of GPUs that is asked for")
    continues: bool | Unknown = fact("whether --c continues an earlier training")
    validates: bool | Unknown = fact("whether --val only repeats the final validation")
    pretrained: str | None | Unknown = fact("file of pretrained weights that is asked for; None for none")
    pretrained_found: bool | None | Unknown = fact("whether that file exists; None when none is asked for")
    overwrites: bool | Unknown = fact("whether the user gives --overwrite")
    folder: str | None | Unknown = fact(
        "folder of this fold's results, whether it exists or not; None when not all is known"
    )
    state: str | None | Unknown = fact(
        "what is there: none, started, resumable or finished; None when not all is known"
    )

    planned: bool | Unknown = derived("whether the user names a configuration, and so means to train")
    device: str | Unknown = derived("device the training would use")
    device_usable: bool | Unknown = derived("whether that device can be used")
    device_left_to_default: bool | Unknown = derived(
        "whether nnU-Net would take CUDA by default although there is no NVIDIA GPU"
    )
    gpu_out_of_reach: bool | Unknown = derived(
        "whether no device is asked for and there is an NVIDIA GPU that CUDA cannot use as things are"
    )
    cuda_in_vain: bool | Unknown = derived("whether CUDA and a torch built for it are to be used, and it does not work")
    compiles: bool | Unknown = derived("whether nnU-Net calls torch.compile on the network in this training")
    compiles_for_cuda: bool | Unknown = derived(
        "the same for an NVIDIA GPU, which takes Triton and the driver's libcuda"
    )
    compiles_late: bool | Unknown = derived("whether only the final validation calls torch.compile")
    compiles_late_in_vain: bool | Unknown = derived("whether that validation cannot compile here")
    compile_python_fits: bool | None | Unknown = derived(
        "whether torch.compile of this torch release works on this Python release; None without torch"
    )
    compile_python_newest: str | None | Unknown = derived("newest Python that torch.compile of this torch accepts")
    gpu_compilable: bool | None | Unknown = derived("whether every GPU is new enough for Triton; None without GPUs")
    is_trial: bool | Unknown = derived("whether the trainer is one of nnU-Net's short ones, which only try things out")
    on_mps: bool | Unknown = derived("whether the device is the GPU of a Mac")
    is_3d: bool | Unknown = derived("whether the configuration trains in three dimensions")
    uses_variants: bool | Unknown = derived("whether nnU-Net has to search for the trainer class among all its modules")
    workers: int | Unknown = derived("data-augmentation workers for training that nnU-Net would start")
    worker_processes: int | Unknown = derived("the same with the workers for validation")
    safe_workers: int | Unknown = derived("workers for training that processors, memory and /dev/shm allow")
    processes: int | Unknown = derived("processes that nnU-Net would start for the exports of the final validation")
    safe_processes: int | Unknown = derived("processes of that kind that processors and memory allow")
    over_processes: bool | Unknown = derived("whether there would be more of them than that")
    memory_needed_gib: float | Unknown = derived("estimate of the memory that this training takes with these workers")
    shm_needed_gib: float | None | Unknown = derived(
        "estimate of /dev/shm that this training takes with these workers; None outside Linux"
    )
    shm_validation_gib: float | None | Unknown = derived(
        "estimate of /dev/shm that the final validation takes; None outside Linux or without a plan"
    )
    over_cpus: bool | Unknown = derived("whether the workers are more than the processors granted")
    over_memory: bool | Unknown = derived("whether the estimate of memory is over what is free")
    over_shm: bool | None | Unknown = derived(
        "whether the estimate of shared memory is over what is free; None outside Linux"
    )
    over_shm_validation: bool | None | Unknown = derived(
        "whether that estimate is over what is free; None outside Linux or without a plan"
    )
    overwrites_finished: bool | Unknown = derived("whether the start would overwrite a finished training")
    overwrites_resumable: bool | Unknown = derived("whether the start would overwrite a training that can be continued")
    nothing_to_continue: bool | Unknown = derived("whether --c is given and there is no checkpoint")
    nothing_to_validate: bool | Unknown = derived("whether --val is given and the training is not finished")
