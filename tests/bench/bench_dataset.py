"""How long a check of a raw dataset takes against nnU-Net's own ``verify_dataset_integrity``, in turns in one session.

    python tests/bench/bench_dataset.py [--sets ct,mr] [--rounds N] [--short] [--no-peer] [--python PATH] [--data FOLDER]

The data sets are made by ``make_data.py`` beside this file and kept. For each of them one round that is not timed warms
the page cache and watches memory, which costs the watched; then come the timed rounds: the peer with 2 processes and
with its default of 8, ours at each depth without a cache, ours again with one, and the decoder by itself. All but the
decoder start as fresh interpreters, as a user would have it. All sets take about a quarter of an hour, mostly the peer's.

Exit code 1 when the doctor finds an error or a warning in these clean data sets: it would make its times worthless.
These machines are shared and noisy: quote the ratios of medians, not the seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

PEER = """\
import sys
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

if __name__ == "__main__":
    verify_dataset_integrity(sys.argv[1], int(sys.argv[2]))
"""

DEPTHS = {"quick": ["--quick"], "default": [], "deep": ["--deep"]}
PEERS = {"peer 2": 2, "peer 8": 8}
AGAIN = "again"
DECODER = "decoder"

TIMES_FASTER = {
    **{(name, "default"): (40, 80) for name in ("ct", "mr", "small")},
    ("png", "default"): (10, 15),
    **{(name, "deep"): (5, 8) for name in ("ct", "mr", "small")},
}
"""Budgets: set and depth, to how many times faster than the peer with 2 and with 8 processes."""

OF_DECODER = {"ct": 0.80, "mr": 0.80, "small": 0.80}
"""Budgets: how much of the decoder's throughput ``--deep`` reaches."""

MEMORY_MB = 150.0
TINY_SECONDS = 0.15
AGAIN_SECONDS = 0.3

CHECK_CODES = (0, 1, 3)
"""Nothing found, problems found, undecided."""

TOO_FEW = ("cases-few", 5)
"""What the doctor rightly says of a set of fewer cases than this."""

PIECE_BYTES = 1024**2
INPUT_BYTES = 128 * 1024

OURS_EVERY_SECONDS = 0.01
PEER_EVERY_SECONDS = 0.05
"""Between two looks at memory: ours is over within a tenth of a second, and a look at nine large processes is slow."""


@dataclass(frozen=True)
class Memory:
    """Peaks of a tree of processes, in bytes.

    Attributes:
        largest: Resident set of the largest single process, the interpreter that was started included.
        total: Resident sets of all processes at one moment, so that what they share counts several times.
        shared_once: Proportional set sizes of all processes at one moment; 0 where the system does not tell.
    """

    largest: int = 0
    total: int = 0
    shared_once: int = 0


@dataclass
class Measured:
    """What is known of one data set.

    Attributes:
        name: Of the set.
        files: Number of images and labels.
        disk_bytes: Their size.
        decoded_bytes: Their size when inflated.
        seconds: Wall time of each timed run, by command; of the decoder, from the moment when its processes are ready.
        memory: By command.
        decoder_starting: Seconds that the decoder takes with the start of its processes.
        alarms: Findings of the doctor, which there should not be.
    """

    name: str
    files: int
    disk_bytes: int
    decoded_bytes: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    decoder_starting: list[float] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def median(self, command: str) -> float | None:
        """Return the median wall time of a command in seconds; None when it was not run."""
        return statistics.median(self.seconds[command]) if command in self.seconds else None


# --- running commands ---------------------------------------------------------------------------------------------


