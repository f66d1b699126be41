"""Every known way to fail has a check, lines of logs lead to the right one, and the printed catalogue is up to date."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from nnunet_doctor import catalogue
from nnunet_doctor.check import AREAS
from nnunet_doctor.cli import main
from nnunet_doctor.report.listing import failure_modes, to_markdown

CHECKS = catalogue.load(with_examples=True)
DOCUMENT = Path(__file__).resolve().parents[1] / "checks" / "CATALOGUE.md"


def test_every_failure_mode_has_a_check() -> None:
    """No way to fail that users have reported is without a check that knows it."""
    covered = {name for check in CHECKS for name in check.covers}

    assert [mode.id for mode in failure_modes() if mode.id not in covered] == []


def test_covers_names_failure_modes_that_there_are() -> None:
    """A misspelt failure mode, or one named twice in a check, is found."""
    known = {mode.id for mode in failure_modes()}

    assert [(check.id, name) for check in CHECKS for name in check.covers if name not in known] == []
    assert [check.id for check in CHECKS if len(set(check.covers)) != len(check.covers)] == []


def test_failure_modes_have_names_in_both_languages() -> None:
    """Ids are unique; English names are ASCII, Chinese ones Chinese, and no name is used twice."""
    modes = failure_modes()

    assert len({mode.id for mode in modes}) == len({mode.en for mode in modes}) == len({mode.zh for mode in modes})
    assert [mode.id for mode in modes if not mode.en.isascii() or mode.en.endswith(".")] == []
    assert [mode.id for mode in modes if not re.search("[\u4e00-\u9fff]", mode.zh)] == []


def test_the_printed_catalogue_is_up_to_date() -> None:
    """checks/CATALOGUE.md is what `nnunet-doctor list --markdown` prints; write it anew after changing a check."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(["list", "--markdown"]) == 0

    assert DOCUMENT.read_text(encoding="utf-8") == printed.getvalue() == to_markdown(CHECKS)


def test_links_of_the_catalogue_lead_to_files() -> None:
    """Every check is in the table of its area, by a link to its file, and tables have as many cells as their heads."""
    text = DOCUMENT.read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    rows = [line for line in text.splitlines() if line.startswith("|")]

    assert links == {f"{check.area}/{check.id}.toml" for check in CHECKS}
    assert [link for link in links if not (DOCUMENT.parent / link).is_file()] == []
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5, 6}
    assert [area for area in AREAS if f"\n## {area}\n" not in text] == []


def test_no_pattern_is_the_cause_of_two_checks() -> None:
    """A line must not be told to have two causes."""
    patterns = [pattern for check in CHECKS for pattern in check.log_cause]

    assert [pattern for pattern in set(patterns) if patterns.count(pattern) > 1] == []


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if not check.is_decided_by_facts], ids=lambda check: check.id
)
def test_a_check_that_only_logs_show_has_lines_here(check: object) -> None:
    """What no example proves is proven by a line below."""
    assert check.id in {*CAUSES.values(), *SYMPTOMS.values()}


