"""Probes of installed packs. They run code that is not ours, so each has a process of its own, and a deadline."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_doctor import processes
from nnunet_doctor.errors import UserError, nearest
from nnunet_doctor.facts import FactInfo, Observed, Unknown
from nnunet_doctor.packs import Pack, installed
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.request import Request

MOST_BYTES = 4 * 1024**2
"""An answer over this size is not read."""

MOST_LETTERS = 500
"""What a probe says of its failure is cut there."""


class PackProbeError(Exception):
    """A probe of a pack that gave no answer; the message says why, in one sentence."""


def named(names: Sequence[str]) -> list[Pack]:
    """Return the packs whose probes are named.

    Raises:
        UserError: No installed pack has this name, or it has no probe.
    """
    packs = {pack.name: pack for pack in installed()}
    for name in names:
        if name not in packs:
            if not packs:
                raise UserError(f"--probes {name}: no pack is installed")
            known, near = ", ".join(packs), nearest(name, packs)
            raise UserError(f"--probes {name}: there is no such pack{near}; there are {known}")
        if packs[name].problem is None and packs[name].probe is None:
            raise UserError(f"--probes {name}: this pack has no probe")
    return [packs[name] for name in dict.fromkeys(names) if packs[name].probe is not None]


def look(context: Context, *, pack: Pack) -> Notes:
    """Note the facts of a pack; when its probe fails, in whatever way, they are unknown with that as the reason."""
    notes = Notes()
    try:
        found = _answer(pack, context)
    except (PackProbeError, OSError) as error:
        reason = f"the probe of the pack {pack.name} failed: {_short(str(error))}"
        found = {name: {"unknown": reason} for name in pack.facts}
    for name, info in pack.facts.items():
        notes.values[name] = _value(info, found, pack.name)
        notes.sources[name] = f"pack {pack.name}"
    return notes


def _value(info: FactInfo, found: dict[str, Any], pack: str) -> Observed:
    from nnunet_doctor.facts.exchange import FactError, from_plain

    if info.name not in found:
        return Unknown(f"the probe of the pack {pack} says nothing of it")
    try:
        return from_plain(info.name, found[info.name])
    except FactError as error:
        return Unknown(f"the probe of the pack {pack} failed: {error}")


def _short(text: str) -> str:
    """Return a text in one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_LETTERS else line[:MOST_LETTERS] + "..."


def _folder_of(context: Context) -> str | None:
    """Return the folder of the raw dataset that is asked for, however the user names it; None without one."""
    from nnunet_doctor.probes import dataset

    request = Request(dataset=context.request.dataset)
    try:
        found = dataset.look(dataclasses.replace(context, request=request, deep=False)).values["dataset.folder"]
    except (dataset.NoSuchDatasetError, OSError):  # told by the probe that looks for it
        return None
    return found if isinstance(found, str) else None


def _answer(pack: Pack, context: Context) -> dict[str, Any]:
    """Run the probe in a child process and return what it says.

    Raises:
        PackProbeError: It raises, hangs, exits, crashes, or says what is no answer.
        OSError: The child cannot be started.
    """
    request = context.request
    asked = {
        "dataset": request.dataset,
        "folder": _folder_of(context),
        "configuration": request.configuration,
        "fold": request.fold,
        "device": request.device,
        "python": str(context.python),
        "quick": context.quick,
        "deep": context.deep,
    }
    with processes.scratch() as folder:
        order, answer = folder / "order.json", folder / "answer.json"
        order.write_text(json.dumps({"path": sys.path, "probe": pack.probe, "request": asked}), encoding="utf-8")
        child = Path(__file__).with_name("pack_child.py")
        command = [sys.executable, "-I", "-X", "utf8", str(child), str(order), str(answer)]
        ended = processes.run(command, context.timeout, context.environ)
        if ended.code is None:
            raise PackProbeError(f"no end after {context.timeout:g} s")
        if not answer.is_file():
            last = ended.output.strip().splitlines()[-1:]
            raise PackProbeError(", ".join([ended.death or f"it ended with exit code {ended.code}", *last]))
        if answer.stat().st_size > MOST_BYTES:
            raise PackProbeError(f"its answer has more than {MOST_BYTES // 1024**2} MB")
        try:
            said = json.loads(answer.read_text(encoding="utf-8"))
            found: dict[str, Any] = said["facts"] if "error" not in said else {}
        except (ValueError, TypeError, KeyError, RecursionError):  # the probe has written there itself
            raise PackProbeError("its answer cannot be read") from None
    if "error" in said:
        raise PackProbeError(said["error"])
    strange = next((name for name in found if name not in pack.facts), None)
    if strange is not None:
        raise PackProbeError(f"it gives {strange!r}, which the pack does not declare{nearest(strange, pack.facts)}")
    return found
