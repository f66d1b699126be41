"""The operating system, WSL, containers and schedulers."""

from __future__ import annotations

import ctypes
import platform as standard
import subprocess
import sys
import types

import pytest

from nnunet_doctor.probes import platform
from nnunet_doctor.probes.platform import (
    container_kind,
    cpu_has,
    default_language,
    file_encoding,
    is_user_named,
    wsl_driver,
    wsl_linux_driver,
    wsl_version,
)


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("4.4.0-19041-Microsoft", 1),
        ("5.15.167.4-microsoft-standard-WSL2", 2),
        ("6.6.87.2-microsoft-standard-WSL2+", 2),
        ("6.8.0-45-generic", None),
        ("5.15.0-1074-azure", None),
    ],
)
def test_wsl_is_told_by_the_kernel(tmp_path, release, expected):
    """WSL1 and WSL2 name themselves in the release of the kernel; a virtual machine of Azure is neither."""
    assert wsl_version(release, tmp_path) == expected


def test_wsl_with_a_kernel_of_ones_own(tmp_path):
    """WSL2 with a kernel that the user has built is known by the folder that its init makes."""
    (tmp_path / "run/WSL").mkdir(parents=True)

    assert wsl_version("6.10.0-mine", tmp_path) == 2


@pytest.mark.parametrize(
    ("file", "environ", "expected"),
    [
        (None, {}, None),
        (".dockerenv", {}, "docker"),
        ("run/.containerenv", {}, "podman"),
        (".singularity.d/Singularity", {}, "apptainer"),
        (None, {"APPTAINER_CONTAINER": "/images/nnunet.sif"}, "apptainer"),
        (None, {"SINGULARITY_CONTAINER": "/images/nnunet.sif"}, "apptainer"),
        (".dockerenv", {"SINGULARITY_CONTAINER": "/images/from-docker.sif"}, "apptainer"),
        (".dockerenv", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "kubernetes"),
        (None, {"container": "lxc"}, "container"),
        (None, {"container": ""}, None),
    ],
)
def test_container(tmp_path, file, environ, expected):
    """The runtime is told by the files that it leaves and the variables that it sets."""
    if file is not None:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert container_kind(tmp_path, environ) == expected


@pytest.mark.parametrize(("manager", "expected"), [("lxc\n", "container"), ("wsl\n", None), ("", None)])
def test_container_that_systemd_tells(tmp_path, manager, expected):
    """systemd leaves the name of the container it was started in; WSL, which it counts as one, is none."""
    (tmp_path / "run/systemd").mkdir(parents=True)
    (tmp_path / "run/systemd/container").write_text(manager, encoding="utf-8")

    assert container_kind(tmp_path, {}) == expected


def test_driver_of_windows_inside_wsl2(tmp_path):
    """The driver of Windows is passed in as a libcuda in a folder of its own."""
    assert wsl_driver(tmp_path) is False

    (tmp_path / "usr/lib/wsl/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/wsl/lib/libcuda.so.1").touch()

    assert wsl_driver(tmp_path) is True
    assert wsl_linux_driver(tmp_path) is None


@pytest.mark.skipif(sys.platform == "win32", reason="links in Windows need a right")
def test_driver_for_linux_inside_wsl2(tmp_path):
    """A libcuda of a driver for Linux is found, and a link to the one of Windows, as users set it, is not taken for it."""
    for folder in ("usr/lib/wsl/lib", "usr/lib/x86_64-linux-gnu"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "usr/lib/wsl/lib/libcuda.so.1").touch()
    library = tmp_path / "usr/lib/x86_64-linux-gnu/libcuda.so.1"
    library.symlink_to(tmp_path / "usr/lib/wsl/lib/libcuda.so.1")

    assert wsl_linux_driver(tmp_path) is None

    library.unlink()
    library.touch()

    assert wsl_linux_driver(tmp_path) == str(library)


@pytest.mark.parametrize(
    ("system", "environ", "codeset", "page", "expected"),
    [
        ("linux", {}, "UTF-8", None, "utf-8"),
        ("linux", {}, "GB18030", None, "gb18030"),
        ("linux", {}, "ISO-8859-1", None, "iso-8859-1"),
        ("linux", {"PYTHONUTF8": "1"}, "ISO-8859-1", None, "utf-8"),
        # PEP 538 and 540: Python takes UTF-8 in the C locale
        ("linux", {}, "ANSI_X3.4-1968", None, "utf-8"),
        ("linux", {"PYTHONUTF8": "0"}, "ANSI_X3.4-1968", None, "ascii"),
        ("macos", {}, "US-ASCII", None, "utf-8"),
        ("windows", {}, "", 936, "cp936"),
        ("windows", {}, "", 65001, "utf-8"),
        ("windows", {"PYTHONUTF8": "1"}, "", 1252, "utf-8"),
        ("windows", {"PYTHONUTF8": "0"}, "", 1252, "cp1252"),
    ],
)
def test_encoding_of_text_files(system, environ, codeset, page, expected):
    """Text files are written in the encoding of the system, unless Python is told, or decides, to take UTF-8."""
    assert file_encoding(system, environ, codeset, page) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no list of users by number")
