"""Runs inside the interpreter under examination and reports what it sees there, stage by stage.

Standard library only, and written for Python 3.6 and newer. It is started as a file:

    PYTHON examine.py REPORT [torch] [torchvision]

Each stage appends one JSON line to the file REPORT when it begins and one when it ends, so that what was learnt before a
crash, a hang or a kill is kept. Nothing is expected on standard output, which may be flooded by what is imported.
"""

import sys

# The folder of this file is on the path because it was started as a file. Its modules must not be importable here.
if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    sys.path[:] = sys.path[1:]

import json  # noqa: E402
import os  # noqa: E402
import platform  # noqa: E402
import re  # noqa: E402
import struct  # noqa: E402
import sysconfig  # noqa: E402
import time  # noqa: E402

TRITONS = ("triton", "triton-windows", "triton-rocm", "triton-xpu")
TRITONS += ("pytorch-triton", "pytorch-triton-rocm", "pytorch-triton-xpu")
ALSO = ("nnunet", "torch", "torchvision") + TRITONS


def look_at_python():
    """Say which interpreter this is."""
    include = sysconfig.get_path("include") or ""
    folders = [include, sysconfig.get_path("platinclude") or ""]
    if os.path.isdir(os.path.join(sys.prefix, "conda-meta")):
        environment = "conda"
    elif sys.prefix != getattr(sys, "base_prefix", sys.prefix):
        environment = "venv"
    else:
        environment = "system"
    return {
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "environment": environment,
        "bits": struct.calcsize("P") * 8,
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "headers": any(os.path.isfile(os.path.join(folder, "Python.h")) for folder in folders if folder),
        "headers_folder": include,
        "pip": folder_of("pip") is not None,
        "scripts": sysconfig.get_path("scripts") or "",
    }


def look_at_distributions():
    """List nnU-Net and everything it asks for, with versions and requirements, from metadata alone."""
    found = metadata_files()
    wanted, seen = ["nnunetv2"], {}
    while wanted:
        name = wanted.pop()
        if name in seen or name not in found:
            continue
        seen[name] = describe(found[name])
        needs = [item for item in seen[name]["requires"] if "extra ==" not in item]
        wanted += [normal(re.split(r"[^A-Za-z0-9._-]", item.strip(), maxsplit=1)[0]) for item in needs]
    for name in ALSO:
        if name in found and name not in seen:
            seen[name] = dict(describe(found[name]), requires=[])
    return {"distributions": seen}


def metadata_files():
    """Find the metadata file of every installed distribution, the first on the path winning as for imports.

    This is what importlib.metadata does, without its parser, which takes longer than all the rest of this script.
    """
    found = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:  # zip files, and folders that are gone
            continue
        for name in names:
            stem, _, ending = name.rpartition(".")
            path = os.path.join(folder, name)
            if ending == "dist-info":
                file = os.path.join(path, "METADATA")
            elif ending == "egg-info":
                file = path if os.path.isfile(path) else os.path.join(path, "PKG-INFO")
            else:
                continue
            if os.path.isfile(file):  # pip leaves folders without it behind
                found.setdefault(normal(stem.partition("-")[0]), file)
    return found


def describe(file):
    """Return what is needed of one distribution, from the head of its metadata."""
    version, requires, requires_python = "", [], None
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line in ("\n", "\r\n"):  # the end of the head; a folded field may hold lines of blanks
                    break
                key, _, value = line.partition(":")
                if key == "Version":
                    version = value.strip()
                elif key == "Requires-Dist":
                    requires.append(value.strip())
                elif key == "Requires-Python":
                    requires_python = value.strip()
    except OSError:
        pass
    return {"version": version, "requires": requires, "requires_python": requires_python}


def normal(name):
    """Return the normalised name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def look_at_files():
    """Read the version files of torch and torchvision, and find nnU-Net, without importing them."""
    return {
        "torch": version_file("torch"),
        "torchvision": version_file("torchvision"),
        "nnunetv2": folder_of("nnunetv2"),
    }


def folder_of(package):
    """Return the folder of a top-level package, or None."""
    import importlib.util

    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError, AttributeError):
        return None
    places = list(spec.submodule_search_locations or []) if spec else []
    return places[0] if places else None


def version_file(package):
    """Return the assignments of PACKAGE/version.py as texts, or None without the package."""
    folder = folder_of(package)
    if folder is None:
        return None
    found = {}
    try:
        with open(os.path.join(folder, "version.py"), encoding="utf-8", errors="replace") as file:
            text = file.read(20000)
    except OSError:
        return found
    for name, value in re.findall(r"^(\w+)(?:\s*:[^=\n]+)?\s*=\s*['\"]([^'\"\n]*)['\"]", text, re.MULTILINE):
        found[name] = value
    return found


def import_torch():
    """Import torch, with the time it takes."""
    start = time.time()
    import torch

    return {"seconds": round(time.time() - start, 2), "version": str(torch.__version__)}


def look_at_cuda():
    """Ask torch for its devices."""
    import warnings

    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        available = bool(torch.cuda.is_available())
        count = int(torch.cuda.device_count()) if available else 0
        names = [torch.cuda.get_device_name(index) for index in range(count)]
        capabilities = ["%d.%d" % torch.cuda.get_device_capability(index) for index in range(count)]
    flags = getattr(torch._C, "_cuda_getArchFlags", lambda: None)()
    mps = getattr(torch.backends, "mps", None)
    cudnn = torch.backends.cudnn.version() if torch.version.cuda else None
    return {
        "available": available,
        "count": count,
        "names": names,
        "capabilities": capabilities,
        "message": str(caught[0].message).strip() if caught else None,
        "arch_list": flags.split() if flags else None,
        "cudnn": str(cudnn) if cudnn else None,
        "mps": bool(mps and mps.is_available()),
        "cuda_build": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
    }


def import_triton():
    """Import Triton."""
    import triton

    return {"version": str(getattr(triton, "__version__", ""))}


def import_torchvision():
    """Import torchvision, which loads its compiled operators."""
    import torchvision

    return {"version": str(torchvision.__version__)}


def main(arguments):
    """Run the stages that are asked for, in order of risk."""
    report, wanted = arguments[0], arguments[1:]
    stages = [("python", look_at_python), ("files", look_at_files), ("distributions", look_at_distributions)]
    if "torch" in wanted:
        stages += [("torch", import_torch), ("cuda", look_at_cuda), ("triton", import_triton)]
    if "torchvision" in wanted:
        stages.append(("torchvision", import_torchvision))
    for name, stage in stages:
        write(report, {"begins": name})
        try:
            write(report, {"ends": name, "saw": stage()})
        except BaseException as error:  # whatever an import raises, SystemExit included, is a fact
            write(report, {"ends": name, "error": ("%s: %s" % (type(error).__name__, error))[:2000]})


def write(report, line):
    """Append one line and see that it reaches the file."""
    with open(report, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
    # Threads or exit handlers of what was imported must not keep this process.
    os._exit(0)
