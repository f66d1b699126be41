"""What nnU-Net's own verification says of every planted dataset, beside what the doctor says, as a Markdown table.

    python tests/bench/compare_with_nnunet.py [--most N] [--only WORD] [--clean] [--seconds S]

Needs nnU-Net in the interpreter that runs it. nnU-Net's code is called as it is (verify_dataset_integrity of
nnunetv2/experiment_planning), except that its pools of processes are started once and used for all datasets: torch
would be imported anew in each of them. A dataset that gets no answer in time, as when a worker dies, is reported so.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

TESTS = Path(__file__).resolve().parents[1]
CHECKS = TESTS.parent / "checks" / "dataset"
START_SECONDS = 300.0
"""What the child may take to import torch, twice, on a busy machine."""

# --- the child: nnU-Net --------------------------------------------------------------------------------------------


class _Borrowed:
    """A pool that is not ended when nnU-Net is done with it."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def __enter__(self) -> Any:
        return self._pool

    def __exit__(self, *_: object) -> None:
        pass


def verify_all() -> None:
    """Verify the dataset of each line of standard input, and answer each with one line of JSON.

    Everything that nnU-Net and its workers print goes into a file, whose content is part of the answer.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with tempfile.TemporaryFile("w+b", buffering=0) as said:
        for stream in (1, 2):
            os.dup2(said.fileno(), stream)  # before the workers start, which inherit it
        from nnunetv2.experiment_planning import verify_dataset_integrity as verification
        from nnunetv2.utilities import utils

        pool = multiprocessing.get_context("spawn").Pool(2)
        pool.map(_warm, range(4))
        context = SimpleNamespace(Pool=lambda _: _Borrowed(pool))
        verification.multiprocessing = SimpleNamespace(get_context=lambda _: context)
        utils.Pool = lambda **_: _Borrowed(pool)
        print(json.dumps("ready"), file=answers, flush=True)
        for line in sys.stdin:
            said.truncate(0)
            said.seek(0)
            error = ""
            try:
                verification.verify_dataset_integrity(json.loads(line), 2)
            except BaseException as raised:  # noqa: BLE001 - whatever it is, it is the answer
                error = f"{type(raised).__name__}: {raised}"
            sys.stdout.flush()
            sys.stderr.flush()
            said.seek(0)
            text = said.read().replace(b"\0", b"").decode("utf-8", "replace")
            print(json.dumps({"error": error, "said": text}), file=answers, flush=True)


def _warm(_: int) -> None:
    import nnunetv2.experiment_planning.verify_dataset_integrity  # noqa: F401 - as the first task would


class NnunetVerifier:
    """nnU-Net's verification in a child process, started again when it dies or does not answer."""

    def __init__(self, seconds: float) -> None:
        """Keep the deadline of one dataset."""
        self._seconds = seconds
        self._child: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    def verify(self, folder: Path) -> dict[str, str]:
        """Return what nnU-Net raises ("error") and prints ("said")."""
        if self._child is None:
            self._start()
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(str(folder)) + "\n")
        self._child.stdin.flush()
        answer = self._answer(self._seconds)
        if answer is None:
            died = self._child.poll()
            self.close()
            return {"error": f"no answer in {self._seconds:g} s" if died is None else f"dies with {died}", "said": ""}
        return answer

    def close(self) -> None:
        """End the child and its workers."""
        if self._child is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [*psutil.Process(self._child.pid).children(recursive=True), psutil.Process(self._child.pid)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._child.wait()
        self._child = None

    def _start(self) -> None:
        self._lines = queue.Queue()
        self._child = subprocess.Popen(
            [sys.executable, "-u", __file__, "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        threading.Thread(target=self._listen, args=(self._child, self._lines), daemon=True).start()
        if self._answer(START_SECONDS) != "ready":
            self.close()
            sys.exit("nnU-Net cannot be imported by this interpreter, or does not start")

    @staticmethod
    def _listen(child: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            lines.put(line)
        lines.put(None)

    def _answer(self, seconds: float) -> Any:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        return None if line is None else json.loads(line)


# --- what was said -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What one of the two says of a fault.

    Attributes:
        kind: found, warned (printed, but passed), silent, crashed (an error that is none of its own messages).
        words: In short.
        names_it: Whether it names the file or the case.
    """

    kind: str
    words: str
    names_it: bool


OWN_ERRORS = ("AssertionError", "RuntimeError", "FileNotFoundError")
"""Types that nnU-Net raises itself when it has found something."""


_TELLS = re.compile(r"error|warning|.*Warning: |(images|segmentation) contain", re.IGNORECASE)
"""How lines begin with which nnU-Net and the libraries below it tell of a fault."""


def nnunet_verdict(answer: dict[str, str], folder: Path, mentions: Sequence[str]) -> Verdict:
    """Judge an answer of nnU-Net; ``mentions`` are names of which one must be told."""
    error, said = (answer[key].replace(f"{folder}{os.sep}", "") for key in ("error", "said"))
    names_it = any(word in error + said for word in mentions)
    printed = [line.strip() for line in said.splitlines() if _TELLS.match(line)]
    if error:
        kind, _, words = error.partition(": ")
        core = re.sub(r"^\w+ ?\(0x\w+\): ", "", re.split(r"ITK ERROR: |sitk::ERROR: ", words)[-1])
        if printed and (not words or "text output above" in words):
            core = printed[0]
        own = kind in OWN_ERRORS and core in (words, printed[0] if printed else "")
        return Verdict("found" if own else "crashed", _short(f"{kind}: {core}"), names_it)
    if printed:
        return Verdict("warned", _short(f"passes; prints: {printed[0]}"), names_it)
    return Verdict("silent", "silent", False)


def doctor_verdict(folder: Path, ids: Sequence[str], depth: str, subjects: Sequence[str]) -> Verdict:
    """Run the doctor and say whether it finds one of the ids and names every subject."""
    from nnunet_doctor.cli import main as doctor

    options = [] if depth == "default" else [f"--{depth}"]
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            doctor(["check", str(folder), "--select", "dataset", "--format", "json", *options])
        report = json.loads(output.getvalue())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a crash is a verdict
        return Verdict("crashed", _short(f"{type(error).__name__}: {error}"), False)
    findings = [finding for finding in report["findings"] if finding["id"] in ids]
    if not findings:
        others = ", ".join(finding["id"] for finding in report["findings"]) or "silent"
        return Verdict("silent", others, False)
    # what lies outside of the dataset is named absolutely
    named = {os.path.relpath(folder / subject, folder) for finding in findings for subject in finding["subjects"]}
    named = {subject.replace(os.sep, "/") for subject in named}
    names_it = all(named & set(alternatives.split("|")) for alternatives in subjects)
    return Verdict("found", f"{findings[0]['id']} ({depth})", names_it)


def _short(text: str, most: int = 90) -> str:
    text = " ".join(text.split()).replace("|", "/").replace("<", "&lt;")
    return text if len(text) <= most else text[: most - 3] + "..."


# --- the table -----------------------------------------------------------------------------------------------------


def rows_of_clean(verifier: NnunetVerifier, root: Path, names: Sequence[str]) -> Iterator[tuple[str, Verdict, str]]:
    """Yield what both say of each clean dataset."""
    import planted

    for number, name in enumerate(names):
        folder = planted.build(name, root / f"clean{number}")
        verdict = nnunet_verdict(verifier.verify(folder), folder, [])
        doctor = doctor_verdict(folder, [], "deep", [])
        yield name, verdict, doctor.words


def rows_of_faults(
    verifier: NnunetVerifier, root: Path, faults: Sequence[Any]
) -> Iterator[tuple[Any, Verdict, Verdict]]:
    """Plant each fault into a copy of its own, and yield what both say."""
    import planted

    for number, fault in enumerate(faults):
        place = root / f"fault{number}"
        place.mkdir()
        if planted.lacking(fault.needs, place):
            continue
        folder = planted.build(fault.base, place)
        fault.plant(folder)
        mentions = sorted({Path(name).name for name in fault.nameable} | ({fault.case} if not fault.alone else set()))
        verdict = nnunet_verdict(verifier.verify(folder), folder, mentions)
        doctor = doctor_verdict(folder, fault.ids, fault.depth, fault.subjects)
        yield fault, verdict, doctor
        shutil.rmtree(place)


def _nnunet_version() -> str:
    try:
        return version("nnunetv2")
    except PackageNotFoundError:
        sys.exit("nnU-Net is not installed in this interpreter")


def severity_of(ids: Sequence[str]) -> str:
    """Return how bad a fault is by the check that finds it."""
    text = (CHECKS / f"{ids[0]}.toml").read_text(encoding="utf-8")
    return re.search(r'^severity = "(\w+)"', text, re.MULTILINE)[1]


def print_clean(verifier: NnunetVerifier, root: Path, names: Sequence[str], title: str) -> None:
    """Print the table of clean datasets."""
    print(f"| clean dataset | {title} says | nnunet-doctor finds |\n| --- | --- | --- |")
    for name, verdict, found in rows_of_clean(verifier, root, names):
        print(f"| {name} | {verdict.words} | {found} |", flush=True)


def print_faults(verifier: NnunetVerifier, root: Path, faults: Sequence[Any], title: str) -> None:
    """Print the table of faults, and how many each of the two finds and names."""
    print(f"| fault | in | severity | {title} says | names it | nnunet-doctor says | names it |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    verdicts: list[tuple[str, Verdict, Verdict]] = []
    for fault, theirs, ours in rows_of_faults(verifier, root, faults):
        severity = severity_of(fault.ids)
        verdicts.append((severity, theirs, ours))
        cells = [_short(fault.name), fault.base, severity]
        for verdict in (theirs, ours):
            cells += [verdict.words, "yes" if verdict.names_it else "no"]
        print(f"| {' | '.join(cells)} |", flush=True)
    print("\n| severity | faults | who | finds it | prints, but passes | crashes | silent | names file or case |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for severity in ("error", "warning", "info"):
        for column, name in enumerate((title, "nnunet-doctor"), 1):
            mine: list[Verdict] = [row[column] for row in verdicts if row[0] == severity]
            kinds = Counter(verdict.kind for verdict in mine)
            named = sum(verdict.names_it for verdict in mine if verdict.kind != "silent")
            counts = [kinds[kind] for kind in ("found", "warned", "crashed", "silent")]
            print(f"| {' | '.join(map(str, [severity, len(mine), name, *counts, named]))} |")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="nnU-Net's verification and the doctor on planted faults")
    parser.add_argument("--most", type=int, default=10_000, help="faults to try")
    parser.add_argument("--only", default="", help="only faults with this word in name, base or id")
    parser.add_argument("--clean", action="store_true", help="try the clean datasets instead")
    parser.add_argument("--seconds", type=float, default=20.0, help="what nnU-Net may take for one dataset")
    options = parser.parse_args()
    import planted

    title = f"nnU-Net {_nnunet_version()}"
    verifier = NnunetVerifier(options.seconds)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(verifier):
        for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            os.environ[name] = str(Path(folder, "cache"))
        if options.clean:
            names = [name for name in planted.CLEAN if options.only in name]
            print_clean(verifier, Path(folder), names[: options.most], title)
        else:
            faults = [fault for fault in planted.FAULTS if options.only in f"{fault.name} {fault.base} {fault.id}"]
            print_faults(verifier, Path(folder), faults[: options.most], title)


if __name__ == "__main__":
    if sys.argv[1:] == ["--child"]:
        verify_all()
    else:
        sys.path.insert(0, str(TESTS))
        main()
