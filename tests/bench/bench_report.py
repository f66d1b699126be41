"""What each form of a report costs on top of the check that it tells of, measured in turns in one session.

    python tests/bench/bench_report.py [--rounds N] [--short] [--data FOLDER]

The data set is the CT set of ``make_data.py`` (24 cases of 512 x 512 x 120) with a fault in every case: all labels lie
0.3 mm beside their images. The page therefore has plots, a row for each case and pictures, as many as there is time
for. The check itself is remembered from an earlier one, as for somebody who looks at its findings again.

Budget: each form, and all of them together, within one second of the check. Exit code 1 when one takes longer. These
machines are shared and noisy: quote what is added, which is measured beside the check itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from zlib_ng import zlib_ng

BUDGET_SECONDS = 1.0
FORMS = ("txt", "svg", "html", "json", "sarif", "xml", "md")
SHIFT_MM = 0.3
ORIGIN_AT = (268, 292)
"""qoffset_x and the last of srow_x in a NIfTI-1 header."""


def shifted(path: Path) -> bytes:
    """Return a label that lies beside its image."""
    content = bytearray(zlib_ng.decompress(path.read_bytes(), 31))
    for at in ORIGIN_AT:
        (millimetres,) = struct.unpack_from("<f", content, at)
        struct.pack_into("<f", content, at, millimetres + SHIFT_MM)
    packing = zlib_ng.compressobj(6, 8, 31)
    return bytes(packing.compress(bytes(content)) + packing.flush())


def spoilt(sound: Path, folder: Path) -> Path:
    """Return a data set of the same images, whose labels have a fault each."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    shutil.copy(sound / "dataset.json", folder)
    for image in sorted((sound / "imagesTr").iterdir()):
        try:
            os.link(image, folder / "imagesTr" / image.name)
        except OSError:  # another disk
            shutil.copy(image, folder / "imagesTr")
    for label in sorted((sound / "labelsTr").iterdir()):
        (folder / "labelsTr" / label.name).write_bytes(shifted(label))
    return folder


def seconds(command: list[str], environ: dict[str, str]) -> float:
    """Run a check and return its wall time; it finds something (0, with warnings, or 1)."""
    begun = time.perf_counter()
    done = subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    if "origin-mismatch" not in done.stdout:
        sys.exit(f"{' '.join(command)} has not found the fault")
    return time.perf_counter() - begun


def main() -> int:
    """Measure and print a table.

    Returns:
        1 when a form takes longer than the budget.
    """
    from make_data import DEFAULT_FOLDER, make

    parser = argparse.ArgumentParser(description="forms of a report against the check itself")
    parser.add_argument("--data", type=Path, default=DEFAULT_FOLDER, help="where data sets are kept")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--short", action="store_true", help="three cases")
    options = parser.parse_args()
    sound = make(options.data, "ct", short=options.short)
    with tempfile.TemporaryDirectory(dir=options.data) as scratch:
        folder = spoilt(sound, Path(scratch, "Dataset901_Ct"))
        environ = {**os.environ, "XDG_CACHE_HOME": scratch, "LOCALAPPDATA": scratch, "NNUNET_DOCTOR_LANG": "en"}
        check = [sys.executable, "-m", "nnunet_doctor", "check", str(folder), "--select", "dataset"]
        files = {form: f"{scratch}/report.{form}" for form in FORMS}
        commands = {"check": check} | {form: [*check, f"--report={file}"] for form, file in files.items()}
        commands["all"] = [*check, *(f"--report={file}" for file in files.values())]
        times: dict[str, list[float]] = {name: [] for name in commands}
        for command in commands.values():
            seconds(command, environ)  # fills the cache, and warms that of the disk for all alike
        drawn = []
        for _ in range(options.rounds):
            for name, command in commands.items():
                times[name].append(seconds(command, environ))
            drawn.append(Path(files["html"]).read_text(encoding="ascii").count("data:image/png"))
    plain = statistics.median(times["check"])
    print(f"{'form':8} {'median s':>9} {'min s':>7} {'added s':>8}")
    late = []
    for name, measured in times.items():
        added = statistics.median(measured) - plain
        late += [name] if added > BUDGET_SECONDS else []
        print(f"{name:8} {statistics.median(measured):9.2f} {min(measured):7.2f} {added:8.2f}")
    print(f"pictures in the page: {', '.join(map(str, drawn))}; budget {BUDGET_SECONDS:g} s", *late)
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
