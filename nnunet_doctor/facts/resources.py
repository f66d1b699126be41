"""Facts about what this process is granted, which is not what the machine has."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


class ResourcesFacts:
    """Processors, memory, shared memory and limits, as granted."""

    cpus: int | Unknown = fact("processors granted: the least of affinity, control group and scheduler")
    cpus_machine: int | Unknown = fact("os.cpu_count(), which nnU-Net goes by")
    cpus_limited_by: str | None | Unknown = fact(
        "affinity, cgroup or the scheduler: slurm, lsf, pbs, sge; None when all are granted"
    )
    memory_gib: float | Unknown = fact("memory granted: the least of the machine, the control group and the scheduler")
    memory_machine_gib: float | Unknown = fact("memory of the machine")
    memory_available_gib: float | Unknown = fact("memory that is free to use now, within what is granted")
    swap_gib: float | Unknown = fact("swap space or page file")
    shm_gib: float | None | Unknown = fact("size of /dev/shm; None outside Linux")
    shm_free_gib: float | None | Unknown = fact("free space in /dev/shm; None outside Linux")
    open_files: int | None | Unknown = fact("soft limit of open files; None on Windows or when unlimited")
    tmp: str | Unknown = fact("folder for temporary files")
    tmp_free_gib: float | Unknown = fact("free space there")

    tmp_usable: bool | Unknown = fact("whether there is a folder for temporary files that takes files")
    shm_writable: bool | None | Unknown = fact("whether /dev/shm is there and takes files; None outside Linux")
    commit_limit_gib: float | None | Unknown = fact(
        "memory that the system promises at most: with the page file on Windows, or where Linux overcommits nothing; "
        "None elsewhere"
    )
    commit_free_gib: float | None | Unknown = fact("what is left of that promise; None elsewhere")
    processes_limit: int | None | Unknown = fact(
        "soft limit of processes and threads of this user; None on Windows, for root, or when unlimited"
    )
    pids_limit: int | None | Unknown = fact(
        "processes and threads that the control group grants; None without such a limit"
    )
    pids_used: int | None | Unknown = fact("how many of them are in use; None without such a limit")
    blas_threads: int | None | Unknown = fact("value of OPENBLAS_NUM_THREADS, else of OMP_NUM_THREADS; None when unset")
    address_space_gib: float | None | Unknown = fact(
        "limit of the address space of a process (ulimit -v); None on Windows or when unlimited"
    )
    file_size_gib: float | None | Unknown = fact(
        "largest file that a process may write (ulimit -f); None on Windows or when unlimited"
    )
    cpu_time_hours: float | None | Unknown = fact(
        "processor time that a process may take (ulimit -t); None on Windows or when unlimited"
    )
    load: float | None | Unknown = fact("processes that ran or waited to run in the last minute; None on Windows")
    on_battery: bool | None | Unknown = fact("whether the machine runs from its battery; None without one")
    job_hours_left: float | None | Unknown = fact(
        "hours until Slurm ends this job; None outside one, or when it is not told"
    )
    job_gpus: int | None | Unknown = fact("GPUs that Slurm has given to this job; None outside one")

    cpus_note: str | Unknown = derived("processors granted and the reason, in one line")
    tmp_too_long: bool | Unknown = derived(
        "whether the sockets of worker processes would have longer paths there than the system takes"
    )
    open_files_needed: int | None | Unknown = derived(
        "estimate of the files that this training holds open at once; None outside Linux"
    )
    over_open_files: bool | None | Unknown = derived(
        "whether that estimate is over the limit; None outside Linux or without a limit"
    )
    over_workers: bool | Unknown = derived(
        "whether nnU-Net would start a quarter more augmentation workers than a limit grants processors, or, on a "
        "whole machine, more than twice as many"
    )
    over_processes: bool | Unknown = derived(
        "whether the processes of the final validation are more than memory, or granted processors, carry"
    )
    over_commit: bool | None | Unknown = derived(
        "whether the estimate of memory is over what the system still promises, though not over what is free; "
        "None where it promises without limit"
    )
    commit_workers: int | None | Unknown = derived("workers for training that this promise allows; None likewise")
    threads_needed: int | None | Unknown = derived(
        "estimate of the processes and threads that this training starts, the final validation included; "
        "None outside Linux"
    )
    threads_limit: int | None | Unknown = derived("how many may be started; None without a limit")
    over_threads: bool | None | Unknown = derived(
        "whether the estimate is over that; None without a limit, and outside Linux"
    )
    thread_processes: int | None | Unknown = derived(
        "processes for the exports of the final validation that this limit allows; None without a limit"
    )
    over_address_space: bool | None | Unknown = derived(
        "whether a process of the training needs more address space than the limit; None without a limit"
    )
    busy: bool | None | Unknown = derived("whether a large machine is busy already; None on Windows")
    job_too_short: bool | None | Unknown = derived(
        "whether the job ends before this training can, on the fastest GPU; None when its end is not known"
    )
