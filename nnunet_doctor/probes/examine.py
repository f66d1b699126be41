"""Runs inside the interpreter under examination and reports what it sees there, stage by stage.

Standard library only, and written for Python 3.6 and newer. It is started as a file:

    PYTHON examine.py REPORT [torch] [torchvision] [trainer=NAME]

Each stage appends one JSON line to the file REPORT when it begins and one when it ends, so that what was learnt before a
crash, a hang or a kill is kept. Nothing is expected on standard output, which may be flooded by what is imported.
"""

import sys

# The folder of this file is on the path because it was started as a file. Its modules must not be importable here.
if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    sys.path[:] = sys.path[1:]

import os  # noqa: E402

PYTHONPATH = "" if sys.flags.ignore_environment else os.environ.get("PYTHONPATH", "")
NAMED = [os.path.abspath(item) for item in PYTHONPATH.split(os.pathsep)] if PYTHONPATH else []
PATH = sys.path[:]

# What stands there may hide modules of the standard library. That is to be told, so these come from elsewhere.
sys.path[:] = [item for item in PATH if os.path.abspath(item) not in NAMED]

import importlib.util  # noqa: E402
import json  # noqa: E402
import platform  # noqa: E402
import re  # noqa: E402
import struct  # noqa: E402
import sysconfig  # noqa: E402
import time  # noqa: E402

sys.path[:] = PATH

TRITONS = ("triton", "triton-windows", "triton-rocm", "triton-xpu")
TRITONS += ("pytorch-triton", "pytorch-triton-rocm", "pytorch-triton-xpu")
ALSO = ("nnunet", "torch", "torchvision", "numpy", "blosc2", "acvl-utils", "batchgenerators", "batchgeneratorsv2")
ALSO += ("threadpoolctl", "setuptools", "wandb") + TRITONS

# Modules that the start of nnU-Net loads, and whose names files of users have.
LIBRARY = """
argparse ast asyncio base64 bisect collections concurrent contextlib copy ctypes dataclasses datetime dis email enum
functools glob gzip hashlib heapq http importlib inspect json linecache locale logging multiprocessing opcode operator
pathlib pickle pkgutil platform queue random re select selectors shutil signal socket ssl string struct subprocess
tarfile tempfile textwrap threading token tokenize traceback types typing unittest urllib uuid warnings weakref xml
zipfile
""".split()
PACKAGES = """
PIL SimpleITK acvl_utils batchgenerators batchgeneratorsv2 blosc2 cc3d dynamic_network_architectures einops graphviz
imagecodecs matplotlib nibabel numpy pandas requests scipy seaborn skimage sklearn threadpoolctl tifffile torch
torchvision tqdm triton yacs
""".split()


def look_at_python():
    """Say which interpreter this is, and how packages get into it."""
    include = sysconfig.get_path("include") or ""
    folders = [include, sysconfig.get_path("platinclude") or ""]
    own = sys.prefix != getattr(sys, "base_prefix", sys.prefix)
    if os.path.isdir(os.path.join(sys.prefix, "conda-meta")):
        environment = "conda"
    else:
        environment = "venv" if own else "system"
    managed = os.path.join(sysconfig.get_path("stdlib") or "", "EXTERNALLY-MANAGED")
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
        "arch": arch(),
        "emulated": emulated(),
        "externally_managed": not own and os.path.isfile(managed),
        "writable": writable(sysconfig.get_path("purelib") or sys.prefix),
        "user_site": bool(getattr(sys.modules.get("site"), "ENABLE_USER_SITE", False)),
        "made_by": made_by(environment),
        "conda_base": os.path.isdir(os.path.join(sys.prefix, "condabin")) if environment == "conda" else None,
        "store": "windowsapps" in (sys.base_prefix + sys.executable).lower() if sys.platform == "win32" else None,
        "venv_module": folder_of("ensurepip") is not None,
        "optimize": sys.flags.optimize,
    }


