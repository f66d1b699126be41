"""Facts about the run the user means to start, and what it will do on this machine."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


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
    validated: bool | None | Unknown = fact(
        "whether the final validation of this fold has come to its end; None when not all is known"
    )
    running: int | None | Unknown = fact("number of a process that trains into that folder now; None for none")
    damaged_checkpoints: tuple[Detail, ...] | None | Unknown = fact(
        "files that the run loads as checkpoint and that are none: file, and what it is"
    )
    weights_misfit: tuple[Detail, ...] | None | Unknown = fact(
        "tensors of that checkpoint that do not fit the network of the plans: shape there / shape wanted"
    )
    weights_from_gpu: bool | None | Unknown = fact(
        "whether the tensors of that checkpoint were saved from an NVIDIA GPU; None without one"
    )
    stage_folder: str | None | Unknown = fact(
        "folder of the predictions that a cascade takes from the stage before; None for another configuration"
    )
    stage_lacking: tuple[Detail, ...] | None | Unknown = fact("cases that the run opens without a prediction there")
    stage_linked: bool | None | Unknown = fact("whether the stage before names this configuration as its next one")
    stage_leftovers: tuple[Detail, ...] | None | Unknown = fact(
        "predictions for a next stage, stored as b2nd, that the final validation of this fold would write anew"
    )

    master_port: str | None | Unknown = fact("value of MASTER_PORT; None when unset")
    master_port_taken: bool | None | Unknown = fact(
        "whether a process listens at that port; None without one, and outside Linux"
    )
    copies: int | None | Unknown = fact(
        "copies of the command that torchrun or mpirun starts at once; None when neither does"
    )

    planned: bool | Unknown = derived("whether the user names a configuration, and so means to train")
    trains: bool | Unknown = derived("whether the user means to train, and not only to repeat the final validation")
    follows_plans: bool | Unknown = derived(
        "whether the trainer is one of nnU-Net's own that build the network that the plans describe"
    )
    patch_unfit: tuple[Detail, ...] | None | Unknown = derived(
        "axes along which the network cannot halve the patch as often as it does: patch size and divisor"
    )
    gpu_memory_needed_gib: float | None | Unknown = derived(
        "estimate of the memory that this training takes on each GPU; None off CUDA and for networks not of nnU-Net"
    )
    over_gpu_memory: bool | Unknown = derived(
        "whether that estimate is well over the memory of the GPU, though the least that it can take is not"
    )
    unpacking_needs_gib: float | None | Unknown = derived(
        "estimate of the space that cases stored as npz take when the start of the training unpacks them; None for none"
    )
    over_unpacking_space: bool | Unknown = derived("whether that estimate is over what is free")
    preprocessing_needs_gib: float | None | Unknown = derived(
        "least space that preprocessing the configuration takes; None unless it is planned and lacks its cases"
    )
    over_preprocessing_space: bool | Unknown = derived("whether that is over what is free")
    preprocessing_memory_gib: float | None | Unknown = derived(
        "least memory that preprocessing it takes with nnU-Net's own number of processes; None likewise"
    )
    over_preprocessing_memory: bool | Unknown = derived("whether that is over what is free")
    preprocessing_processes: int | None | Unknown = derived(
        "processes for preprocessing it that processors and memory allow; None likewise"
    )
    device: str | Unknown = derived("device the training would use")
    device_usable: bool | Unknown = derived("whether that device can be used")
    device_left_to_default: bool | Unknown = derived(
        "whether nnU-Net would take CUDA by default although there is no NVIDIA GPU"
    )
    gpu_out_of_reach: bool | Unknown = derived(
        "whether no device is asked for and there is an NVIDIA GPU that CUDA cannot use as things are"
    )
    mps_operator_missing: bool | Unknown = derived(
        "whether the network is to run on a Mac's GPU and takes an operator that this torch lacks there"
    )
    means_cuda: bool | Unknown = derived(
        "whether CUDA is asked for, or meant because no device is asked for and there is an NVIDIA GPU"
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
    is_whole: bool | Unknown = derived("whether a whole training is meant: no short trainer, and no images to predict")
    on_mps: bool | Unknown = derived("whether the device is the GPU of a Mac")
    is_3d: bool | Unknown = derived("whether the configuration trains in three dimensions")
    may_be_3d: bool | Unknown = derived("the same, or no training is named and it may be")
    uses_variants: bool | Unknown = derived("whether nnU-Net has to search for the trainer class among all its modules")
    ranks: int | Unknown = derived("processes that train side by side, one for each GPU; each starts its own workers")
    workers: int | Unknown = derived("data-augmentation workers for training that each of these processes would start")
    all_workers: int | Unknown = derived("the workers for training of all of them together")
    worker_processes: int | Unknown = derived("the same with the workers for validation")
    safe_workers: int | Unknown = derived(
        "workers for training that processors, memory and /dev/shm allow each of these processes"
    )
    processes: int | Unknown = derived(
        "processes that each of them would start for the exports of the final validation"
    )
    all_processes: int | Unknown = derived("the processes of that kind of all of them together")
    safe_processes: int | Unknown = derived("how many of that kind processors and memory allow each of them")
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
