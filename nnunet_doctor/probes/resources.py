"""Facts about processors, memory and limits as they are granted: affinity, control groups and schedulers included."""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_doctor.facts import Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes

GIB = 1024**3


def look(context: Context) -> Notes:
    """Note the facts of area resources."""
    notes = Notes()
    group = group_limits(Path("/"))
    _cpus(notes, group, context.environ)
    _memory(notes, group, context.environ)
    _commit(notes)
    _shm(notes)
    _tmp(notes)
    _limits(notes, group, context.environ)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    notes.see("getloadavg()", resources__load=None if load is None else round(load, 1))
    notes.see("psutil.sensors_battery()", resources__on_battery=_on_battery())
    notes.see(
        "environment of the job",
        resources__job_hours_left=job_hours_left(context.environ, time.time()),
        resources__job_gpus=job_gpus(context.environ),
    )
    return notes


@dataclass(frozen=True)
class GroupLimits:
    """What the control groups of this process grant; None for no limit.

    Attributes:
        cpus: Processors, as a fraction of time may be.
        memory: Bytes.
        memory_used: Bytes in use of them, caches that can be dropped left out.
        pids: Processes and threads.
        pids_used: How many of them run.
    """

    cpus: float | None = None
    memory: int | None = None
    memory_used: int | None = None
    pids: int | None = None
    pids_used: int | None = None