def arch():
    """Return the architecture of this build, which need not be that of the machine."""
    if sys.platform == "win32":
        return {"win-amd64": "x86_64", "win-arm64": "arm64", "win32": "x86"}.get(sysconfig.get_platform(), "?")
    return os.uname().machine


def emulated():
    """Say whether a processor of another kind runs this build; None where that is not usual."""
    if sys.platform == "win32":
        return arch() != "arm64" and "ARM" in os.environ.get("PROCESSOR_IDENTIFIER", "").upper()
    if sys.platform != "darwin":
        return None
    if arch() == "arm64":
        return False
    import ctypes

    value, size = ctypes.c_int(0), ctypes.c_size_t(ctypes.sizeof(ctypes.c_int))
    failed = ctypes.CDLL(None).sysctlbyname(b"sysctl.proc_translated", ctypes.byref(value), ctypes.byref(size), None, 0)
    return not failed and value.value == 1


def writable(folder):
    """Say whether packages can be put into a folder, or into where it would be made."""
    while not os.path.isdir(folder) and os.path.dirname(folder) != folder:
        folder = os.path.dirname(folder)
    if sys.platform == "win32":  # os.access looks at an attribute only; who may write there is administrator
        programs = [os.environ.get(name) for name in ("ProgramFiles", "ProgramFiles(x86)", "ProgramW6432")]
        return not any(item and folder.lower().startswith(item.lower() + os.sep) for item in programs)
    return os.access(folder, os.W_OK)


def made_by(environment):
    """Name the program that made the environment and may undo what others change in it; None for none."""
    marks = (
        ("pipx", "pipx_metadata.json"),
        ("uv tool", "uv-receipt.toml"),
        ("pixi", os.path.join("conda-meta", "pixi")),
    )
    for name, mark in marks:
        if os.path.isfile(os.path.join(sys.prefix, mark)):
            return name
    if environment != "venv":
        return "conda" if environment == "conda" else None
    try:
        with open(os.path.join(sys.prefix, "pyvenv.cfg"), encoding="utf-8", errors="replace") as file:
            keys = [line.partition("=")[0].strip() for line in file]
    except OSError:
        return "venv"
    return next((name for name in ("uv", "virtualenv") if name in keys), "venv")


def look_at_distributions():
    """List nnU-Net and everything it asks for, with versions and requirements, from metadata alone."""
    listed = listing()
    found = metadata_files(listed)
    provider = provider_of(found)
    wanted, seen = [provider] if provider else [], {}
    while wanted:
        name = wanted.pop()
        if name in seen or name not in found:
            continue
        seen[name] = describe(found[name][0])
        needs = [item for item in seen[name]["requires"] if "extra ==" not in item]
        wanted += [normal(re.split(r"[^A-Za-z0-9._-]", item.strip(), maxsplit=1)[0]) for item in needs]
    for name in ALSO:
        if name in found and name not in seen:
            seen[name] = dict(describe(found[name][0]), requires=[])
    conda = conda_packages()
    return {
        "distributions": seen,
        "provider": provider,
        "origin": origin_of(found[provider][0]) if provider else None,
        "copies": [copy for name in sorted(seen) for copy in copies(name, seen[name]["version"], found[name])],
        "hidden": hidden(listed),
        "conda": sorted(name for name in seen if is_from_conda(name, seen[name]["version"], conda)),
        "conda_torch": " ".join(conda["pytorch"]) if "pytorch" in conda else None,
    }


def listing():
    """List the folders of the path, in its order."""
    listed = []
    for folder in sys.path:
        try:
            listed.append((folder, os.listdir(folder or os.curdir)))
        except OSError:  # zip files, and folders that are gone
            continue
    return listed


