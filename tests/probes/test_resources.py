"""Processors and memory as they are granted, over control groups that are made up in a folder."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

import psutil
import pytest

from nnunet_doctor.probes import resources
from nnunet_doctor.probes.resources import (
    GroupLimits,
    group_limits,
    job_gpus,
    job_hours_left,
    linux_commit,
    slurm_memory,
)

GIB = 1024**3
NO_LIMIT_V1 = "9223372036854771712\n"
V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot"


def make(root, groups, mounts, files):
    """Make /proc and the files of control groups below a root."""
    proc = root / "proc/self"
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text("".join(f"{line}\n" for line in groups), encoding="utf-8")
    other = "23 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    (proc / "mountinfo").write_text(other + "".join(f"{line}\n" for line in mounts), encoding="utf-8")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_group_v2(tmp_path):
    """A group of version 2 grants its quota over its period, and its memory less what is really in use."""
    files = {
        "job/cpu.max": "250000 100000\n",
        "job/memory.max": f"{8 * GIB}\n",
        "job/memory.current": f"{5 * GIB}\n",
        "job/memory.stat": f"anon {2 * GIB}\nfile {3 * GIB}\ninactive_file {2 * GIB}\nactive_file {GIB}\n",
    }
    root = make(tmp_path, ["0::/job"], [V2_MOUNT], files)

    assert group_limits(root) == GroupLimits(cpus=2.5, memory=8 * GIB, memory_used=3 * GIB)


def test_least_limit_may_stand_above(tmp_path):
    """The least limit counts, wherever it stands on the way up to the mount."""
    files = {
        "slurm/cpu.max": "400000 100000\n",
        "slurm/memory.max": f"{64 * GIB}\n",
        "slurm/job/memory.max": f"{4 * GIB}\n",
        "slurm/job/memory.current": f"{GIB}\n",
        "slurm/job/cpu.max": "max 100000\n",
        "slurm/job/step/cpu.max": "800000 100000\n",
        "slurm/job/step/memory.max": "max\n",
        "slurm/job/step/memory.current": "77\n",
        "slurm/other/memory.max": "1\n",
    }
    root = make(tmp_path, ["0::/slurm/job/step"], [V2_MOUNT], files)

    assert group_limits(root) == GroupLimits(cpus=4.0, memory=4 * GIB, memory_used=GIB)


def test_container_with_a_namespace_of_its_own(tmp_path):
    """In a container the group is called / and its limits stand at the mount itself."""
    files = {"cpu.max": "150000 100000\n", "memory.max": f"{2 * GIB}\n", "memory.current": f"{GIB}\n"}
    root = make(tmp_path, ["0::/"], [V2_MOUNT], files)

    assert group_limits(root) == GroupLimits(cpus=1.5, memory=2 * GIB, memory_used=GIB)


def test_container_that_sees_the_names_of_its_host(tmp_path):
    """Docker with version 1 names the group as the host does, but mounts it as the root of the hierarchy."""
    path = "/docker/0123456789abcdef"
    groups = [f"5:memory:{path}", f"4:cpu,cpuacct:{path}", "1:name=systemd:/"]
    mounts = [
        f"40 39 0:30 {path} /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct",
        f"41 39 0:31 {path} /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory",
    ]
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "memory/memory.limit_in_bytes": f"{3 * GIB}\n",
        "memory/memory.usage_in_bytes": f"{2 * GIB}\n",
        "memory/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB}\n",
    }
    root = make(tmp_path, groups, mounts, files)

    assert group_limits(root) == GroupLimits(cpus=0.5, memory=3 * GIB, memory_used=GIB)


def test_group_v1(tmp_path):
    """Version 1 keeps processors and memory in hierarchies of their own; -1 and the largest number mean no limit."""
    groups = ["5:memory:/user/li", "4:cpu,cpuacct:/user/li", "2:cpuset:/"]
    mounts = [
        "40 39 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
        "41 39 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
        "42 39 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset",
    ]
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/user/cpu.cfs_quota_us": "300000\n",
        "cpu,cpuacct/user/cpu.cfs_period_us": "100000\n",
        "memory/memory.limit_in_bytes": NO_LIMIT_V1,
        "memory/user/memory.limit_in_bytes": NO_LIMIT_V1,
        "memory/user/li/memory.limit_in_bytes": f"{GIB}\n",
        "memory/user/li/memory.usage_in_bytes": "4096\n",
    }
    root = make(tmp_path, groups, mounts, files)

    assert group_limits(root) == GroupLimits(cpus=3.0, memory=GIB, memory_used=4096)


def test_hybrid(tmp_path):
    """Where version 2 is mounted beside the controllers of version 1, the limits of version 1 are found."""
    groups = ["4:memory:/job", "1:cpu:/", "0::/job"]
    mounts = [
        "33 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
    ]
    files = {
        "memory/job/memory.limit_in_bytes": f"{GIB}\n",
        "memory/job/memory.usage_in_bytes": "0\n",
        "unified/job/cgroup.procs": "1\n",
    }
    root = make(tmp_path, groups, mounts, files)

    assert group_limits(root) == GroupLimits(cpus=None, memory=GIB, memory_used=0)


def test_processes_that_a_group_grants(tmp_path):
    """Of several limits of processes the one counts that leaves the fewest."""
    files = {
        "pod/pids.max": "4096\n",
        "pod/pids.current": "4000\n",
        "pod/box/pids.max": "1024\n",
        "pod/box/pids.current": "12\n",
    }
    root = make(tmp_path, ["0::/pod/box"], [V2_MOUNT], files)

    assert group_limits(root) == GroupLimits(pids=4096, pids_used=4000)


def test_processes_that_a_group_of_version_1_grants(tmp_path):
    """Version 1 keeps processes in a hierarchy of their own; max means no limit."""
    mounts = ["40 39 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids"]
    files = {"pids/pids.max": "max\n", "pids/job/pids.max": "512\n", "pids/job/pids.current": "7\n"}
    root = make(tmp_path, ["5:pids:/job"], mounts, files)

    assert group_limits(root) == GroupLimits(pids=512, pids_used=7)


@pytest.mark.parametrize(
    ("groups", "mounts", "files"),
    [
        pytest.param(["0::/job"], [V2_MOUNT], {"job/cpu.max": "max 100000\n", "job/memory.max": "max\n"}, id="max"),
        pytest.param(["0::/job"], [V2_MOUNT], {"job/cpu.max/x": "", "job/memory.max/x": ""}, id="unreadable"),
        pytest.param(["0::/job"], [V2_MOUNT], {"job/cpu.max": "many\n", "job/memory.max": "\n"}, id="odd words"),
        pytest.param(["0::/../elsewhere"], [V2_MOUNT], {}, id="outside of the namespace"),
        pytest.param(["0::/job"], [], {"job/memory.max": "1\n"}, id="not mounted"),
        pytest.param(["what is this"], ["- - -", "cgroup2"], {}, id="odd files"),
        pytest.param([], [], {}, id="empty"),
    ],
)
def test_no_limit(tmp_path, groups, mounts, files):
    """Where there is no limit, or none that can be read, none is made up."""
    assert group_limits(make(tmp_path, groups, mounts, files)) == GroupLimits()


def test_system_without_control_groups(tmp_path):
    """Windows and macOS have no /proc, and no limits from it."""
    assert group_limits(tmp_path) == GroupLimits()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"SLURM_MEM_PER_NODE": "65536"}, 64 * GIB),
        ({"SLURM_MEM_PER_CPU": "4096", "SLURM_CPUS_ON_NODE": "8"}, 32 * GIB),
        ({"SLURM_MEM_PER_NODE": "0", "SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_ON_NODE": "2"}, 2 * GIB),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_CPU": "4096"}, None),
        ({"SLURM_MEM_PER_NODE": "all"}, None),
    ],
)
def test_memory_that_slurm_grants(environ, expected):
    """Slurm counts in MB, for the node or for each processor; 0 means all that there is."""
    assert slurm_memory(environ) == expected


def test_slurm_grants_less_than_the_machine_has(context_of):
    """Inside a job processors and memory are what the job was given."""
    values = resources.look(context_of({"SLURM_CPUS_PER_TASK": "1", "SLURM_MEM_PER_NODE": "512"})).values

    assert (values["resources.cpus"], values["resources.memory_gib"]) == (1, 0.5)
    assert values["resources.memory_available_gib"] <= 0.5
    if os.cpu_count() > 1:
        assert values["resources.cpus_limited_by"] in ("slurm", "affinity", "cgroup")


@pytest.mark.parametrize("asked", ["0", "-3", "many", "", "99999"])
def test_odd_words_of_slurm_grant_what_there_is(context_of, asked):
    """A number of processors that makes no sense, or that is not there, changes nothing."""
    plain = resources.look(context_of()).values
    values = resources.look(context_of({"SLURM_CPUS_PER_TASK": asked})).values

    assert values["resources.cpus"] == plain["resources.cpus"]
    assert values["resources.cpus_limited_by"] == plain["resources.cpus_limited_by"]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose its processors")
def test_affinity_grants_one_processor(context_of):
    """A process that is bound to one processor is granted one, whatever the machine has."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        values = resources.look(context_of()).values
    finally:
        os.sched_setaffinity(0, allowed)

    assert values["resources.cpus"] == 1
    assert values["resources.cpus_machine"] == os.cpu_count()


