"""Facts about what this process is granted, which is not what the machine has."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


class ResourcesFacts:
    """Processors, memory, shared memory and limits, as granted."""

    cpus: int | Unknown = fact("processors granted: the least of affinity, control group and scheduler")
    cpus_machine: int | Unknown = fact("os.cpu_count(), which nnU-Net goes by")
    cpus_limited_by: str | None | Unknown = fact("affinity, cgroup or slurm; None when all are granted")
    memory_gib: float | Unknown = fact("memory granted: the least of the machine, the control group and the scheduler")
    memory_machine_gib: float | Unknown = fact("memory of the machine")
    memory_available_gib: float | Unknown = fact("memory that is free to use now, within what is granted")
    swap_gib: float | Unknown = fact("swap space or page file")
    shm_gib: float | None | Unknown = fact("size of /dev/shm; None outside Linux")
    shm_free_gib: float | None | Unknown = fact("free space in /dev/shm; None outside Linux")
    open_files: int | None | Unknown = fact("soft limit of open files; None on Windows or when unlimited")
    tmp: str | Unknown = fact("folder for temporary files")
    tmp_free_gib: float | Unknown = fact("free space there")

    cpus_note: str | Unknown = derived("processors granted and the reason, in one line")