def run(
    command: list[str], environ: dict[str, str], codes: tuple[int, ...], *, every: float | None = None
) -> tuple[float, str, Memory]:
    """Run a command.

    Args:
        command: What to start.
        environ: Its environment.
        codes: Exit codes that it may end with.
        every: Seconds between two looks at its memory, which slow it down; None for no look.

    Returns:
        Wall time in seconds, standard output, memory.

    Raises:
        SystemExit: It ended otherwise.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environ)
        memory = Memory() if every is None else watched(process, every)
        process.wait()
        seconds = time.perf_counter() - begun
        output.seek(0)
        errors.seek(0)
        text = output.read().decode("utf-8", "replace")
        if process.returncode not in codes:
            tail = errors.read().decode("utf-8", "replace")[-2000:]
            sys.exit(f"{' '.join(command)} ended with {process.returncode}\n{text[-1000:]}\n{tail}")
    return seconds, text, memory


def watched(process: subprocess.Popen[bytes], every: float) -> Memory:
    """Look at the memory of a process and its descendants every so many seconds, until it ends."""
    root = psutil.Process(process.pid)
    largest, total, shared_once = [0], [0], [0]
    while process.poll() is None:
        sizes = []
        with contextlib.suppress(psutil.Error):
            for each in (root, *root.children(recursive=True)):
                with contextlib.suppress(psutil.Error, OSError):
                    sizes.append(memory_of(each))
        largest.append(max((peak for _, peak, _ in sizes), default=0))
        total.append(sum(now for now, _, _ in sizes))
        shared_once.append(sum(share for _, _, share in sizes))
        time.sleep(every)
    return Memory(max(largest), max(total), max(shared_once))


def memory_of(process: psutil.Process) -> tuple[int, int, int]:
    """Return the resident set now, its peak so far, and the proportional set size of one process, in bytes.

    Linux remembers the peak, so that none is missed between two looks; elsewhere the peak is what is there now.
    """
    if sys.platform != "linux":
        now = process.memory_info().rss
        return now, now, 0
    folder = Path("/proc", str(process.pid))
    status = kilobytes(folder / "status")
    return status.get("VmRSS", 0), status.get("VmHWM", 0), kilobytes(folder / "smaps_rollup").get("Pss", 0)


def kilobytes(path: Path) -> dict[str, int]:
    """Return the lines of a file of /proc that name a size, in bytes."""
    rows = [line.replace(":", " ").split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return {row[0]: int(row[1]) * 1024 for row in rows if len(row) == 3 and row[2] == "kB"}


# --- the decoder by itself ----------------------------------------------------------------------------------------


def deflated(path: Path) -> tuple[int, Iterator[bytes]]:
    """Return the window bits of the compressed stream in a file, and the stream; 0 for one that is not compressed."""
    if path.name.endswith((".nii.gz", ".nii")):
        return (31 if path.name.endswith(".gz") else 0), from_offset(path, 0)
    if path.suffix == ".png":
        return 15, png_chunks(path)
    end, window = {".nrrd": (b"\n\n", 31), ".mha": (b"ElementDataFile = LOCAL\n", 15)}[path.suffix]
    with path.open("rb") as file:
        head = file.read(4096)
    return window, from_offset(path, head.index(end) + len(end))


def from_offset(path: Path, offset: int) -> Iterator[bytes]:
    """Return a file from an offset on, in pieces."""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        while piece := file.read(INPUT_BYTES):
            yield piece


def png_chunks(path: Path) -> Iterator[bytes]:
    """Return what the IDAT chunks of a PNG hold."""
    content = path.read_bytes()
    position = 8
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        if content[position + 4 : position + 8] == b"IDAT":
            yield content[position + 8 : position + 8 + length]
        position += length + 12


def inflate(path: Path, codec: Any) -> int:
    """Inflate a file and throw away what comes out.

    Returns:
        Number of bytes that came out.
    """
    window, pieces = deflated(path)
    if window == 0:
        return sum(map(len, pieces))
    decoder = codec.decompressobj(window)
    count = 0
    for piece in pieces:
        waiting = piece
        while waiting:
            count += len(decoder.decompress(waiting, PIECE_BYTES))
            waiting = decoder.unconsumed_tail
    while not decoder.eof:
        count += len(decoder.decompress(b"", PIECE_BYTES))
    return count


def inflate_all(files: list[Path], ready: Any, answers: Any) -> None:
    """Inflate images with ISA-L and labels with zlib-ng, once every other process is ready as well."""
    from isal import isal_zlib
    from zlib_ng import zlib_ng

    ready.wait()
    begun = time.perf_counter()
    count = sum(inflate(path, zlib_ng if path.parent.name == "labelsTr" else isal_zlib) for path in files)
    answers.put((time.perf_counter() - begun, count))


def decode(files: list[Path]) -> tuple[float, float, int]:
    """Inflate all files with one process a core.

    Args:
        files: Images and labels.

    Returns:
        Seconds from the moment when all processes are ready to the end of the last one, seconds with their start, and
        the number of bytes that came out.
    """
    context = multiprocessing.get_context("spawn")
    cores = usable_cores()
    by_size = sorted(files, key=lambda path: path.stat().st_size)
    ready, answers = context.Barrier(cores), context.Queue()
    begun = time.perf_counter()
    workers = [context.Process(target=inflate_all, args=(by_size[i::cores], ready, answers)) for i in range(cores)]
    for worker in workers:
        worker.start()
    results = [answers.get(timeout=120) for _ in workers]
    seconds = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    return max(result[0] for result in results), seconds, sum(result[1] for result in results)


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# --- one data set -------------------------------------------------------------------------------------------------


def alarms(text: str, depth: str, cases: int) -> list[str]:
    """Return the findings that a clean set should not have, and say on stderr how much was decided.

    Args:
        text: What ``check --format json`` printed.
        depth: At which depth.
        cases: Number of cases of the set.
    """
    report = json.loads(text)
    undecided = f", {len(report['unknown'])} undecided" if report["unknown"] else ""
    print(f"  {depth}: {len(report['passed'])} checks passed{undecided}", file=sys.stderr)
    return [
        f"{depth}: {finding['id']}: {finding['title']} ({', '.join(finding['subjects'][:3])})"
        for finding in report["findings"]
        if finding["severity"] != "info" and not (finding["id"] == TOO_FEW[0] and cases < TOO_FEW[1])
    ]


def measure(name: str, folder: Path, peers: dict[str, list[str]], rounds: int, *, watch_peers: bool) -> Measured:
    """Measure everything on one data set.

    Args:
        name: Of the set.
        folder: Where it lies.
        peers: Commands of the peer, the folder and the number of processes still to be added.
        rounds: Number of timed rounds.
        watch_peers: Whether the peer takes part in the round that is not timed.
    """
    labels = sorted((folder / "labelsTr").iterdir())
    files = sorted((folder / "imagesTr").iterdir()) + labels
    found = Measured(name, len(files), sum(path.stat().st_size for path in files))
    check = [sys.executable, "-m", "nnunet_doctor", "check", str(folder), "--select", "dataset", "--format", "json"]
    ours = {depth: [*check, "--no-cache", *options] for depth, options in DEPTHS.items()} | {AGAIN: check}
    theirs = {peer: [*command, str(folder), str(PEERS[peer])] for peer, command in peers.items()}
    with tempfile.TemporaryDirectory() as cache:
        environ = {**os.environ, "XDG_CACHE_HOME": cache, "LOCALAPPDATA": cache, "PYTHONPYCACHEPREFIX": cache}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what pip installs is compiled, the peer as well as we
        *_, found.decoded_bytes = decode(files)
        for command, arguments in ours.items():
            _, text, found.memory[command] = run(arguments, environ, CHECK_CODES, every=OURS_EVERY_SECONDS)
            found.alarms += alarms(text, command, len(labels))
        if watch_peers:
            for command, arguments in theirs.items():
                *_, found.memory[command] = peer_run(arguments, every=PEER_EVERY_SECONDS)
        for _ in range(rounds):
            for command, arguments in theirs.items():
                found.seconds.setdefault(command, []).append(peer_run(arguments)[0])
            for command, arguments in ours.items():
                found.seconds.setdefault(command, []).append(run(arguments, environ, CHECK_CODES)[0])
            inflating, starting, _ = decode(files)
            found.seconds.setdefault(DECODER, []).append(inflating)
            found.decoder_starting.append(starting)
    return found


def peer_run(command: list[str], *, every: float | None = None) -> tuple[float, str, Memory]:
    """Run the peer, which must have nothing to say.

    Raises:
        SystemExit: It refuses the data set, or warns of it.
    """
    answer = run(command, dict(os.environ), (0,), every=every)
    if "Done." not in answer[1] or "Warning:" in answer[1] or "Error:" in answer[1]:
        sys.exit(f"{' '.join(command)} is not content:\n{answer[1][-2000:]}")
    return answer


# --- what is printed ----------------------------------------------------------------------------------------------


def number(value: float | None, width: int, digits: int = 2) -> str:
    """Return a number right-aligned; a dash for None."""
    return f"{'-' if value is None else f'{value:.{digits}f}':>{width}}"


def times_table(results: list[Measured]) -> Iterator[str]:
    """Return what was measured: one line for each set."""
    columns = (*PEERS, *DEPTHS, AGAIN, DECODER)
    yield f"{'medians, s':10} {'files':>5} {'GB':>5} {'decoded':>7}" + "".join(f" {column:>8}" for column in columns)
    for found in results:
        sizes = f"{found.name:10} {found.files:5} {found.disk_bytes / 1e9:5.2f} {found.decoded_bytes / 1e9:7.2f}"
        yield sizes + "".join(f" {number(found.median(column), 8)}" for column in columns)


def memory_table(results: list[Measured]) -> Iterator[str]:
    """Return peaks of memory in MB: of the largest process and of all, and of all with shared pages counted once."""
    commands = [*DEPTHS, AGAIN]
    yield f"{'peak, MB':10}" + "".join(f" {peer:>8}" for peer in PEERS) + "".join(f" {c:>16}" for c in commands)
    for found in results:
        peers = [found.memory.get(peer) for peer in PEERS]
        line = "".join(f" {number(peer.shared_once / 1e6 if peer else None, 8, 0)}" for peer in peers)
        for command in commands:
            memory = found.memory[command]
            sizes = (memory.largest, memory.total, memory.shared_once)
            line += f" {' / '.join(f'{size / 1e6:.0f}' for size in sizes):>16}"
        yield f"{found.name:10}{line}"
    yield "peer: proportional set of the tree; ours: largest process / sum of resident sets / proportional set of the tree;"
    yield "again: while the cache is filled"


def budget_lines(found: Measured, *, short: bool) -> Iterator[tuple[str, str, str, bool | None]]:
    """Return what is held against a budget: what, measured, budget, and whether it is kept; None without a budget.

    Args:
        found: One data set.
        short: Whether it has few cases, so that ratios say little and have no budget.
    """
    for depth in (*DEPTHS, AGAIN):
        ours = found.median(depth) or 0.0
        ratios = [peer / ours if (peer := found.median(name)) else None for name in PEERS]
        if any(ratios):
            wanted = None if short else TIMES_FASTER.get((found.name, depth))
            kept = all(ratio is None or ratio >= least for ratio, least in zip(ratios, wanted or (), strict=False))
            text = " / ".join("-" if ratio is None else f"{ratio:.{0 if ratio >= 20 else 1}f}x" for ratio in ratios)
            budget = f"{wanted[0]}x / {wanted[1]}x" if wanted else ""
            yield f"{depth}, times faster than peer 2 / 8", text, budget, kept if wanted else None
    deep, decoder = found.median("deep") or 0.0, found.median(DECODER) or 0.0
    starting = statistics.median(found.decoder_starting)
    reached, least = decoder / deep, None if short else OF_DECODER.get(found.name)
    text = f"{found.decoded_bytes / decoder / 1e9:.2f} GB/s, {reached:.0%} ({starting / deep:.0%})"
    yield "decoder, and deep as part of it", text, f"{least:.0%}" if least else "", reached >= least if least else None
    largest = max(found.memory[command].largest for command in (*DEPTHS, AGAIN)) / 1e6
    yield "largest process of ours", f"{largest:.0f} MB", f"{MEMORY_MB:.0f} MB", largest <= MEMORY_MB
    again = found.median(AGAIN) or 0.0
    yield "again, with the cache", f"{again:.2f} s", f"{AGAIN_SECONDS} s", again <= AGAIN_SECONDS
    if found.name == "tiny":
        default = found.median("default") or 0.0
        yield "default, start included", f"{default:.2f} s", f"{TINY_SECONDS} s", default <= TINY_SECONDS


def budget_table(results: list[Measured], *, short: bool) -> Iterator[str]:
    """Return every number that has a budget, and those beside them."""
    yield f"{'set':6} {'what':36} {'measured':>24} {'budget':>10}"
    for found in results:
        for what, measured, budget, kept in budget_lines(found, short=short):
            verdict = "" if kept is None else "ok" if kept else "MISSED"
            yield f"{found.name:6} {what:36} {measured:>24} {budget:>10} {verdict}".rstrip()
    yield "in brackets: against the decoder with the start of its processes"


def peer_version(python: str) -> str:
    """Return the version of nnU-Net in an interpreter.

    Raises:
        SystemExit: It is not there.
    """
    code = "import importlib.metadata as m; print(m.version('nnunetv2'))"
    done = subprocess.run([python, "-c", code], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(f"{python} has no nnunetv2: name an interpreter with --python, or leave the peer out with --no-peer")
    return done.stdout.strip()


def main() -> int:
    """Measure and print the tables.

    Returns:
        1 when the doctor finds something in clean data.
    """
    from make_data import add_options, chosen, make

    parser = argparse.ArgumentParser(description="check of a raw dataset against nnU-Net's verify_dataset_integrity")
    add_options(parser)
    parser.add_argument("--rounds", type=int, help="timed rounds; default: 3, with --short 1")
    parser.add_argument("--python", default=sys.executable, help="interpreter with nnunetv2; default: this one")
    parser.add_argument("--no-peer", action="store_true", help="measure ours only")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.short else 3)
    version = "" if options.no_peer else f", nnU-Net {peer_version(options.python)}"
    folders = {name: make(options.data, name, short=options.short) for name in chosen(options)}
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch, "verify.py")
        script.write_text(PEER, encoding="utf-8")
        named = [] if options.no_peer else list(PEERS)[: 1 if options.short else None]
        peers = {peer: [options.python, str(script)] for peer in named}
        for name, folder in folders.items():
            print(f"{name} ...", file=sys.stderr)
            results.append(measure(name, folder, peers, rounds, watch_peers=not options.short))
    python = ".".join(map(str, sys.version_info[:3]))
    print(f"{usable_cores()} cores, Python {python}{version}, medians of {rounds} timed, warm page cache\n")
    for table in (times_table(results), memory_table(results), budget_table(results, short=options.short)):
        print(*table, "", sep="\n")
    wrong = [f"{found.name}, {alarm}" for found in results for alarm in found.alarms]
    for alarm in wrong:
        print(f"ALARM on clean data: {alarm}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
