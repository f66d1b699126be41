"""JSON files as nnU-Net reads them, and values of them that are of the right type; a hostile file costs no memory."""

from __future__ import annotations

import codecs
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_JSON_BYTES = 50 * 1024**2
"""A JSON file of nnU-Net is far smaller; a larger one is not read."""

MOST_VOXELS = 2**31
"""A number over this, NaN or infinity is no size of an image and no count of cases."""


_KINDS: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
"""What JSON calls the types that Python reads from it."""


@dataclass(frozen=True)
class Json:
    """A JSON file: its state (ok, missing, unreadable, invalid), what is wrong, and its content."""

    state: str
    error: str | None = None
    content: Any = None


def read_json(path: Path, kind: type = dict) -> Json:
    """Read a JSON file that should hold an object or a list; a hostile one is refused before it costs memory."""
    try:
        if not path.is_file():
            return Json("missing")
        if path.stat().st_size > MOST_JSON_BYTES:
            return Json("invalid", f"it has more than {MOST_JSON_BYTES // 1024**2} MB")
        raw = path.read_bytes()
        content = json.loads(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        return Json("invalid", f"line {error.lineno}, column {error.colno}: {error.msg}")
    except UnicodeDecodeError as error:
        return Json("invalid", f"byte {error.start} is not UTF-8")
    except ValueError:  # Python's limit of digits
        return Json("invalid", "it holds a number that is too long to be read")
    except RecursionError:
        return Json("invalid", "it is nested too deeply")
    except OSError as error:
        return Json("unreadable", error.strerror or str(error))
    if not isinstance(content, kind):
        return Json("invalid", f"it should hold {_KINDS[kind]}, not {kind_of(content)}")
    if raw.startswith(codecs.BOM_UTF8):
        # json.load, which nnU-Net uses, refuses it
        return Json("invalid", "it begins with a byte order mark (BOM); save it as UTF-8 without one", content)
    return Json("ok", None, content)


def kind_of(value: Any) -> str:
    """Name the kind of a value that was read from JSON."""
    return _KINDS[type(value)]


def typed(value: Any, kind: type) -> Any:
    """Return a value of exactly this type, and no number out of bounds; None for another."""
    if type(value) is not kind or (isinstance(value, int) and abs(value) >= MOST_VOXELS):
        return None
    return value


def size_of(value: Any) -> int | None:
    """Return the number of items of an object or a list; None for something else."""
    return len(value) if isinstance(value, (dict, list)) else None


def numbers(value: Any, least: float = 0.0) -> tuple[float, ...] | None:
    """Return a list of one to four finite numbers above a bound; None for something else."""
    usable = isinstance(value, list) and 1 <= len(value) <= 4
    if not usable or not all(type(item) in (int, float) and least < item < MOST_VOXELS for item in value):
        return None
    return tuple(value)


def whole_numbers(value: Any) -> tuple[int, ...] | None:
    """Return a list of one to four whole numbers above 0; None for something else."""
    found = numbers(value)
    return found if found is not None and all(type(item) is int for item in found) else None  # type: ignore[return-value]