def group_limits(root: Path) -> GroupLimits:
    """Read the limits of control groups v1 or v2, the least along the way up to the mount.

    Args:
        root: The file system's root; tests give another one.
    """
    groups = _own_groups(_text(root / "proc/self/cgroup"))
    cpus, memory, used = [], [], []
    pids: list[tuple[int, int]] = []
    for mount, point, kind, options in _group_mounts(_text(root / "proc/self/mountinfo")):
        for controllers, path in groups:
            v2 = kind == "cgroup2" and controllers == ("",)
            v1 = kind == "cgroup" and set(controllers) & options & {"cpu", "memory", "pids"}
            if not (v2 or v1):
                continue
            for folder in _upwards(root / point.lstrip("/"), path, mount):
                if v2 or "cpu" in controllers:
                    cpus.append(_cpu_limit(folder))
                if v2 or "memory" in controllers:
                    limit = _number(folder / ("memory.max" if v2 else "memory.limit_in_bytes"))
                    if limit is not None and limit < 1 << 60:
                        memory.append(limit)
                        used.append(_used(folder, v2=v2))
                if v2 or "pids" in controllers:
                    limit = _number(folder / "pids.max")
                    if limit is not None:
                        pids.append((limit, _number(folder / "pids.current") or 0))
    least = min(range(len(memory)), key=memory.__getitem__, default=None)
    fewest = min(pids, key=lambda pair: pair[0] - pair[1], default=(None, None))
    return GroupLimits(
        cpus=min((limit for limit in cpus if limit is not None), default=None),
        memory=None if least is None else memory[least],
        memory_used=None if least is None else used[least],
        pids=fewest[0],
        pids_used=fewest[1],
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _own_groups(text: str) -> list[tuple[tuple[str, ...], str]]:
    rows = [line.split(":", 2) for line in text.splitlines()]
    return [(tuple(row[1].split(",")), row[2]) for row in rows if len(row) == 3]


def _group_mounts(text: str) -> list[tuple[str, str, str, set[str]]]:
    """Return root, mount point, type and options of each mounted group hierarchy (proc(5), mountinfo)."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, tail = left.split(), right.split()
        if len(fields) >= 5 and len(tail) >= 3 and tail[0] in ("cgroup", "cgroup2"):
            found.append((fields[3], fields[4], tail[0], set(tail[2].split(","))))
    return found


def _upwards(point: Path, path: str, mount: str) -> list[Path]:
    """List the folders of a group from its own up to the mount point."""
    below = path.removeprefix(mount) if mount != "/" and path.startswith(mount) else path
    parts = [part for part in below.split("/") if part and part != ".."]
    return [point.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def _cpu_limit(folder: Path) -> float | None:
    quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        return int(quota) / int(period)
    old_quota, old_period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return old_quota / old_period if old_quota and old_period and old_quota > 0 else None


def _used(folder: Path, *, v2: bool) -> int:
    used = _number(folder / ("memory.current" if v2 else "memory.usage_in_bytes")) or 0
    caches = [line.split() for line in _text(folder / "memory.stat").splitlines()]
    key = "inactive_file" if v2 else "total_inactive_file"
    return max(0, used - sum(int(row[1]) for row in caches if len(row) == 2 and row[0] == key and row[1].isdigit()))


_JOB_CPUS = {
    "slurm": ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"),
    "lsf": ("LSB_DJOB_NUMPROC",),
    "pbs": ("PBS_NCPUS", "PBS_NP"),
    "sge": ("NSLOTS",),
}
"""Variables in which schedulers say how many processors a job was given on this node."""


def _least_number(environ: Mapping[str, str], variables: Sequence[str]) -> int | None:
    numbers = [int(text) for name in variables if (text := environ.get(name, "")).isdecimal()]
    return min((number for number in numbers if number > 0), default=None)


def granted_cpus(environ: Mapping[str, str]) -> tuple[int, str | None]:
    """Return how many processors this process may use, and what limits them; None when it may use all."""
    return _granted_cpus(group_limits(Path("/")), environ)


def _granted_cpus(group: GroupLimits, environ: Mapping[str, str]) -> tuple[int, str | None]:
    machine = os.cpu_count() or 1
    limits = {"affinity": _affinity(), "cgroup": None if group.cpus is None else max(1, math.ceil(group.cpus))}
    limits |= {name: _least_number(environ, variables) for name, variables in _JOB_CPUS.items()}
    granted, name = min(((limit, name) for name, limit in limits.items() if limit), default=(machine, None))
    return min(granted, machine), name if granted < machine else None


def _cpus(notes: Notes, group: GroupLimits, environ: Mapping[str, str]) -> None:
    notes.see("os.cpu_count()", resources__cpus_machine=os.cpu_count() or 1)
    granted, limited_by = _granted_cpus(group, environ)
    notes.see("affinity, control group, scheduler", resources__cpus=granted, resources__cpus_limited_by=limited_by)


def _affinity() -> int | None:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows
        return None


def _memory(notes: Notes, group: GroupLimits, environ: Mapping[str, str]) -> None:
    import psutil

    memory = psutil.virtual_memory()
    granted, available = memory.total, memory.available
    if group.memory is not None:
        granted = min(granted, group.memory)
        available = min(available, max(0, group.memory - (group.memory_used or 0)))
    slurm = slurm_memory(environ)
    if slurm is not None:
        granted, available = min(granted, slurm), min(available, slurm)
    notes.see(
        "psutil", resources__memory_machine_gib=_gib(memory.total), resources__swap_gib=_gib(psutil.swap_memory().total)
    )
    notes.see(
        "psutil, control group, scheduler",
        resources__memory_gib=_gib(granted),
        resources__memory_available_gib=_gib(available),
    )


def slurm_memory(environ: Mapping[str, str]) -> int | None:
    """Return the bytes that Slurm grants on this node; its variables count in MB."""
    whole, each, cpus = (environ.get(f"SLURM_{name}", "") for name in ("MEM_PER_NODE", "MEM_PER_CPU", "CPUS_ON_NODE"))
    if whole.isdigit() and int(whole) > 0:
        return int(whole) * 1024**2
    if each.isdigit() and cpus.isdigit() and int(each) * int(cpus) > 0:
        return int(each) * int(cpus) * 1024**2
    return None


def _commit(notes: Notes) -> None:
    """Note what the system promises at most; Linux promises without a limit, unless it is told not to overcommit."""
    limit, free = _windows_commit() or linux_commit(Path("/")) or (None, None)
    notes.see(
        "GlobalMemoryStatusEx, /proc/meminfo",
        resources__commit_limit_gib=None if limit is None else _gib(limit),
        resources__commit_free_gib=None if free is None else _gib(free),
    )


def _windows_commit() -> tuple[int, int] | None:
    if sys.platform != "win32":
        return None
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("memory", "free_memory", "commit", "free_commit")),
            *((name, ctypes.c_ulonglong) for name in ("virtual", "free_virtual", "free_extended")),
        )

    status = Status(length=ctypes.sizeof(Status))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return int(status.commit), int(status.free_commit)


def linux_commit(root: Path) -> tuple[int, int] | None:
    """Return limit and rest of what Linux promises, in bytes, where vm.overcommit_memory is 2; None elsewhere."""
    if _number(root / "proc/sys/vm/overcommit_memory") != 2:
        return None
    rows = dict(line.split(":", 1) for line in _text(root / "proc/meminfo").splitlines() if ":" in line)
    words = [rows.get(name, "").split() for name in ("CommitLimit", "Committed_AS")]
    if not all(word and word[0].isdecimal() for word in words):
        return None
    limit, used = (int(word[0]) * 1024 for word in words)
    return limit, max(0, limit - used)


def _gib(count: int) -> float:
    return round(count / GIB, 1)


def _shm(notes: Notes) -> None:
    size: Observed = None
    free: Observed = None
    writable: Observed = None
    if sys.platform == "linux":
        try:
            usage = shutil.disk_usage("/dev/shm")
            size, free = round(usage.total / GIB, 3), round(usage.free / GIB, 3)
            writable = os.access("/dev/shm", os.W_OK | os.X_OK)
        except OSError as error:
            size = free = Unknown(f"/dev/shm cannot be looked at: {error.strerror}")
            writable = False
    notes.see("/dev/shm", resources__shm_gib=size, resources__shm_free_gib=free, resources__shm_writable=writable)


def _tmp(notes: Notes) -> None:
    """Take the folder that Python takes: the first of TMPDIR, TEMP, TMP and those of the system that takes files."""
    import tempfile

    try:
        tmp = tempfile.gettempdir()
        free = round(shutil.disk_usage(tmp).free / GIB, 1)
    except OSError as error:
        unknown = Unknown(str(error))
        notes.see("tempfile.gettempdir()", resources__tmp=unknown, resources__tmp_usable=False)
        notes.see("statvfs", resources__tmp_free_gib=unknown)
        return
    notes.see("tempfile.gettempdir()", resources__tmp=tmp, resources__tmp_usable=True)
    notes.see("statvfs", resources__tmp_free_gib=free)


def _limits(notes: Notes, group: GroupLimits, environ: Mapping[str, str]) -> None:
    address, size, hours = _soft_limit("AS"), _soft_limit("FSIZE"), _soft_limit("CPU")
    # the system does not hold root to it
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    notes.see(
        "getrlimit",
        resources__open_files=_soft_limit("NOFILE"),
        resources__processes_limit=None if is_root else _soft_limit("NPROC"),
        resources__address_space_gib=None if address is None else round(address / GIB, 1),
        resources__file_size_gib=None if size is None else round(size / GIB, 3),
        resources__cpu_time_hours=None if hours is None else round(hours / 3600, 2),
    )
    notes.see("control group", resources__pids_limit=group.pids, resources__pids_used=group.pids_used)
    threads = _least_number(environ, ("OPENBLAS_NUM_THREADS",)) or _least_number(environ, ("OMP_NUM_THREADS",))
    notes.see("OPENBLAS_NUM_THREADS, OMP_NUM_THREADS", resources__blas_threads=threads)


def _soft_limit(name: str) -> int | None:
    """Return a soft limit; None when there is none, on Windows, and where the system does not know it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    kind = getattr(resource, f"RLIMIT_{name}", None)
    if kind is None:
        return None
    soft = resource.getrlimit(kind)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def _on_battery() -> bool | None:
    import psutil

    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except (OSError, psutil.Error):
        return None
    return None if battery is None or battery.power_plugged is None else not battery.power_plugged


def job_hours_left(environ: Mapping[str, str], now: float) -> float | None:
    """Return the hours until Slurm ends this job; None outside one and for a job without an end.

    Args:
        environ: The environment of the job.
        now: Seconds since 1970.
    """
    end = environ.get("SLURM_JOB_END_TIME", "")
    if not environ.get("SLURM_JOB_ID") or not end.isdecimal() or int(end) <= 0:
        return None
    return round((int(end) - now) / 3600, 2)


def job_gpus(environ: Mapping[str, str]) -> int | None:
    """Count the GPUs that Slurm has given to this job on this node; None outside one."""
    if not environ.get("SLURM_JOB_ID"):
        return None
    count = environ.get("SLURM_GPUS_ON_NODE", "")
    if count.isdecimal():
        return int(count)
    for name in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"):
        listed = environ.get(name, "")
        if listed not in ("", "NoDevFiles"):
            return len(listed.split(","))
    return 0