def metadata_files(listed):
    """Find the metadata files of every installed distribution, those first that imports meet first.

    This is what importlib.metadata does, without its parser, which takes longer than all the rest of this script.
    """
    found = {}
    for folder, names in listed:
        if "EGG-INFO" in names:  # setup.py install
            file = os.path.join(folder, "EGG-INFO", "PKG-INFO")
            found.setdefault(normal(os.path.basename(folder).partition("-")[0]), []).append(file)
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
                files = found.setdefault(normal(stem.partition("-")[0]), [])
                if file not in files:  # a folder may be on the path twice
                    files.append(file)
    return found


def provider_of(found):
    """Return the distribution that nnU-Net comes with: its own, or that of a fork with its modules; None for none."""
    if "nnunetv2" in found:
        return "nnunetv2"
    forks = [name for name in sorted(found) if name.startswith("nnunetv2")]
    return forks[0] if forks and nnunet_folder() else None


def origin_of(file):
    """Say where a distribution was installed from, as pip notes it (PEP 610), and the folder that its metadata is in."""
    folder = os.path.dirname(file) if os.path.basename(file) in ("METADATA", "PKG-INFO") else file
    try:
        with open(os.path.join(folder, "direct_url.json"), encoding="utf-8") as noted:
            direct = json.load(noted)
    except (OSError, ValueError):
        direct = {}
    information = direct.get("dir_info") or {}
    return {
        "url": direct.get("url"),
        "editable": bool(information.get("editable")) if direct else None,
        "folder": os.path.dirname(folder),
    }


def copies(name, version, files):
    """List other releases of a distribution that the one in use stands before, with the way in which it does."""
    home = folder_with(files[0])
    user = getattr(sys.modules.get("site"), "USER_SITE", None)
    for file in files[1:]:
        other = folder_with(file)
        if home == other:
            way = "twice"
        elif os.path.abspath(home) in NAMED:
            way = "PYTHONPATH"
        elif user and os.path.abspath(home) == os.path.abspath(user):
            way = "user"
        else:
            continue
        hidden_version = describe(file)["version"]
        if hidden_version != version:
            yield {"way": way, "name": name, "used": version, "hidden": hidden_version, "folder": home}


def folder_with(file):
    """Return the folder that a distribution is installed in, from its metadata file."""
    inside = os.path.basename(file) in ("METADATA", "PKG-INFO")
    return os.path.dirname(os.path.dirname(file)) if inside else os.path.dirname(file)


def hidden(listed):
    """List files of PYTHONPATH that stand before a module of the same name which nnU-Net means."""
    found = []
    for folder, names in listed:
        if os.path.abspath(folder) not in NAMED:
            continue
        packages = any(name.endswith((".dist-info", ".egg-info")) for name in names)
        candidates = set(LIBRARY) if packages else set(LIBRARY + PACKAGES)
        for name in sorted(names):
            stem = name[:-3] if name.endswith(".py") else name
            path = os.path.join(folder, name)
            file = path if name.endswith(".py") else os.path.join(path, "__init__.py")
            if stem in candidates and os.path.isfile(file) and is_found_there(stem, file):
                found.append({"file": path, "module": stem})
    return found


def is_found_there(module, file):
    """Say whether an import finds a module in this file; those that are already loaded here are looked up anew."""
    from importlib.machinery import PathFinder

    if module in sys.builtin_module_names:
        return False
    spec = PathFinder.find_spec(module, sys.path)
    return spec is not None and spec.origin is not None and os.path.abspath(spec.origin) == os.path.abspath(file)


def conda_packages():
    """Return release and build of what conda has in this environment, by name."""
    try:
        names = os.listdir(os.path.join(sys.prefix, "conda-meta"))
    except OSError:
        return {}
    parts = [name[:-5].rsplit("-", 2) for name in names if name.endswith(".json")]
    return {part[0]: part[1:] for part in parts if len(part) == 3}


def is_from_conda(name, version, conda):
    """Say whether it was conda that installed this release of a distribution."""
    package = conda.get("pytorch" if name == "torch" else name) or conda.get(name.replace("-", "_"))
    return bool(package) and (version == package[0] or version.startswith(package[0] + ".post"))


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
    nnunet = nnunet_folder()
    return {
        "torch": version_file("torch"),
        "torchvision": version_file("torchvision"),
        "nnunetv2": nnunet,
        "own_paths": own_paths(nnunet),
    }


