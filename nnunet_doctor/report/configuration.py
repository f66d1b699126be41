"""The configuration as it counts: each option with its value and where that comes from, severities, waivers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import IO, Any

from nnunet_doctor.config import FILE, PROJECT, Config, not_read
from nnunet_doctor.options import Row
from nnunet_doctor.report.text import INDENT, console_for, print_block
from nnunet_doctor.words import JOINTS, bracketed, say


def to_json(config: Config, rows: Sequence[Row], environ: Mapping[str, str], *, ascii_only: bool) -> str:
    """Return the configuration as JSON text; a ``source`` of null is the default."""
    plain = {
        "schema_version": 1,
        "file": None if config.file is None else str(config.file),
        "options": [{"name": row.name, "value": _plain(row.value), "source": row.place or None} for row in rows],
        "severities": [
            {"id": id, "severity": entry.value, "source": entry.place} for id, entry in config.severities.items()
        ],
        "waivers": [waiver._asdict() for waiver in config.waivers],
        "not_read": [name for name, _ in not_read(environ)],
    }
    return json.dumps(plain, indent=2, ensure_ascii=ascii_only)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, PurePath) else value


def print_configuration(
    config: Config, rows: Sequence[Row], environ: Mapping[str, str], language: str, out: IO[str]
) -> None:
    """Print the configuration as a table."""
    from rich.table import Table
    from rich.text import Text

    console = console_for(out, None if out.isatty() else 80)
    where = say(language, "config_file", path=config.file) if config.file else None
    print_block(console, where or say(language, "config_no_file", file=FILE, project=PROJECT), indent=0, style="bold")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for key in ("config_option", "config_value", "config_from"):
        table.add_column(say(language, key), overflow="fold")
    for row in rows:
        place = row.place or say(language, "config_default")
        table.add_row(*(Text(word, style="" if row.place else "dim") for word in (row.name, _shown(row.value), place)))
    console.print(table)
    if config.severities:
        print_block(console, say(language, "config_severities"), indent=0, style="bold")
    for id, entry in config.severities.items():
        print_block(console, f"{id} = {entry.value}{bracketed(entry.place, language)}")
    if config.waivers:
        print_block(console, say(language, "config_waivers"), indent=0, style="bold")
    for waiver in config.waivers:
        print_block(console, say(language, "config_waiver", id=waiver.id, reason=waiver.reason, place=waiver.place))
        limits = [("dataset", waiver.dataset), ("subject", waiver.subject), ("until", waiver.until)]
        said = [say(language, f"config_waiver_{name}", pattern=text, day=text) for name, text in limits if text]
        if said:
            print_block(console, JOINTS[language].parts.join(said), indent=INDENT + 2)
    for name, nearest in not_read(environ):
        key = "config_not_read_near" if nearest else "config_not_read"
        print_block(console, say(language, key, name=name, nearest=nearest), indent=0, style="yellow")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)
