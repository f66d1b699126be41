"""Runs inside the interpreter under examination and does there, on a small scale, what a training does.

Standard library only, torch aside, and written for Python 3.9 and newer. It is started as a file:

    PYTHON trial_child.py REPORT PLAN

PLAN is JSON: the stages with their deadlines in seconds, and what they need to know. Each stage appends one JSON line to
the file REPORT when it begins and one when it ends, so that what was learnt before a crash or a kill is kept. A stage that
takes too long ends the process; where it hung is left in REPORT.place.
"""

import sys

# The folder of this file is on the path because it was started as a file. Its modules must not be importable here.
# A spawned worker runs this file anew, with the path that was handed to it.
if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    sys.path[:] = sys.path[1:]

import faulthandler  # noqa: E402
import json  # noqa: E402
import mmap  # noqa: E402
import os  # noqa: E402
import queue as queues  # noqa: E402
import signal  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402

MIB = 1024**2
FILE_MIB = 8
ONES = 2**20
NEEDS = {"device": "torch", "worker": "torch", "convolution": "device", "compile": "device"}


def import_torch(plan):
    """Import torch, and give it the threads that nnUNetv2_train gives it (run_training_entry)."""
    import torch

    torch.set_num_threads(1 if plan["device"] == "cuda" else os.cpu_count() or 1)
    return {}


def try_folder(folder, mapped):
    """Write a file and read it back; a kill leaves nothing, because the file has no name or goes with its handle.

    Preprocessed data is mapped into memory by nnU-Net (nnunetv2/training/dataloading/nnunet_dataset.py).
    """
    block = os.urandom(MIB)
    with tempfile.TemporaryFile(dir=folder, prefix="nnunet-doctor-") as file:
        start = time.perf_counter()
        for _ in range(FILE_MIB):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())  # quotas and full disks of a network speak up only now
        seconds = time.perf_counter() - start
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        file.seek(0)
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped else file
        same = all(view.read(MIB) == block for _ in range(FILE_MIB))
        if mapped:
            view.close()
    if not same:
        raise OSError("what is read is not what was written")
    return {"mib_s": round(FILE_MIB / max(seconds, 1e-6), 1)}


def try_device(plan):
    """Take memory on the device and compute something simple there."""
    import torch

    found = float(torch.ones(ONES, device=torch.device(plan["device"])).sum())
    if found != ONES:
        raise RuntimeError("the sum of %d ones on %s is %s" % (ONES, plan["device"], found))
    return {}


def try_worker(plan):
    """Take a batch from a worker process through shared memory, as batchgenerators' NonDetMultiThreadedAugmenter does."""
    import torch
    import torch.multiprocessing as multiprocessing

    note_sockets(plan)
    start, seconds = time.perf_counter(), dict(plan["stages"])["worker"]
    queue, is_over = multiprocessing.Queue(2), multiprocessing.Event()
    worker = multiprocessing.Process(target=make_batch, args=(queue, is_over, plan["batch"]), daemon=True)
    worker.start()
    try:
        batch = take_batch(queue, worker, 0.6 * seconds)
        if plan["device"] == "cuda" and torch.cuda.is_available():
            batch = batch.pin_memory()
        if not bool((batch == 1).all()):
            raise RuntimeError("the batch that came is not the one that was sent")
        taken = time.perf_counter() - start
    finally:
        is_over.set()
        worker.join(0.1 * seconds)
        if worker.is_alive():
            worker.kill()
            worker.join(0.1 * seconds)
        queue.close()
    return {"seconds": round(taken, 3)}


def note_sockets(plan):
    """Name the folder that multiprocessing makes for its sockets: only an orderly end, which this is not, removes it."""
    from multiprocessing import util

    with open(os.path.join(plan["temporary"], "sockets"), "w", encoding="utf-8") as file:
        file.write(util.get_temp_dir())


def make_batch(queue, is_over, shape):
    """Be the worker: hand over one batch, and stay until it has been taken, because its memory goes with this process."""
    try:
        import torch

        torch.set_num_threads(1)
        # the queue does this in a thread of its own, whose errors are only printed
        batch = torch.ones(shape).share_memory_()
    except BaseException as error:
        batch = words(error)
    queue.put(batch)
    is_over.wait(60)


def take_batch(queue, worker, seconds):
    """Return what the worker hands over, or say why nothing comes."""
    until = time.monotonic() + seconds
    while True:
        try:
            batch = queue.get(timeout=0.1)
        except queues.Empty:
            if not worker.is_alive():
                raise RuntimeError("the worker process ended with %s" % ending(worker.exitcode))
            if time.monotonic() > until:
                raise RuntimeError("no batch came from the worker process within %g s" % seconds)
            continue
        if isinstance(batch, str):
            raise RuntimeError("in the worker process: %s" % batch)
        return batch