CAUSES = {
    # os
    "        An attempt has been made to start a new process before the": "main-guard-missing",
    "SyntaxError: (unicode error) 'unicodeescape' codec can't decode bytes in position 30-31: truncated "
    "\\UXXXXXXXX escape": "windows-path-in-code",
    "'CUDA_VISIBLE_DEVICES' is not recognized as an internal or external command,": "variable-set-the-linux-way",
    "CUDA_VISIBLE_DEVICES=1 : The term 'CUDA_VISIBLE_DEVICES=1' is not recognized as the name of a cmdlet, function,": (
        "variable-set-the-linux-way"
    ),
    "'nnUNet_compile' 不是内部或外部命令，也不是可运行的程序": "variable-set-the-linux-way",
    "'export' is not recognized as an internal or external command,": "variable-set-the-linux-way",
    "Message for the error 5: Access is denied.": "blosc2-mmap-on-windows",
    # python
    "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 from "
    "PyObject": "numpy-abi",
    "A module that was compiled using NumPy 1.x cannot be run in": "numpy-abi",
    "ImportError: numpy.core.multiarray failed to import": "numpy-abi",
    "AttributeError: module 'numpy' has no attribute 'isdtype'. Did you mean: 'dtype'?": "numpy-too-old",
    "TypeError: _vhstack_dispatcher() got an unexpected keyword argument 'dtype'": "numpy-too-old",
    "ModuleNotFoundError: No module named 'blosc2'": "blosc2-missing",
    "ModuleNotFoundError: No module named 'batchgeneratorsv2'": "dependency-conflicts",
    "AttributeError: 'NoneType' object has no attribute 'split'": "threadpoolctl-too-old",
    "    config = get_config().split()": "threadpoolctl-too-old",
    "UnboundLocalError: cannot access local variable 'region_labels' where it is not associated with a value": (
        "batchgeneratorsv2-too-old"
    ),
    "_pickle.UnpicklingError: Weights only load failed. This file can still be loaded": "checkpoint-refused-by-torch",
    "ERROR: Ignored the following versions that require a different python version: 2.6.0 Requires-Python >=3.10": (
        "python-unsupported"
    ),
    # triton
    "/tmp/tmpx/main.c:5:3: error: ‘for’ loop initial declarations are only allowed in C99 mode": "compile-gcc-too-old",
    "RuntimeError: Triton Error [CUDA]: device kernel image is invalid": "compile-kernel-refused",
    "concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly while the "
    "future was running or pending.": "compile-processes-killed",
    "    os.environ['TORCHINDUCTOR_COMPILE_THREADS'] = 1": "compile-threads-not-text",
    "ImportError: DLL load failed while importing libtriton: The specified module could not be found.": (
        "triton-missing"
    ),
    # device
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of": (
        "gpu-memory-full"
    ),
    "RuntimeError: MPS backend out of memory (MPS allocated: 33.48 GB, other allocations: 2.45 GB": "mps-memory-full",
    "Error: command buffer exited with error status.": "mps-memory-full",
    "RuntimeError: cuDNN error: CUDNN_STATUS_EXECUTION_FAILED": "cudnn-fails",
    "RuntimeError: GET was unable to find an engine to execute this computation": "cudnn-fails",
    "Could not load library libcudnn_cnn_infer.so.8. Error: libcuda.so": "cudnn-fails",
    "RuntimeError: CUDA error: an illegal memory access was encountered": "cuda-illegal-access",
    "RuntimeError: CUDA error: uncorrectable ECC error encountered": "gpu-hardware-suspect",
    "[ 123.4] NVRM: Xid (PCI:0000:01:00): 79, pid=1234, GPU has fallen off the bus.": "gpu-hardware-suspect",
    "[18:49:03][host][373834:373834][WARN][BKCL][globals.cpp:211] xccl version: 8ac2457": "accelerator-not-nvidia",
    "RuntimeError: Cannot access accelerator device when none is available.": "cache-without-accelerator",
    "AssertionError: -device must be either cpu, mps or cuda. Other devices are not tested/supported. Got: cuda:1.": (
        "device-name-unknown"
    ),
    "torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp:1970": (
        "ddp-out-of-step"
    ),
    "RuntimeError: CUDA error: all CUDA-capable devices are busy or unavailable": "gpu-not-granted",
    "RuntimeError: CUDA error: out of memory": "gpu-not-granted",
    'AssertionError: Can use perform_everything_on_gpu=True only when device="cuda"': "validation-wants-cuda",
    'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].': (
        "driver-missing"
    ),
    # nnunet
    "TypeError: nnUNetTrainer.__init__() takes from 5 to 6 positional arguments but 7 were given": (
        "trainer-signature-old"
    ),
    "TypeError: __init__() got an unexpected keyword argument 'unpack_dataset'": "trainer-signature-old",
    "    self.my_init_kwargs[k] = locals()[k]": "trainer-signature-old",
    "TypeError: nnUNetTrainer.build_network_architecture() takes from 4 to 5 positional arguments but 6 were given": (
        "network-signature-changed"
    ),
    "KeyError: 'network_weights'": "model-of-v1",
    "RuntimeError: Could not find requested nnunet trainer nnUNetTrainerX in nnunetv2.training.nnUNetTrainer (/a/b)": (
        "trainer-not-found"
    ),
    "RuntimeError: Unable to locate trainer class nnUNetTrainerX in nnunetv2.training.nnUNetTrainer. Please place it": (
        "trainer-not-found"
    ),
    "TypeError: 'NoneType' object is not callable": "planner-not-found",
    "RuntimeError: nnU-Net logger environment variable has the wrong value. Must be '0' (disabled) or '1'(enabled).": (
        "wandb-not-usable"
    ),
    "nnUNetv2_preprocess: error: argument -d: invalid int value: 'Dataset001_X'": "dataset-argument-wrong",
    "ValueError: dataset_name_or_id must either be an integer or a valid dataset name with the pattern DatasetXXX_YYY": (
        "dataset-argument-wrong"
    ),
    "nnUNet_preprocessed=/home/me/U-Mamba/data/nnUNet_preprocessed": "fork-with-own-paths",
    "nnUNet_train: command not found": "command-of-v1",
    "nnUNetv2_train: error: unrecognized arguments: -t 1": "command-of-v1",
    "nnUNetv2_train: command not found": "command-missing",
    "RESULTS_FOLDER is not defined and nnU-Net cannot be used for training or inference.": "nnunet-v1-only",
    "AssertionError: labelsTr subfolder missing in source folder": "converter-finds-no-folders",
    "RuntimeError: Encountered inf in predicted array. Aborting... If this problem persists,": "prediction-infinite",
    "ImportError: cannot import name 'predict_from_raw_data' from 'nnunetv2.inference.predict_from_raw_data'": (
        "prediction-api-moved"
    ),
    "IndexError: index 189 is out of bounds for axis 0 with size 189": "export-out-of-bounds",
    "IndexError: index -1 is out of bounds for axis 0 with size 0": "no-foreground",
    "FileNotFoundError: [Errno 2] No such file or directory: '/r/Dataset001_X/nnUNetTrainer__nnUNetPlans__2d/fold_1/"
    "checkpoint_final.pth'": "prediction-model-missing",
    "FileNotFoundError: [Errno 2] No such file or directory: '/r/Dataset001_X/nnUNetTrainer__nnUNetPlans__2d/"
    "dataset.json'": "prediction-model-missing",
    # paths
    "OSError: [Errno 5] Input/output error": "preprocessed-on-network",
    "OSError: [Errno 116] Stale file handle": "preprocessed-on-network",
    'sitk::ERROR: The file "C:\\Users\\王伟\\nnUNet_raw\\Dataset001_X\\imagesTr\\a_0000.nii.gz" does not exist.': (
        "paths-risky-on-windows"
    ),
    "RuntimeError: Error while creating the NDArray": "paths-nearly-full",
    "bash: export: `/data/nnUNet_raw': not a valid identifier": "paths-awkward",
    # resources
    "OpenBLAS blas_thread_init: pthread_create failed for thread 31 of 64: Resource temporarily unavailable": (
        "process-limit"
    ),
    "RuntimeError: can't start new thread": "process-limit",
    "RuntimeError: Some background worker is 6 feet under. Yuck. ": "preprocessing-worker-killed",
    "RuntimeError: Some background workers are no longer alive": "validation-worker-killed",
    "RuntimeError: Segmentation export worker died. It was likely killed by your OS because of insufficient available "
    "CPU RAM.": "prediction-worker-killed",
    "Bus error (core dumped)": "shm-too-small",
    "slurmstepd: error: Detected 1 oom_kill event in StepId=1.0. Some of the step tasks have been OOM Killed.": (
        "memory-short"
    ),
    "srun: error: node01: task 0: Out Of Memory": "memory-short",
    # dataset
    "    caseids = [os.path.basename(i[0])[:-(len(self.dataset_json['file_ending']) + 5)] for i in": "test-images",
    "nll_loss.cu:256: block: [0,0,0], thread: [31,0,0] Assertion `t >= 0 && t < n_classes` failed.": (
        "label-unexpected"
    ),
    "json.decoder.JSONDecodeError: Expecting ',' delimiter: line 9 column 3 (char 120)": "json-syntax",
    # training
    "EOFError: Ran out of input": "preprocessed-damaged",
    "EOFError: No data left in file": "preprocessed-damaged",
    "ValueError: mmap length is greater than file size": "preprocessed-damaged",
    "zipfile.BadZipFile: File is not a zip file": "preprocessed-damaged",
    "_pickle.UnpicklingError: pickle data was truncated": "preprocessed-damaged",
    "_pickle.UnpicklingError: invalid load key, '\\x00'.": "preprocessed-damaged",
    "RuntimeError: blosc2_schunk_open_offset('/p/Dataset001_X/nnUNetPlans_2d/a.b2nd', 0) returned NULL": (
        "preprocessed-damaged"
    ),
    "ValueError: Failed to read all data for array. Expected (50, 50) = 2500 elements, could only read 46 elements.": (
        "preprocessed-damaged"
    ),
    "json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)": "fingerprint-broken",
    "FileNotFoundError: No such file or directory: /p/Dataset001_X/nnUNetPlans_3d_fullres/case_7.b2nd": (
        "case-not-preprocessed"
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: '/p/Dataset001_X/nnUNetPlans_2d/case_7.pkl'": (
        "case-not-preprocessed"
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: '/p/Dataset001_X/nnUNetPlans_2d/case_7.npz'": (
        "preprocessed-format-newer"
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: '/p/Dataset001_X/nnUNetPlans_2d'": (
        "configuration-not-preprocessed"
    ),
    "FileNotFoundError: [Errno 2] No such file or directory: '/p/Dataset001_X/nnUNetPlans.json'": "not-preprocessed",
    "FileNotFoundError: No such file or directory: /r/Dataset001_X/nnUNetTrainer__nnUNetPlans__3d_lowres/"
    "predicted_next_stage/3d_cascade_fullres/case_7.b2nd": "cascade-stage-missing",
    "RuntimeError: Could not build empty array": "cascade-storage",
    "RuntimeError: Error while setting the slice": "blosc2-fails",
    "RuntimeError: Sizes of tensors must match except in dimension 1. Expected size 10 but got size 11 for tensor": (
        "plans-sizes-unusable"
    ),
    "KeyError: 'conv_kernel_sizes'": "plans-of-another-release",
    "KeyError: 'configurations'": "plans-broken",
    "2026-11-22 06:31:51.4: WARNING: Some validation cases are also in the training set. Please check the splits.json": (
        "splits-leak"
    ),
    "2026-11-22 06:31:52.787228: train_loss nan": "loss-nan",
    "RuntimeError: PytorchStreamReader failed reading zip archive: failed finding central directory": (
        "checkpoint-damaged"
    ),
    "_pickle.UnpicklingError: invalid load key, '<'.": "checkpoint-damaged",
    "RuntimeError: fold 3 of model /r/Dataset001_X/nnUNetTrainer__nnUNetPlans__2d is missing. Please train it!": (
        "cross-validation-incomplete"
    ),
    "RuntimeError: No .npz files found in folder /r/fold_0/validation. Rerun your validation with the --npz flag.": (
        "cross-validation-incomplete"
    ),
    "AssertionError: The shape of the parameters of key encoder.stages.0.weight is not the same. Pretrained model: "
    "torch.Size([320, 320, 2, 2, 2]); your network:": "pretrained-does-not-fit",
    "RuntimeError: Error(s) in loading state_dict for OptimizedModule:": "pretrained-does-not-fit",
    "Fatal Python error: Segmentation fault": "process-crashed",
    "slurmstepd: error: *** JOB 123 ON node01 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***": "job-time-limit",
    "KeyboardInterrupt": "run-interrupted",
    "^C": "run-interrupted",
    "2026-11-22 06:31:51.4: INFO: You requested fold 7 for training but splits contain only 5 folds. I am now": (
        "fold-absent"
    ),
    "WARNING: Cannot continue training because there seems to be no checkpoint available to continue from.": (
        "nothing-to-continue"
    ),
}
"""Lines as nnU-Net, torch and others print them, and the check that each must lead to."""