def nnunet_folder():
    """Return the folder of nnU-Net's modules, or None; a folder of data may have the same name."""
    folder = folder_of("nnunetv2")
    return folder if folder and os.path.isfile(os.path.join(folder, "run", "run_training.py")) else None


def own_paths(folder):
    """Say whether paths.py of a fork holds folders of its own and reads no variable; None without nnU-Net."""
    if folder is None:
        return None
    try:
        with open(os.path.join(folder, "paths.py"), encoding="utf-8", errors="replace") as file:
            code = "".join(line.partition("#")[0] + "\n" for line in file)
    except OSError:
        return None
    return "environ" not in code and "getenv" not in code and "nnUNet_raw" in code


def folder_of(package):
    """Return the folder of a top-level package, or None."""
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


def look_at_trainer(name):
    """Look for a trainer class as nnU-Net does, but in the text of the files; nothing is imported."""
    folder = nnunet_folder()
    if folder is None:
        return {"named": None, "outside": None}
    others = [item for item in os.environ.get("nnUNet_extTrainer", "").split(os.pathsep) if item.strip()]
    inside = class_in([os.path.join(folder, "training", "nnUNetTrainer")], name)
    if inside["named"]:
        return dict(inside, outside=False)
    outside = class_in(others, name)
    return dict(outside, named=False, outside=outside["named"])


def class_in(roots, name):
    """Find the file that defines a class, or say whether any file has its name at all."""
    named, word = False, re.compile(r"\b%s\b" % re.escape(name))
    for file in (file for root in roots for file in python_files(root)):
        try:
            with open(file, encoding="utf-8", errors="replace") as opened:
                text = opened.read(1000000)
        except OSError:
            continue
        if word.search(text):
            named = True
            if re.search(r"^class %s\b" % re.escape(name), text, re.MULTILINE):
                return dict(arguments_of(text, name), named=True, file=file)
    return {"named": named}


def python_files(root):
    """Yield the Python files below a folder."""
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            if name.endswith(".py"):
                yield os.path.join(folder, name)


def arguments_of(text, name):
    """Return what two methods of a class take and hand on: None for a method that it has from its base."""
    import ast

    try:
        classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == name]
    except (SyntaxError, ValueError, RecursionError):
        return {}
    methods = {node.name: node for node in classes[-1].body if isinstance(node, ast.FunctionDef)} if classes else {}
    init, network = methods.get("__init__"), methods.get("build_network_architecture")
    calls = [node for node in ast.walk(init) if is_call_of_base(node, ast)] if init else []
    return {
        "takes": None if init is None else parameters(init)[1:],
        "hands_on_unpacking": any(
            len(call.args) > 5 or any(keyword.arg == "unpack_dataset" for keyword in call.keywords) for call in calls
        ),
        "network_takes": None if network is None else parameters(network),
    }


def is_call_of_base(node, ast):
    """Say whether a node is ``super().__init__(...)``."""
    called = node.func if isinstance(node, ast.Call) else None
    if not isinstance(called, ast.Attribute) or called.attr != "__init__" or not isinstance(called.value, ast.Call):
        return False
    return isinstance(called.value.func, ast.Name) and called.value.func.id == "super"


def parameters(function):
    """Return the names of a function's parameters, those of * and ** with their stars."""
    given = function.args
    names = [item.arg for item in getattr(given, "posonlyargs", []) + given.args]
    names += ["*" + given.vararg.arg] if given.vararg else []
    names += [item.arg for item in given.kwonlyargs]
    return names + (["**" + given.kwarg.arg] if given.kwarg else [])


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
    for argument in wanted:
        if argument.startswith("trainer="):
            stages.append(("trainer", lambda name=argument[8:]: look_at_trainer(name)))
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