def test_this_machine(context_of):
    """What is granted here is more than nothing and no more than the machine has."""
    values = resources.look(context_of()).values

    assert 1 <= values["resources.cpus"] <= values["resources.cpus_machine"] == os.cpu_count()
    assert 0 < values["resources.memory_gib"] <= values["resources.memory_machine_gib"]
    assert values["resources.memory_machine_gib"] == round(psutil.virtual_memory().total / GIB, 1)
    assert 0 <= values["resources.memory_available_gib"] <= values["resources.memory_gib"]
    assert values["resources.tmp"] == tempfile.gettempdir()
    assert 0 <= values["resources.tmp_free_gib"] <= shutil.disk_usage(tempfile.gettempdir()).total / GIB
    assert (values["resources.shm_gib"] is not None) == sys.platform.startswith("linux")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_limit_of_open_files(context_of):
    """The limit that counts is the soft one, which a process meets first."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        values = resources.look(context_of()).values
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert values["resources.open_files"] == 256


@pytest.mark.parametrize(
    ("environ", "limited_by"),
    [
        ({"SLURM_CPUS_ON_NODE": "1"}, "slurm"),
        ({"SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "8"}, "slurm"),
        ({"LSB_DJOB_NUMPROC": "1"}, "lsf"),
        ({"PBS_NCPUS": "1"}, "pbs"),
        ({"NSLOTS": "1"}, "sge"),
    ],
)
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor is all there is")
def test_processors_that_a_scheduler_grants(context_of, environ, limited_by):
    """A job is granted what its scheduler says, whatever the node has."""
    values = resources.look(context_of(environ)).values

    assert (values["resources.cpus"], values["resources.cpus_limited_by"]) == (1, limited_by)


@pytest.mark.parametrize(
    ("end", "job", "expected"),
    [
        ("1700007200", "77", 2.0),
        ("1699996400", "77", -1.0),
        ("1700007200", "", None),
        ("", "77", None),
        ("0", "77", None),
        ("UNLIMITED", "77", None),
    ],
)
def test_time_that_a_job_has_left(end, job, expected):
    """Slurm tells the end of a job in seconds since 1970; outside a job, and without an end, nothing is left to tell."""
    assert job_hours_left({"SLURM_JOB_ID": job, "SLURM_JOB_END_TIME": end}, 1700000000.0) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"CUDA_VISIBLE_DEVICES": "0"}, None),
        ({"SLURM_JOB_ID": "77"}, 0),
        ({"SLURM_JOB_ID": "77", "CUDA_VISIBLE_DEVICES": "NoDevFiles"}, 0),
        ({"SLURM_JOB_ID": "77", "CUDA_VISIBLE_DEVICES": "0,3"}, 2),
        ({"SLURM_JOB_ID": "77", "SLURM_JOB_GPUS": "2"}, 1),
        ({"SLURM_JOB_ID": "77", "SLURM_GPUS_ON_NODE": "4", "SLURM_JOB_GPUS": "2"}, 4),
    ],
)
def test_gpus_that_a_job_was_given(environ, expected):
    """A job without a GPU is told from no job at all."""
    assert job_gpus(environ) == expected


@pytest.mark.parametrize(
    ("mode", "text", "expected"),
    [
        ("2\n", "MemTotal:       16 kB\nCommitLimit:    8388608 kB\nCommitted_AS:   2097152 kB\n", (8 * GIB, 6 * GIB)),
        ("2\n", "CommitLimit:    1024 kB\nCommitted_AS:   4096 kB\n", (1024 * 1024, 0)),
        ("0\n", "CommitLimit:    8388608 kB\nCommitted_AS:   2097152 kB\n", None),
        ("2\n", "CommitLimit: much\n", None),
        (None, "CommitLimit:    8388608 kB\nCommitted_AS:   2097152 kB\n", None),
    ],
)
def test_memory_that_linux_promises(tmp_path, mode, text, expected):
    """Only a Linux that was told not to overcommit has a limit of what it promises."""
    (tmp_path / "proc/sys/vm").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(text, encoding="ascii")
    if mode is not None:
        (tmp_path / "proc/sys/vm/overcommit_memory").write_text(mode, encoding="ascii")

    assert linux_commit(tmp_path) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_limits_of_a_process(context_of):
    """Limits are told in the units that people set them in; none is None."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (GIB // 2, hard))
    try:
        values = resources.look(context_of()).values
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert values["resources.file_size_gib"] == 0.5
    assert resources.look(context_of()).values["resources.file_size_gib"] in (None, round(soft / GIB, 3))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": "4"}, 4),
        ({"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "4"}, 1),
        ({"OMP_NUM_THREADS": "4,2"}, None),
    ],
)
def test_threads_of_blas(context_of, environ, expected):
    """OpenBLAS listens to a variable of its own first."""
    assert resources.look(context_of(environ)).values["resources.blas_threads"] == expected


def test_no_folder_for_temporary_files(context_of, monkeypatch):
    """A machine on which Python finds no place for temporary files is told of it, and keeps its other facts."""

    def none():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    values = resources.look(context_of()).values

    assert values["resources.tmp_usable"] is False
    assert "No usable temporary directory" in values["resources.tmp"].reason
    assert values["resources.cpus"] >= 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
def test_shared_memory_that_is_not_there(context_of, monkeypatch):
    """Without /dev/shm its size is unknown, and that it takes no files is known."""

    def gone(_path):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(shutil, "disk_usage", gone)
    values = resources.look(context_of()).values

    assert values["resources.shm_writable"] is False


def test_machine_without_a_battery(context_of, monkeypatch):
    """A machine without a battery does not run from one; one with it tells whether the power is connected."""
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    assert resources.look(context_of()).values["resources.on_battery"] is None

    class Battery:
        power_plugged = False

    monkeypatch.setattr(psutil, "sensors_battery", Battery, raising=False)
    assert resources.look(context_of()).values["resources.on_battery"] is True