def test_user_without_a_name(monkeypatch):
    """A user who is a number only has a name as soon as a variable gives one."""
    import pwd

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)

    assert is_user_named({"PATH": "/usr/bin"}) is False
    assert is_user_named({"USER": ""}) is False
    assert is_user_named({"LOGNAME": "li"}) is True


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no list of users by number")
def test_user_of_these_tests_has_a_name():
    """Whoever runs these tests is in the list of users."""
    assert is_user_named({}) is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu sse4_2 avx avx2 bmi2\n\nprocessor\t: 1\n", True),
        ("processor\t: 0\nmodel name\t: QEMU Virtual CPU\nflags\t\t: fpu sse4_2 avx\n", False),
        ("processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\n", None),
        ("", None),
        (None, None),
    ],
)
def test_instructions_of_the_processor(tmp_path, text, expected):
    """Linux lists what a processor can do by names, and AVX is not AVX2."""
    (tmp_path / "proc").mkdir()
    if text is not None:
        (tmp_path / "proc/cpuinfo").write_text(text, encoding="ascii")

    assert cpu_has(tmp_path, "avx2") is expected


@pytest.mark.parametrize(
    ("release", "version", "expected"),
    [
        ("10", "10.0.19045", "Windows 10 (10.0.19045)"),
        ("10", "10.0.22631", "Windows 11 (10.0.22631)"),
        ("11", "10.0.26100", "Windows 11 (10.0.26100)"),
        ("2022Server", "10.0.20348", "Windows 2022Server (10.0.20348)"),
        ("10", "", "Windows 10 ()"),
    ],
)
def test_windows_11_still_calls_itself_10(release, version, expected):
    """Windows is named as its users know it, by the number of its build."""
    assert platform._windows_version(release, version) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW.Big5"}, "zh"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "C"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "en_US.UTF-8", "NNUNET_DOCTOR_LANG": "ZH"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "NNUNET_DOCTOR_LANG": "en"}, "en"),
    ],
)
def test_language_is_that_of_the_user(environ, expected):
    """The doctor speaks Chinese where the user's system does, unless the user asks for another language."""
    assert default_language(environ) == expected


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0x0804, "zh"), (0x0404, "zh"), (0x0C04, "zh"), (0x0409, "en"), (0x0411, "en"), (0x0407, "en"), (0, "en")],
    ids=["China", "Taiwan", "Hong Kong", "America", "Japan", "Germany", "none"],
)
def test_windows_tells_the_language_of_its_windows(monkeypatch, number, expected):
    """Where no variable says it, Windows is asked for the language that its own windows speak; a variable counts first."""
    kernel = types.SimpleNamespace(GetUserDefaultUILanguage=lambda: number)
    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(platform, "os", types.SimpleNamespace(name="nt"))

    assert default_language({}) == expected
    assert default_language({"LANG": "en_US.UTF-8"}) == "en"
    assert default_language({"NNUNET_DOCTOR_LANG": "zh"}) == "zh"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows is asked for its language where no variable tells it")
def test_language_is_english_where_nothing_tells_it():
    """Without a word on the language it is English."""
    assert default_language({}) == "en"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"SLURM_JOB_ID": "77"}, "slurm"),
        ({"LSB_JOBID": "77"}, "lsf"),
        ({"PBS_JOBID": "77.head"}, "pbs"),
        ({"JOB_ID": "77", "NSLOTS": "8"}, "sge"),
        ({"JOB_ID": "77"}, None),
    ],
)
def test_scheduler(context_of, environ, expected):
    """The scheduler is known inside a job of its own."""
    assert platform.look(context_of(environ)).values["platform.scheduler"] == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("1", True), ("false", False), ("0", False), ("", False)]
)
def test_continuous_integration(context_of, value, expected):
    """Services of continuous integration set CI; a user who unsets it in words is heard."""
    assert platform.look(context_of({"CI": value})).values["platform.ci"] is expected


@pytest.mark.skipif(sys.platform != "linux", reason="only here can a process be given the name of a shell of Windows")
@pytest.mark.parametrize(
    ("parent", "expected"),
    [("cmd.exe", "cmd"), ("pwsh.exe", "powershell"), ("bash.exe", "posix"), ("explorer.exe", "powershell")],
)
def test_shell_of_windows_is_the_nearest_above(tmp_path, parent, expected):
    """On Windows commands are written for the shell that the doctor was called from, or else for PowerShell."""
    shell = tmp_path / parent
    shell.symlink_to(sys.executable)
    doctor = "from nnunet_doctor.probes.platform import _shell; print(_shell('windows'))"
    command = [shell, "-c", f"import subprocess; subprocess.run({[sys.executable, '-c', doctor]!r})"]

    assert subprocess.check_output(command, encoding="utf-8").strip() == expected


def test_this_machine(context_of):
    """The system is named as checks name it, and what belongs to other systems is None here."""
    values = platform.look(context_of()).values

    system = {"linux": "linux", "win32": "windows", "darwin": "macos"}[sys.platform]
    assert values["platform.os"] == system
    assert values["platform.release"] == standard.release()
    assert values["platform.arch"] in ("x86_64", "arm64", standard.machine())
    assert (values["platform.macos"] is not None) == (system == "macos")
    assert (values["platform.wsl_distributions"] is not None) == (system == "windows")
    assert (values["platform.long_paths"] is not None) == (system == "windows")
    assert values["platform.shell"] in ({"cmd", "powershell", "posix"} if system == "windows" else {"posix"})
    assert (values["platform.glibc"] is not None) <= (system == "linux")
    assert (values["platform.code_page"] is not None) == (system == "windows")
    assert "数".encode(values["platform.file_encoding"], "replace")
    assert values["platform.inductor_cache"] is None
    assert (values["platform.avx2"] is None) >= (values["platform.arch"] != "x86_64")
