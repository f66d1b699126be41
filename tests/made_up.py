"""A made-up installation: packages named torch and nnunetv2 that print what the real ones print, in milliseconds."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import time
import venv
from dataclasses import dataclass
from pathlib import Path

TRAINING = """
import argparse, os, signal, sys, time

def run_training_entry():
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset"); parser.add_argument("configuration"); parser.add_argument("fold")
    parser.add_argument("-tr", default="nnUNetTrainer"); parser.add_argument("-p", default="nnUNetPlans")
    parser.add_argument("-device", default="cuda"); parser.add_argument("--c", action="store_true")
    parser.add_argument("--val", action="store_true"); parser.add_argument("--npz", action="store_true")
    options = parser.parse_args()
    print("ARGUMENTS", " ".join(sys.argv[1:]))
    print("COMPILE", os.environ.get("nnUNet_compile"), "WORKERS", os.environ.get("nnUNet_n_proc_DA"))
    fold = os.path.join(os.environ["nnUNet_results"], "Dataset010_Colon",
        f"{options.tr}__{options.p}__{options.configuration}", f"fold_{options.fold}")
    if os.environ.get("FAKE_CHECKPOINT"):
        os.makedirs(fold, exist_ok=True)
        open(os.path.join(fold, os.environ["FAKE_CHECKPOINT"]), "w").close()
    cure, _, value = os.environ.get("FAKE_CURE", "").partition("=")
    if os.environ.get("FAKE_FAILURE") and os.environ.get(cure) != value:
        print("Traceback (most recent call last):\\n" + os.environ["FAKE_FAILURE"])
        sys.exit(1)
    for epoch in range(2):
        print(f"2026-11-22 06:56:26.644563: Epoch {epoch} ")
        print("2026-11-22 06:56:27.0: train_loss -0.5 ")
        print("2026-11-22 06:56:27.0: val_loss -0.6 ")
        print("2026-11-22 06:56:27.0: Pseudo dice [np.float32(0.91)] ")
        print("2026-11-22 06:56:27.0: Epoch time: 1.5 s ")
    if os.environ.get("FAKE_SLEEP"):
        print("SLEEPING", flush=True)
        time.sleep(float(os.environ["FAKE_SLEEP"]))
    sys.exit(int(os.environ.get("FAKE_EXIT", "0")))
"""

PREPARING = f"""
import os, sys
sys.path.append({str(Path(__file__).parent)!r})

def plan_and_preprocess_entry():
    from pathlib import Path
    from made_up import write_preprocessed
    print("PREPARING", *sys.argv[1:])
    raw = Path(os.environ["nnUNet_raw"], "Dataset010_Colon", "dataset.json").read_text()
    write_preprocessed(Path(os.environ["nnUNet_preprocessed"], "Dataset010_Colon"), raw)
    sys.exit(int(os.environ.get("FAKE_EXIT", "0")))

def preprocess_entry():
    plan_and_preprocess_entry()
"""

TORCH = """
from . import version
__version__ = version.__version__
class _C:
    @staticmethod
    def _cuda_getArchFlags(): return None
class cuda:
    @staticmethod
    def is_available(): return False
    @staticmethod
    def device_count(): return 0
class backends:
    class cudnn:
        @staticmethod
        def version(): return None
    class mps:
        @staticmethod
        def is_available(): return False
