"""Facts about processors, memory and limits as they are granted: affinity, control groups and schedulers included."""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunet_doctor.facts import Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes

GIB = 1024**3


def look(context: Context) -> Notes:
    """Note the facts of area resources."""
    import tempfile

    notes = Notes()
    group = group_limits(Path("/"))
    _cpus(notes, group, context.environ)
    _memory(notes, group, context.environ)
    _shm(notes)
    notes.see("getrlimit", resources__open_files=_open_files())
    tmp = tempfile.gettempdir()
    notes.see("tempfile.gettempdir()", resources__tmp=tmp)
    notes.see("statvfs", resources__tmp_free_gib=round(shutil.disk_usage(tmp).free / GIB, 1))
    return notes


@dataclass(frozen=True)
class GroupLimits:
    """What the control groups of this process grant; None for no limit.

    Attributes:
        cpus: Processors, as a fraction of time may be.
        memory: Bytes.
        memory_used: Bytes in use of them, caches that can be dropped left out.
    """

    cpus: float | None = None
    memory: int | None = None
    memory_used: int | None = None


def group_limits(root: Path) -> GroupLimits:
    """Read the limits of control groups v1 or v2, the least along the way up to the mount.

    Args:
        root: The file system's root; tests give another one.
    """
    groups = _own_groups(_text(root / "proc/self/cgroup"))
    cpus, memory, used = [], [], []
    for mount, point, kind, options in _group_mounts(_text(root / "proc/self/mountinfo")):
        for controllers, path in groups:
            v2 = kind == "cgroup2" and controllers == ("",)
            v1 = kind == "cgroup" and set(controllers) & options & {"cpu", "memory"}
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
    least = min(range(len(memory)), key=memory.__getitem__, default=None)
    return GroupLimits(
        cpus=min((limit for limit in cpus if limit is not None), default=None),
        memory=None if least is None else memory[least],
        memory_used=None if least is None else used[least],
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


def granted_cpus(environ: Mapping[str, str]) -> tuple[int, str | None]:
    """Return how many processors this process may use, and what limits them; None when it may use all."""
    return _granted_cpus(group_limits(Path("/")), environ)


def _granted_cpus(group: GroupLimits, environ: Mapping[str, str]) -> tuple[int, str | None]:
    machine = os.cpu_count() or 1
    limits = {"affinity": _affinity(), "cgroup": None if group.cpus is None else max(1, math.ceil(group.cpus))}
    asked = environ.get("SLURM_CPUS_PER_TASK", "")
    limits["slurm"] = int(asked) if asked.isdigit() and int(asked) > 0 else None
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


def _gib(count: int) -> float:
    return round(count / GIB, 1)


def _shm(notes: Notes) -> None:
    size: Observed = None
    free: Observed = None
    if sys.platform == "linux":
        try:
            usage = shutil.disk_usage("/dev/shm")
            size, free = round(usage.total / GIB, 3), round(usage.free / GIB, 3)
        except OSError as error:
            size = free = Unknown(f"/dev/shm cannot be looked at: {error.strerror}")
    notes.see("/dev/shm", resources__shm_gib=size, resources__shm_free_gib=free)


def _open_files() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft
