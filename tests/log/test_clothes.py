"""A diagnosis does not hang on what a log was wrapped in: every wrapping of a log of the corpus gives the same cause."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st
from shared import KNOWN, tries

from nnunet_doctor.log.diagnose import diagnose
from nnunet_doctor.log.reading import Reader
from nnunet_doctor.log.source import pieces

FOLDER = Path(__file__).with_name("corpus")
NAMES = [
    label["file"]
    for label in tomli.loads((FOLDER / "labels.toml").read_text(encoding="utf-8"))["log"]
    if "file" in label
]

ALL_LINES = [line for name in NAMES[::5] for line in (FOLDER / name).read_bytes().split(b"\n")]

Dress = Callable[[Sequence[str]], bytes]


def each(form: str) -> Dress:
    """Return what puts something around every line."""
    return lambda lines: "\n".join(form.replace("LINE", line) for line in lines).encode()


DRESSES: dict[str, Dress] = {
    "Kubernetes": each("2026-11-22T06:31:52.123456789Z stderr F LINE"),
    "docker compose": each("trainer-1  | LINE"),
    "Docker's json-file": lambda lines: "\n".join(
        json.dumps({"log": f"{line}\n", "stream": "stderr", "time": "2026"}, separators=(",", ":")) for line in lines
    ).encode(),
    "torchrun": each("[rank0]: LINE"),
    "srun --label": each("0: LINE"),
    "a logger": each("2026-11-22 06:31:52,123 - ERROR - LINE"),
    "a quotation": each("> LINE"),
    "colours": each("\x1b[31mLINE\x1b[0m"),
    "loguru": each("2026-11-22 06:31:52.123 | ERROR    | __main__:run:42 - LINE"),
    "an editor": lambda lines: "\n".join(f"{at:4}  {line}" for at, line in enumerate(lines, 7)).encode(),
    "a viewer": lambda lines: "\n".join(f"{at} | {line}" for at, line in enumerate(lines, 7)).encode(),
    "grep -n": lambda lines: "\n".join(f"{at}:{line}" for at, line in enumerate(lines, 7)).encode(),
    "Kaggle": lambda lines: "\n".join(f"{at / 8:.1f}s\t{at}\t{line}" for at, line in enumerate(lines, 7)).encode(),
    "lost indentation": lambda lines: "\n".join(line.lstrip() for line in lines).encode(),
    "double spacing": each("LINE\n"),
    "Windows": lambda lines: "\r\n".join(lines).encode(),
    "PowerShell": lambda lines: b"\xff\xfe" + "\r\n".join(lines).encode("utf-16-le"),
}


def verdict(data: bytes) -> str:
    """Return the id of the cause, or how the run ended."""
    reader = Reader(KNOWN)
    reader.begin("log")
    stream = io.BytesIO(data)
    for piece in pieces(lambda: stream.read(1 << 20)):
        reader.take(piece)
    found = diagnose(reader.reading())
    return found.cause.check.id if found.cause else found.outcome


@pytest.mark.parametrize("name", NAMES[::9])
def test_clothes_do_not_matter(name: str) -> None:
    """What containers, launchers, terminals and mail programs do to a log changes nothing."""
    with (FOLDER / name).open("rb") as file:
        lines = [line.decode() for piece in pieces(lambda: file.read(1 << 20)) for line in piece.lines]
    bare = verdict("\n".join(lines).encode())

    assert {dress: verdict(wear(lines)) for dress, wear in DRESSES.items()} == dict.fromkeys(DRESSES, bare)


@given(st.randoms(use_true_random=False))
@settings(max_examples=tries(40), deadline=None)
def test_no_log_is_too_strange(rng: random.Random) -> None:
    """Lines of all logs in any order, cut anywhere, and bytes of no encoding: there is always an answer."""
    lines = rng.choices(ALL_LINES, k=rng.randrange(200))
    damaged = [line[rng.randrange(len(line) + 1) :] if rng.random() < 0.2 else line for line in lines]
    noise = bytes(rng.randrange(256) for _ in range(rng.randrange(60)))
    data = noise + rng.choice([b"\n", b"\r\n", b"\r", b"\n\n"]).join(damaged) + noise

    assert isinstance(verdict(data), str)
