"""A real nnU-Net on a tiny dataset, with a trainer whose epochs take a second or two."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from made_up import clean_environ

import nnunet_doctor

NAME = "Dataset999_DoctorDemo"
TRAINER = "nnUNetTrainerShort"

SHORT_TRAINER = '''
import os
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class nnUNetTrainerShort(nnUNetTrainer):
    """A few steps in each epoch, a checkpoint after each, and torch.compile wherever it is not switched off."""

    def __init__(self, plans, configuration, fold, dataset_json, device):
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = int(os.environ.get("SHORT_EPOCHS", "3"))
        self.num_iterations_per_epoch = int(os.environ.get("SHORT_STEPS", "3"))
        self.num_val_iterations_per_epoch = 1
        self.save_every = 1

    def perform_actual_validation(self, save_probabilities=False):
        """The demo's test validates for real."""

    def _do_i_compile(self):
        return os.environ.get("nnUNet_compile", "false") == "true"
'''
"""nnU-Net itself never compiles on a CPU from 2.4.2 on; this one shows what happens where it does."""


@dataclass(frozen=True)
class Prepared:
    """Folders of nnU-Net with a dataset that is planned and preprocessed for 2d, and the environment that uses them."""

    base: Path
    environ: dict[str, str]

    @property
    def fold(self) -> Path:
        """Folder of the results of fold 0."""
        return self.base / "nnUNet_results" / NAME / f"{TRAINER}__nnUNetPlans__2d" / "fold_0"

    def command(self, *arguments: str) -> list[str]:
        """Return the command of a run of fold 0."""
        run = ["run", "999", "2d", "0", "-tr", TRAINER, "-device", "cpu", "--quick"]
        return [sys.executable, "-m", "nnunet_doctor", *run, *arguments]

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Train fold 0 to its end."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.base,
            env={**self.environ, **environ},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start the same, with the output in a pipe."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.base,
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )


def prepare(base: Path) -> Prepared:
    """Make the demo's dataset, and let nnU-Net plan and preprocess it."""
    trainers = base / "trainers"
    trainers.mkdir(parents=True)
    (trainers / f"{TRAINER}.py").write_text(SHORT_TRAINER, encoding="utf-8")
    folders = {f"nnUNet_{name}": str(base / f"nnUNet_{name}") for name in ("raw", "preprocessed", "results")}
    for folder in folders.values():
        Path(folder).mkdir()
    environ = {
        **clean_environ(),
        **folders,
        "NNUNET_DOCTOR_LANG": "en",
        "nnUNet_extTrainer": str(trainers),
        "nnUNet_n_proc_DA": "1",
        "nnUNet_def_n_proc": "1",
    }
    script = Path(nnunet_doctor.__file__).with_name("demo_data.py")
    raw = Path(folders["nnUNet_raw"], NAME)
    subprocess.run([sys.executable, str(script), str(raw)], check=True, env=environ)
    entry = (
        "from nnunetv2.experiment_planning.plan_and_preprocess_entrypoints import plan_and_preprocess_entry as go; go()"
    )
    command = [sys.executable, "-c", entry, "-d", "999", "-c", "2d", "-np", "1", "-npfp", "1"]
    subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Prepared(base, environ)


def is_root() -> bool:
    """Say whether this process may mount file systems."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