def ending(code):
    """Say how a process ended, from its exit code."""
    if code is not None and code < 0:
        try:
            return "signal " + signal.Signals(-code).name
        except ValueError:
            return "signal %d" % -code
    return "exit code %s" % code


def layer(plan, name, *arguments, **options):
    """Make a layer in 2D or 3D."""
    from torch import nn

    return getattr(nn, "%s%dd" % (name, plan["dimensions"]))(*arguments, **options)


def network_for(plan):
    """Make a network of the layers that nnU-Net's have."""
    from torch import nn

    layers = [
        layer(plan, "Conv", 1, 32, 3, padding=1),
        layer(plan, "InstanceNorm", 32, affine=True),
        nn.LeakyReLU(inplace=True),
        layer(plan, "Conv", 32, 32, 3, stride=2, padding=1),
        layer(plan, "ConvTranspose", 32, 32, 2, stride=2),
        layer(plan, "Conv", 32, 2, 1),
    ]
    return nn.Sequential(*layers).to(plan["device"])


def step(network, plan):
    """Pass a batch forward and back as nnUNetTrainer.train_step does: under autocast on CUDA, without it elsewhere."""
    import contextlib

    import torch

    shape = [2] + [32] * plan["dimensions"]
    data = torch.randn(shape[:1] + [1] + shape[1:]).to(plan["device"])
    target = torch.randint(0, 2, shape).to(plan["device"])
    with torch.autocast("cuda") if plan["device"] == "cuda" else contextlib.nullcontext():
        loss = torch.nn.functional.cross_entropy(network(data), target)
    loss.backward()
    value = float(loss)
    if value != value or value in (float("inf"), float("-inf")):
        raise RuntimeError("the loss is %s" % value)
    for parameter in network.parameters():
        if not bool(torch.isfinite(parameter.grad).all()):
            raise RuntimeError("a gradient is not a finite number")


def try_convolution(plan):
    """Make two steps, the second of them timed."""
    import torch

    torch.backends.cudnn.benchmark = plan["device"] == "cuda"
    network = network_for(plan)
    step(network, plan)
    start = time.perf_counter()
    step(network, plan)
    return {"seconds": round(time.perf_counter() - start, 4)}


def try_compile(plan):
    """Make a step with a compiled network, of two layers only: each kernel takes a compiler seconds on the CPU.

    What compilers leave behind when they are killed goes to a folder that the doctor removes.
    """
    import torch

    os.environ.update(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), plan["temporary"]))
    tempfile.tempdir = None
    start = time.perf_counter()
    network = torch.nn.Sequential(layer(plan, "Conv", 1, 2, 3, padding=1), torch.nn.LeakyReLU()).to(plan["device"])
    step(torch.compile(network), plan)
    return {"seconds": round(time.perf_counter() - start, 2)}


def stage_of(name, plan):
    """Return what a stage does."""
    if name in plan["folders"]:
        return lambda: try_folder(plan["folders"][name], name == "preprocessed")
    stages = {
        "torch": import_torch,
        "device": try_device,
        "worker": try_worker,
        "convolution": try_convolution,
        "compile": try_compile,
    }
    return lambda: stages[name](plan)


def words(error):
    """Return one line that says what went wrong: the first of the innermost error, with the compiler's own if it has one."""
    while getattr(error, "inner_exception", None) is not None:
        error = error.inner_exception
    lines = [line.strip() for line in ("%s: %s" % (type(error).__name__, error)).splitlines() if line.strip()]
    complaint = next((line for line in lines[1:] if "error: " in line), None)
    text = lines[0] if complaint is None else "%s: %s" % (lines[0], complaint)
    return "".join(character for character in text if character.isprintable())[:500]


def main(report, plan):
    """Run the stages in order; one that stands on another that failed is left out."""
    leave_no_core()
    failed = set()
    with open(report + ".place", "w", encoding="utf-8") as place:
        for name, seconds in plan["stages"]:
            if stands_on(name) & failed:
                continue
            write(report, {"begins": name})
            # a thread below Python, which no lock of the interpreter holds up
            faulthandler.dump_traceback_later(seconds, exit=True, file=place)
            try:
                write(report, {"ends": name, "saw": stage_of(name, plan)()})
            except BaseException as error:
                failed.add(name)
                write(report, {"ends": name, "error": words(error)})
            finally:
                faulthandler.cancel_dump_traceback_later()


def stands_on(name):
    """Return the stages without which one makes no sense."""
    need = NEEDS.get(name)
    return {need} | stands_on(need) if need else set()


def leave_no_core():
    """See that a crash leaves no core file behind."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    except (ImportError, ValueError, OSError):
        pass


def write(report, line):
    """Append one line and see that it reaches the file."""
    with open(report, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
    # Threads or exit handlers of what was imported must not keep this process.
    os._exit(0)