SYMPTOMS = {
    "RuntimeError: One or more background workers are no longer alive. Exiting. Please check the print": "workers-died",
    "Exception in thread Thread-2 (results_loop):": "workers-died",
    "Prediction on device was unsuccessful, probably due to a lack of memory. Moving results arrays to CPU": (
        "prediction-fell-back"
    ),
    "UnboundLocalError: cannot access local variable 'prediction' where it is not associated with a value": (
        "prediction-fell-back"
    ),
    "RuntimeError: Background workers died. Look for the error message further up! If there is none then your RAM": (
        "prediction-worker-killed"
    ),
    "RuntimeError: [1] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1)": "ddp-out-of-step",
}
"""Lines that only say that something went wrong elsewhere, and the check that explains them."""

HARMLESS = [
    "2026-11-22 05:40:30.753150: Unable to plot network architecture:",
    "2026-11-22 05:40:30.753228: No module named 'hiddenlayer'",
    "2026-11-22 05:40:30.753150: Unable to plot network architecture: nnUNet_compile is enabled!",
    "INFO: You are using the old nnU-Net default plans. We have updated our recommendations.",
    "FutureWarning: `torch.cuda.amp.GradScaler(args...)` is deprecated.",
    "using pin_memory on device 0",
    "Using device: cuda:0",
    "2026-11-22 06:31:52.788261: Pseudo dice [np.float32(nan), np.float32(0.9)]",
    "2026-11-22 06:31:52.788261: Pseudo dice [np.float32(0.0)]",
    "UserWarning: resource_tracker: There appear to be 6 leaked semaphore objects to clean up at shutdown",
    "OSError: [Errno 16] Device or resource busy: '.nfs000000000123'",
    "Warning: Origin mismatch between segmentation and corresponding images.",
    "perform_everything_on_device=True is only supported for cuda devices! Setting this to False",
    "Detected old nnU-Net plans format. Attempting to reconstruct network architecture parameters.",
    "BrokenPipeError: [Errno 32] Broken pipe",
    "nnUNet_preprocessed=/data/nnunet/pre",
]
"""Lines of healthy logs, and lines that users take for failures and that are none."""


def _causes(line: str) -> set[str]:
    return {check.id for check in CHECKS for pattern in check.log_cause if re.search(pattern, line)}


@pytest.mark.parametrize(("line", "id"), CAUSES.items(), ids=range(len(CAUSES)))
def test_a_line_leads_to_its_cause(line: str, id: str) -> None:
    """What is printed when a known problem strikes leads to that problem, and to no other."""
    assert _causes(line) == {id}


@pytest.mark.parametrize(("line", "id"), SYMPTOMS.items(), ids=range(len(SYMPTOMS)))
def test_a_symptom_is_no_cause(line: str, id: str) -> None:
    """A message that only follows is explained, and never told to be the cause."""
    explained_by = {check.id for check in CHECKS for pattern in check.log_consequence if re.search(pattern, line)}

    assert _causes(line) == set()
    assert id in explained_by


@pytest.mark.parametrize("line", HARMLESS)
def test_a_harmless_line_has_no_cause(line: str) -> None:
    """Nobody is sent after a line that means nothing."""
    assert _causes(line) == set()