"""


@dataclass(frozen=True)
class Installation:
    """Folders of a made-up installation, and the environment that uses it."""

    base: Path
    environ: dict[str, str]

    def doctor(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a user does, in this process."""
        from in_process import call

        return call(arguments, {**self.environ, **environ}, self.base)

    def process(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run the command line as a user does."""
        return subprocess.run(
            [sys.executable, "-m", "nnunet_doctor", *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
            cwd=self.base,
        )

    def path(self, *parts: str) -> Path:
        """Return a path below the base."""
        return self.base.joinpath(*parts)


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def distribution(site: Path, name: str, version: str, *requires: str, python: str = ">=3.9") -> None:
    """Write the metadata of an installed distribution."""
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", f"Requires-Python: {python}"]
    write(
        site / f"{name}-{version}.dist-info" / "METADATA",
        "\n".join([*lines, *(f"Requires-Dist: {r}" for r in requires)]) + "\n",
    )


def clean_environ() -> dict[str, str]:
    """Return this process's environment without what belongs to nnU-Net or to a desktop's taste."""
    dropped = (
        "nnunet",
        "pythondontwritebytecode",
        "no_color",
        "force_color",
        "cuda_visible",
        "slurm",
        "ci",
        "columns",
        "nnunet_doctor",
    )
    return {name: value for name, value in os.environ.items() if not name.lower().startswith(dropped)}


def make_python(folder: Path, *, trains: bool = False) -> Path:
    """Make an interpreter without packages; one that trains has the scripts of nnU-Net, which PYTHONPATH holds."""
    from nnunet_doctor.launch import ENTRY_POINTS

    venv.create(folder, symlinks=os.name != "nt", with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    for name, entry in ENTRY_POINTS.items() if trains and os.name != "nt" else ():
        module, _, function = entry.partition(":")
        script = python.with_name(name)
        script.write_text(f"#!{python}\nfrom {module} import {function}\n{function}()\n", encoding="utf-8")
        script.chmod(0o755)
    return python


def make_installation(tmp_path: Path, python: Path) -> Installation:
    """nnU-Net 2.8.1 on torch 2.13.0+cpu, with Dataset010_Colon planned, preprocessed and ready to train in 2d.

    Args:
        tmp_path: Folder to make it in.
        python: Interpreter to examine, for which the packages are laid into PYTHONPATH.
    """
    site, base = tmp_path / "site", tmp_path / "data"
    write(site / "torch" / "version.py", "__version__ = '2.13.0+cpu'\ncuda = None\nhip = None\n")
    write(site / "torch" / "__init__.py", TORCH)
    distribution(site, "torch", "2.13.0+cpu")
    write(site / "nnunetv2" / "__init__.py", "")
    write(site / "nnunetv2" / "run" / "__init__.py", "")
    write(site / "nnunetv2" / "run" / "run_training.py", TRAINING)
    planning = site / "nnunetv2" / "experiment_planning"
    write(planning / "__init__.py", "")
    write(planning / "plan_and_preprocess_entrypoints.py", PREPARING)
    distribution(site, "nnunetv2", "2.8.1", "torch!=2.9.*,>=2.1.2", python=">=3.10")
    dataset_json = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "cancer": 1},
        "numTraining": 6,
        "file_ending": ".nii.gz",
    }
    write(base / "raw" / "Dataset010_Colon" / "dataset.json", json.dumps(dataset_json))
    write_preprocessed(base / "preprocessed" / "Dataset010_Colon", json.dumps(dataset_json))
    (base / "results").mkdir()
    folders = {f"nnUNet_{name}": str(base / name) for name in ("raw", "preprocessed", "results")}
    settings = {"PYTHONPATH": str(site), "NNUNET_DOCTOR_LANG": "en", "NNUNET_DOCTOR_PYTHON": str(python)}
    environ = {**clean_environ(), **folders, **settings}
    return Installation(base, environ)


def write_preprocessed(folder: Path, dataset_json: str) -> None:
    """Write what nnU-Net 2.8.1 leaves behind after planning and preprocessing six cases for 2d."""
    plans = Path(__file__).with_name("made_up_plans.json").read_text(encoding="utf-8")
    cases = [f"colon_{number:03d}" for number in range(int(json.loads(dataset_json)["numTraining"]))]
    fingerprint = {"shapes_after_crop": [[8, 56, 48]] * len(cases), "spacings": [[5.0, 4.0, 4.0]] * len(cases)}
    write(folder / "nnUNetPlans.json", plans)
    write(folder / "dataset.json", dataset_json)
    write(folder / "dataset_fingerprint.json", json.dumps(fingerprint))
    for case in cases:
        write(folder / "gt_segmentations" / f"{case}.nii.gz", "")
        for ending in (".b2nd", "_seg.b2nd"):
            write(folder / "nnUNetPlans_2d" / f"{case}{ending}", "")
            (folder / "nnUNetPlans_2d" / f"{case}{ending}").write_bytes(blosc2_frame())
        write(folder / "nnUNetPlans_2d" / f"{case}.pkl", "")
        (folder / "nnUNetPlans_2d" / f"{case}.pkl").write_bytes(pickle.dumps({"spacing": [5.0, 4.0, 4.0]}))


def blosc2_frame(size: int = 200) -> bytes:
    """Return a file as Blosc2 writes it: its head declares the length of the whole."""
    head = b"\x9e\xa8b2frame\0\xd2" + struct.pack(">i", 203) + b"\xcf" + struct.pack(">Q", size)
    return head + b"x" * (size - len(head))


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Say whether a process ends within some seconds."""
    import psutil

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def check_text(severity: str, when: str, fires: str, silent: str, fix: str = "") -> str:
    """Return the text of a check file with one example of each kind; ``fix`` is the launch line of a fix, if any."""
    remedy = f'[[fix]]\nen = "e"\nzh = "z"\n{fix}\n' if fix else ""
    return f"""
severity = "{severity}"
when = "{when}"
[text.en]
title = "t"
why = "w"
[text.zh]
title = "t"
why = "w"
{remedy}[[example]]
expect = "fires"
facts = {{ {fires} }}
[[example]]
expect = "silent"
facts = {{ {silent} }}
"""
